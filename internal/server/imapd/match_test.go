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

func TestFieldFilter(t *testing.T) {
	const head = "A: 1\r\nB : 2\r\n\tfolded\r\na: 3\r\nno colon\r\nC: 4"
	for _, c := range []struct {
		names []string
		not   bool
		want  string
	}{
		{[]string{"a"}, false, "A: 1\r\na: 3\r\n\r\n"}, {[]string{"b", "x"}, false, "B : 2\r\n\tfolded\r\n\r\n"},
		{[]string{"a", "b", "no colon"}, true, "C: 4\r\n"}, {[]string{"x"}, false, "\r\n"},
	} {
		f := fieldFilter{src: strings.NewReader(head), span: span{0, int64(len(head))}, names: map[string]bool{}, not: c.not}
		for _, n := range c.names {
			f.names[n] = true
		}
		var all strings.Builder
		if err := f.writeTo(&all); err != nil || all.String() != c.want {
			t.Errorf("%v: %q %v, want %q", c.names, all.String(), err, c.want)
		}
		for from := range int64(len(c.want)) {
			var cut strings.Builder
			f.writeTo(&window{w: &cut, span: span{from, from + 3}})
			if want := c.want[from:min(from+3, int64(len(c.want)))]; cut.String() != want {
				t.Errorf("%v from %d: %q, want %q", c.names, from, cut.String(), want)
			}
		}
	}
	long := "X: 1\r\n" + strings.Repeat("y", 10000) + ": 2\r\nX: 3\r\n\r\nbody"
	f := fieldFilter{src: strings.NewReader(long), span: span{0, int64(len(long))}, names: map[string]bool{"x": true}}
	var all strings.Builder
	if f.writeTo(&all); all.String() != "X: 1\r\nX: 3\r\n\r\n" {
		t.Errorf("IMAP-007: %q", all.String())
	}
}
