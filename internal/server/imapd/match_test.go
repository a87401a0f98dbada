package imapd

import (
	"strings"
	"testing"
	"testing/iotest"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
)

func TestStreamHas(t *testing.T) {
	long := strings.Repeat("äÖ x", 9000)
	for _, c := range []struct {
		text, needle string
		want         bool
	}{
		{"Hello World", "o w", true}, {"Hello", "x", false}, {"", "", true}, {"", "a", false}, {"ÄPFEL", "äpfel", true},
		{long + "Ende", "öende", false}, {long + "Ende", "xende", true}, {long, "XÄÖ X", true}, {"\xff\xfeAb", "ab", true},
	} {
		for _, r := range []bool{false, true} {
			in := strings.NewReader(c.text)
			got, err := streamHas(in, fold(c.needle))
			if r {
				got, err = streamHas(iotest.OneByteReader(strings.NewReader(c.text)), fold(c.needle))
			}
			if got != c.want || err != nil {
				t.Errorf("%.20q in %.20q: %v %v", c.needle, c.text, got, err)
			}
		}
	}
}

// FuzzStreamHas compares with a search in the whole text.
func FuzzStreamHas(f *testing.F) {
	f.Add("some text ÄÖ", "ö", 3)
	f.Fuzz(func(t *testing.T, text, needle string, pad int) {
		text = strings.ToValidUTF8(strings.Repeat("é", min(max(pad, 0), 20000))+text, "?")
		needle = strings.ToValidUTF8(needle, "?")
		got, err := streamHas(strings.NewReader(text), fold(needle))
		if want := strings.Contains(fold(text), fold(needle)); got != want || err != nil {
			t.Errorf("%q in %q: %v %v", needle, text, got, err)
		}
	})
}

func TestSections(t *testing.T) {
	const text = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" +
		"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n" +
		"--a\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\ndeep\r\n--b--\r\n" +
		"--a--\r\n"
	tree, err := message.Parse(strings.NewReader(text), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	l := &letter{tree: tree}
	for _, c := range []struct {
		path []uint32
		text imap.SectionText
		want string
	}{
		{[]uint32{1}, imap.SectionAll, "Subject: inner\r\n\r\ninner text"}, {[]uint32{1}, imap.SectionMIME, "Content-Type: message/rfc822\r\n\r\n"},
		{[]uint32{1}, imap.SectionHeader, "Subject: inner\r\n\r\n"}, {[]uint32{1}, imap.SectionBody, "inner text"},
		{[]uint32{1, 1}, imap.SectionAll, "inner text"}, {[]uint32{1, 1}, imap.SectionMIME, "Subject: inner\r\n\r\n"},
		{[]uint32{2, 1}, imap.SectionAll, "deep"}, {[]uint32{2, 1}, imap.SectionMIME, "\r\n"}, {nil, imap.SectionHeader, text[:strings.Index(text, "--a")]},
		{[]uint32{1, 2}, imap.SectionAll, "none"}, {[]uint32{1, 1, 1}, imap.SectionAll, "none"}, {[]uint32{3}, imap.SectionAll, "none"},
		{[]uint32{1, 1}, imap.SectionHeader, "none"}, {[]uint32{2, 1, 1}, imap.SectionAll, "none"}, {[]uint32{4294967295}, imap.SectionAll, "none"},
	} {
		sp, ok := find(l, imap.Section{Path: c.path, Text: c.text})
		got := "none"
		if ok {
			got = text[sp.from:sp.to]
		}
		if got != c.want {
			t.Errorf("%v %d: %q, want %q", c.path, c.text, got, c.want)
		}
	}
}
