package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkFetch is what mbsync and mutt do with a mailbox of 2,000 letters;
// one operation is one letter.
func BenchmarkFetch(b *testing.B) {
	const n = 2000
	h := open(b, nil)
	h.fill(b, n)
	c := h.user(b)
	c.do("a SELECT INBOX")
	for name, items := range map[string]string{
		"flags":     "UID FLAGS RFC822.SIZE INTERNALDATE",
		"body":      "UID BODY.PEEK[]",
		"structure": "UID ENVELOPE BODYSTRUCTURE",
		"fields":    "UID BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE TO CC MESSAGE-ID REFERENCES)]",
	} {
		b.Run(name, func(b *testing.B) {
			c.conn.SetDeadline(time.Now().Add(time.Hour))
			b.ReportAllocs()
			for done := 0; done < b.N; {
				k := min(n, b.N-done)
				c.send(fmt.Sprintf("x FETCH 1:%d (%s)\r\n", k, items))
				for l := ""; !strings.HasPrefix(l, "x "); {
					l = c.line()
				}
				done += k
			}
		})
	}
}
