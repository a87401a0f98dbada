package anatomy_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"facteur/internal/mail/anatomy"
	"facteur/internal/test/doubling"
)

// Whatever a letter is, it is taken apart within the bounds, and what is told of it
// is text.
func FuzzDissect(f *testing.F) {
	bounce, err := os.ReadFile("testdata/bounce.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{bounce, []byte(way + "\r\n"), []byte("Content-Type: text/html\n\n<a href=x><form action=y>"), []byte("Content-Type: application/zip\n\nPK\x03\x04"), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, letter []byte) {
		l, err := anatomy.Dissect(bytes.NewReader(letter), int64(len(letter)), anatomy.Options{Trusted: []string{"mail.example.org"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Hops) > 100 || len(l.Parts) > 300 || len(l.Links) > 200 || len(l.Warnings) > 50 {
			t.Fatalf("%d hops, %d parts, %d links, %d warnings", len(l.Hops), len(l.Parts), len(l.Links), len(l.Warnings))
		}
		texts := []string{l.From, l.Subject, l.ReplyTo, l.MessageID, l.ReturnPath}
		for _, h := range l.Hops {
			texts = append(texts, h.Helo, h.Name, h.By, h.With, h.ID, h.For, h.Why)
		}
		for _, p := range l.Parts {
			texts = append(texts, p.Name, p.Given, p.Type, p.Charset, p.Encoding)
			for _, e := range p.Entries {
				texts = append(texts, e.Name)
			}
		}
		for _, k := range l.Links {
			texts = append(texts, k.URL, k.Text, k.Host, k.Doubt)
		}
		for _, s := range append(texts, l.Warnings...) {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x1b\r\n\x07\x7f") {
				t.Fatalf("%q", s)
			}
		}
	})
}

func FuzzReceived(f *testing.F) {
	f.Add("from a (b [192.0.2.1]) by c with ESMTP id d for <e@f>; Thu, 28 Apr 2016 12:00:00 +0000")
	f.Add("from x (HELO y) (1.2.3.4) by z; 1 Jan 2026")
	f.Add("((((\\")
	f.Fuzz(func(t *testing.T, line string) {
		h := anatomy.ParseReceived(line)
		if len(h.Notes) > 10 || len(h.Helo) > 9000 {
			t.Fatalf("%+v", h)
		}
	})
}

// INV-16: time is linear in the letter.
func TestDoubling(t *testing.T) {
	for name, unit := range map[string]string{
		"Received": "Received: from a (b [192.0.2.1]) by c; Thu, 28 Apr 2016 12:00:00 +0000\n", "claims": "Authentication-Results: a; b=c\n",
		"marks": "X-Forefront-Antispam-Report: SCL:1;CAT:SPM\n", "one long line": " (((((((([[[[[[[[;;;;", "From": "From: a@b.example, c\n",
	} {
		doubling.Check(t, name, 3000, func(n int) func() {
			letter := "Received: from" + strings.Repeat(unit, n) + "\n"
			if strings.HasSuffix(unit, "\n") {
				letter = strings.Repeat(unit, n) + "\n"
			}
			return func() {
				_, _ = anatomy.Dissect(strings.NewReader(letter), int64(len(letter)), anatomy.Options{})
			}
		})
	}
	for name, c := range map[string]struct{ header, unit string }{
		"links": {"Content-Type: text/html", "<a href=http://x.example/>y</a>"}, "open tags": {"Content-Type: text/html", "<a "}, "other links": {"", "http://"},
		"entries": {"Content-Type: application/zip", "PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, "parts": {"Content-Type: multipart/mixed; boundary=b", "\n--b\n"},
	} {
		doubling.Check(t, name, 5000, func(n int) func() {
			letter := c.header + "\n\n" + strings.Repeat(c.unit, n)
			return func() {
				_, _ = anatomy.Dissect(strings.NewReader(letter), int64(len(letter)), anatomy.Options{})
			}
		})
	}
}
