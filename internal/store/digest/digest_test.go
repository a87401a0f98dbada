package digest

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// inMemory is a letter in memory.
type inMemory struct{ *bytes.Reader }

func letter(text string) inMemory {
	return inMemory{bytes.NewReader([]byte(strings.ReplaceAll(text, "\n", "\r\n")))}
}

func make1(t *testing.T, text string) *Digest {
	t.Helper()
	d, err := new(Maker).Make(letter(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const sample = `Received: from a by b
From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>
To: root, "Bob B." <bob@example.com>
Cc: carol@example.net
Subject: [list] Re: =?utf-8?q?caf=C3=A9?= (fwd)
Date: Tue, 3 Mar 2026 10:20:30 +0100
Message-ID: <3@example.org>
In-Reply-To: <2@example.org>
References: <1@example.org>
 <2@example.org>
X-Other: no
Content-Type: text/html; charset=utf-8

<html><head><title>no</title><style>p{}</style></head><body><p>Hello &amp; <b>welcome</b></p>
<script>no()</script> to&nbsp;us</body></html>
`

func TestMake(t *testing.T) {
	d := make1(t, sample)
	for _, c := range []struct{ what, got, want string }{
		{"From", d.From, "zoe"}, {"FromName", d.FromName, "Zoë"}, {"To", d.To, "root"}, {"ToName", d.ToName, "root"},
		{"Cc", d.Cc, "carol"}, {"Subject", d.Subject, "café"}, {"MessageID", d.MessageID, "<3@example.org>"},
		{"References", strings.Join(d.References, " "), "<1@example.org> <2@example.org>"},
		{"Preview", d.Preview, "Hello & welcome to us"},
		{"Sent", d.Sent.Format(time.RFC3339), "2026-03-03T10:20:30+01:00"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if !d.Reply {
		t.Error("not seen as a reply")
	}
	if lines := string(d.Fields); strings.Contains(lines, "X-Other") || strings.Contains(lines, "Received") ||
		!strings.Contains(lines, "References: <1@example.org>\r\n <2@example.org>\r\n") {
		t.Errorf("fields:\n%s", lines)
	}
}

// TestIDs: what a letter is called depends on its bytes, its thread on the first
// letter of it.
func TestIDs(t *testing.T) {
	root := make1(t, "Message-ID: <1@example.org>\n\nx\n")
	reply := make1(t, sample)
	answer := make1(t, "In-Reply-To: <1@example.org>\n\nx\n")
	nameless := make1(t, "Subject: x\n\nx\n")
	if root.ThreadID != reply.ThreadID || root.ThreadID != answer.ThreadID || root.ThreadID == nameless.ThreadID {
		t.Error("threads:", root.ThreadID, reply.ThreadID, answer.ThreadID, nameless.ThreadID)
	}
	if root.EmailID == reply.EmailID || root.EmailID != make1(t, "Message-ID: <1@example.org>\n\nx\n").EmailID {
		t.Error("letters:", root.EmailID, reply.EmailID)
	}
	if len(root.EmailID) != 21 || root.EmailID[0] != 'M' || root.ThreadID[0] != 'T' {
		t.Errorf("form: %q %q", root.EmailID, root.ThreadID)
	}
}

// TestLarge: a letter that is streamed says what it would say in memory.
func TestLarge(t *testing.T) {
	text := sample + strings.Repeat(strings.Repeat("x", 76)+"\n", smallLetter/70)
	l := letter(text)
	if l.Size() <= smallLetter {
		t.Fatal("not large")
	}
	d, err := new(Maker).Make(l)
	if err != nil {
		t.Fatal(err)
	}
	if d.Preview[:21] != "Hello & welcome to us" || d.From != "zoe" || d.Part.End != l.Size() {
		t.Errorf("%+v", d)
	}
	if _, err := new(Maker).Make(torn{l}); err == nil {
		t.Error("a letter that can't be read has a digest")
	}
}

// torn fails in the midst.
type torn struct{ inMemory }

func (t torn) ReadAt(p []byte, off int64) (int, error) {
	if off > 100_000 {
		return 0, io.ErrUnexpectedEOF
	}
	return t.inMemory.ReadAt(p, off)
}

// TestCommon: longestName covers the list.
func TestCommon(t *testing.T) {
	if !Common("Date") || !Common("CHAT-DISPOSITION-NOTIFICATION-TO") || !Common("x-universally-unique-identifier") || Common("Received") || Common("") {
		t.Error("the list is wrong")
	}
	if d := make1(t, "Subject: "+strings.Repeat("x\n ", maxLines/2)+"\n\nx\n"); d.Fields != nil {
		t.Errorf("%d bytes of lines are kept", len(d.Fields))
	}
	if d := make1(t, "X: y\n\nx\n"); d.Fields == nil || len(d.Fields) != 0 {
		t.Error("no lines look like too many")
	}
}

// TestPoison: nothing of a digest changes when the buffer of its letter is used for
// another.
func TestPoison(t *testing.T) {
	t.Run("IMAP-024 pooled buffers", func(t *testing.T) {
		var m Maker
		d, err := m.Make(letter(sample))
		if err != nil {
			t.Fatal(err)
		}
		var before []byte
		for part := range parts {
			before = d.append(before, part)
		}
		for i := range m.buf[:cap(m.buf)] {
			m.buf[i] = 'X'
		}
		var after []byte
		for part := range parts {
			after = d.append(after, part)
		}
		if !bytes.Equal(before, after) {
			t.Errorf("\n%q\n%q", before, after)
		}
	})
}
