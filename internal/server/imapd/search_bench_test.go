package imapd

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// plant puts letters of some 5 KB, with LF line ends, into INBOX as another program
// would.
func (h *house) plant(t testing.TB, n int) {
	t.Helper()
	cur := filepath.Join(h.owner.Home, "Maildir", "cur")
	if err := os.MkdirAll(cur, 0o700); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("about account after again agenda answer archive because budget building calendar change colleagues comment contract " +
		"customer date delivery document draft evening example figures garden harbour holiday house invoice journey letter machine meeting quite week")
	for i := range n {
		var text strings.Builder
		for text.Len() < 4000 {
			for range 10 {
				text.WriteString(words[rng.IntN(len(words))] + " ")
			}
			text.WriteString("\n")
		}
		if i%1000 == 7 {
			text.WriteString("quincunx\n")
		}
		letter := fmt.Sprintf("Received: from a by b id %d;\n\tsome day\nFrom: %s <p%d@example.net>\nTo: alice@example.org\nSubject: Re: matter %d\nDate: %s\nMessage-ID: <%d@x>\n"+
			"References: <%d@x> <%d@x>\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n%s\n--b\nContent-Type: text/html\n\n<p>%s\n--b--\n",
			i, words[i%len(words)], i%77, i-i%4, time.Unix(int64(1.7e9)+int64(i)*600, 0).UTC().Format(time.RFC1123Z), i, i-i%4, i-1, text.String()[:1500], text.String())
		if err := os.WriteFile(filepath.Join(cur, fmt.Sprintf("%d.M%dP1.x:2,%s", 1700000000+i, i, []string{"S", ""}[i/9%10/9])), []byte(letter), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkSearch asks 10,000 letters.
func BenchmarkSearch(b *testing.B) {
	h := open(b, nil)
	h.plant(b, 10_000)
	c := h.user(b)
	c.conn.SetDeadline(time.Now().Add(time.Hour))
	c.do("a SELECT INBOX")
	c.do("a SORT (SUBJECT) UTF-8 ALL")
	for _, command := range []string{
		"SEARCH UNSEEN", "SEARCH ALL", `SEARCH SUBJECT "matter 44"`, `SEARCH HEADER Received "id 77"`, "SEARCH SENTSINCE 1-Jan-2024",
		"SEARCH TEXT quincunx", "SEARCH BODY quincunx", `SEARCH TEXT "village" BODY "yesterday week"`, "SORT (SUBJECT) UTF-8 ALL",
		"SORT (REVERSE DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL",
	} {
		b.Run(command, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do("x " + command)
			}
		})
	}
}
