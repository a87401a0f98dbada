package message

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBuilder(t *testing.T) {
	var b Builder
	b.Structured("Received", "from a (b [192.0.2.1])", "by c with ESMTP id X", "for <d@e>; Thu, 1 Jan 2026 00:00:00 +0000")
	b.Text("Subject", "Ein Brief aus Köln")
	b.Text("Comments", strings.Repeat("word ", 20)+"end")
	b.Mailboxes("To", []Mailbox{{Name: "Jörg", Local: "j", Host: "x"}, {Name: "A. B", Local: "a b", Host: "y"}, {Name: "Bob", Local: "b", Host: "z"}, {Local: "c", Host: "w"}})
	b.Mailboxes("Cc", []Mailbox{{Local: "friends", GroupStart: true}, {Local: "a", Host: "b"}, {Local: "c", Host: "d"}, {GroupEnd: true}, {Local: "e", Host: "f"}})
	b.Mailboxes("Bcc", []Mailbox{{Local: "undisclosed recipients", GroupStart: true}, {GroupEnd: true}})
	b.Date("Date", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	b.Text("X-Empty", "")
	got, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	want := crlf("Received: from a (b [192.0.2.1])\n\tby c with ESMTP id X\n\tfor <d@e>; Thu, 1 Jan 2026 00:00:00 +0000\n" +
		"Subject: =?utf-8?q?Ein_Brief_aus_K=C3=B6ln?=\n" +
		"Comments: word word word word word word word word word word word word word\n word word word word word word word end\n" +
		"To: =?utf-8?q?J=C3=B6rg?= <j@x>, \"A. B\" <\"a b\"@y>, Bob <b@z>, c@w\n" +
		"Cc: friends: a@b, c@d;, e@f\nBcc: undisclosed recipients:;\n" +
		"Date: Thu, 01 Jan 2026 00:00:00 +0000\nX-Empty: \n")
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBuilderRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		build func(*Builder)
		want  error
	}{
		"CRLF in text":     {func(b *Builder) { b.Text("Subject", "x\r\nBcc: y") }, ErrControlCharacter},
		"LF in text":       {func(b *Builder) { b.Text("Subject", "x\ny") }, ErrControlCharacter},
		"NUL":              {func(b *Builder) { b.Structured("X", "a", "b\x00") }, ErrControlCharacter},
		"CR in address":    {func(b *Builder) { b.Mailboxes("To", []Mailbox{{Local: "a", Host: "b\r"}}) }, ErrControlCharacter},
		"colon in name":    {func(b *Builder) { b.Text("X:", "a") }, ErrFieldName},
		"no name":          {func(b *Builder) { b.Text("", "a") }, ErrFieldName},
		"CRLF in name":     {func(b *Builder) { b.Text("X\r\nY", "a") }, ErrFieldName},
		"line over 998":    {func(b *Builder) { b.Structured("X", strings.Repeat("x", 1000)) }, ErrLineTooLong},
		"address over 998": {func(b *Builder) { b.Mailboxes("To", []Mailbox{{Local: strings.Repeat("x", 1000), Host: "y"}}) }, ErrLineTooLong},
	} {
		var b Builder
		b.Text("First", "fine")
		tt.build(&b)
		b.Text("Last", "fine")
		if _, err := b.Bytes(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestBuilderLongText(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 3000), strings.Repeat("é", 3000), strings.Repeat("日本", 1000), "=?utf-8?q?not_one?=", "a  b   c" + strings.Repeat("  word", 50)} {
		var b Builder
		b.Text("Subject", text)
		header, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got := DecodeText(Header(header).Get("Subject")); got != text {
			t.Errorf("%.20q… came back as %.60q", text, got)
		}
		for line := range strings.Lines(string(header)) {
			if len(line) > 78+2 {
				t.Errorf("line of %d bytes: %q", len(line), line)
			}
		}
	}
}

func TestFormatParam(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a.txt", "; filename=a.txt"}, {"a b.txt", `; filename="a b.txt"`}, {`a"\b`, `; filename="a\"\\b"`}, {"", `; filename=""`},
		{"é.txt", "; filename*=utf-8''%C3%A9.txt"}, {"a\r\nX: y", "; filename*=utf-8''a%0D%0AX%3A%20y"},
	} {
		if got := FormatParam("filename", tt.in); got != tt.want {
			t.Errorf("MIME-010 %q: %s, want %s", tt.in, got, tt.want)
		}
	}
}
