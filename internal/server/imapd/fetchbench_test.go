package imapd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/store/mailbox"
)

// BenchmarkList is what is asked of 10,000 letters of 10 KB; one operation is all
// of them, the client reads and throws away. "cold" begins without a cache.
func BenchmarkList(whole *testing.B) {
	const n = 10_000
	h := open(whole, nil)
	h.large(whole, n)
	c := h.user(whole)
	c.do("a SELECT INBOX")
	for _, x := range []struct{ name, items string }{
		{"flags", "FLAGS"},
		{"list cold", "FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE"},
		{"list warm", "FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE"},
		{"fields", "UID BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE TO CC MESSAGE-ID REFERENCES)]"},
		{"header", "UID BODY.PEEK[HEADER]"},
		{"bodies", "UID BODY.PEEK[]"},
		{"part", "UID BODY.PEEK[1]"},
	} {
		whole.Run(x.name, func(b *testing.B) {
			c.conn.SetDeadline(time.Now().Add(time.Hour))
			var octets int
			for b.Loop() {
				if strings.HasSuffix(x.name, "cold") {
					b.StopTimer()
					h.forget(b)
					c = h.user(whole)
					c.do("a SELECT INBOX")
					b.StartTimer()
				}
				c.send(fmt.Sprintf("x FETCH 1:* (%s)\r\n", x.items))
				octets = c.skim()
			}
			b.SetBytes(int64(octets))
		})
	}
}

// forget takes the cache away.
func (h *house) forget(b *testing.B) {
	b.Helper()
	if err := h.store.Close(); err != nil {
		b.Fatal(err)
	}
	os.Remove(filepath.Join(h.owner.Home, "cache.db"))
	h.store = mailbox.New(vfs.OS{}, event.Discard)
}

// skim reads up to the answer to "x", and counts.
func (c *client) skim() (octets int) {
	buf := make([]byte, 256<<10)
	var tail []byte
	for {
		n, err := c.r.Read(buf)
		octets += n
		tail = append(tail[max(0, len(tail)-100):], buf[max(0, n-100):n]...)
		if err != nil || bytes.Contains(tail, []byte("\r\nx OK")) && bytes.HasSuffix(tail, []byte("\r\n")) {
			return octets
		}
	}
}

// large makes letters of 10 KB as a delivery agent leaves them.
func (h *house) large(b *testing.B, n int) {
	b.Helper()
	dir := filepath.Join(h.owner.Home, "Maildir")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	filler := strings.Repeat(strings.Repeat("lorem ipsum ", 6)+"\r\n", 115)
	for i := range n {
		text := fmt.Sprintf("Return-Path: <s%d@example.net>\r\nReceived: from a.example.net (a.example.net [192.0.2.7])\r\n\tby mail.example.org with ESMTPS id %08d\r\n"+
			"\tfor <alice@example.org>; Tue, 3 Mar 2026 10:20:30 +0100\r\nFrom: \"Sender number %d\" <s%d@example.net>\r\nTo: Alice <alice@example.org>, bob@example.org\r\n"+
			"Cc: list@example.org\r\nSubject: letter %d of many, with a subject of usual length\r\nDate: Tue, 3 Mar 2026 10:20:30 +0100\r\n"+
			"Message-ID: <%d.8f14e45f@example.net>\r\nReferences: <%d.a@example.net> <%d.b@example.net>\r\nIn-Reply-To: <%d.b@example.net>\r\nMIME-Version: 1.0\r\n"+
			"Content-Type: multipart/alternative; boundary=\"b%d\"\r\n\r\n--b%d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello.\r\n%s\r\n--b%d\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello.</p>\r\n--b%d--\r\n",
			i, i, i, i, i, i, i, i, i, i, i, filler, i, i)
		name := fmt.Sprintf("%d.M%dP7Q%d.mail.example.org,S=%d,W=%d:2,S", 1700000000+i, i%1000000, i, len(text), len(text))
		if err := os.WriteFile(filepath.Join(dir, "cur", name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}
