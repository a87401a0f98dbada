package imap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"facteur/internal/mail/message"
)

func encoded(write func(*Encoder)) string {
	var b bytes.Buffer
	e := NewEncoder(bufio.NewWriter(&b))
	write(e)
	e.Flush()
	return b.String()
}

func TestStrings(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a b": `"a b"`, `a"\`: `"a\"\\"`, "a\r\nb": "{4}\r\na\r\nb", "é": "{2}\r\né", "a\x00b": `"ab"`, strings.Repeat("x", 1001): "{1001}\r\n" + strings.Repeat("x", 1001),
	} {
		if got := encoded(func(e *Encoder) { e.String(in) }); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"INBOX": "INBOX", "": `""`, "a b": `"a b"`, "ü": "&APw-", "NIL": `"NIL"`, "a*": `"a*"`} {
		if got := encoded(func(e *Encoder) { e.Mailbox(in) }); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestEnvelope is the example of RFC 9051 §8.
func TestEnvelope(t *testing.T) {
	gray := []message.Mailbox{{Name: "Terry Gray", Local: "gray", Host: "cac.washington.edu"}}
	v := &message.Envelope{Date: "Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", Subject: "IMAP4rev2 WG mtg summary and minutes",
		From: gray, To: []message.Mailbox{{Local: "imap", Host: "cac.washington.edu"}},
		Cc:        []message.Mailbox{{Local: "list", GroupStart: true}, {Local: "root"}, {GroupEnd: true}},
		MessageID: "<B27397-0100000@cac.washington.edu>"}
	want := `("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" ` +
		strings.Repeat(`(("Terry Gray" NIL "gray" "cac.washington.edu")) `, 3) +
		`((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "list" NIL)(NIL NIL "root" "")(NIL NIL NIL NIL)) NIL NIL "<B27397-0100000@cac.washington.edu>")`
	if got := encoded(func(e *Encoder) { e.Envelope(v) }); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestBodyStructure(t *testing.T) {
	text := &message.Part{Type: "text", Subtype: "plain", Params: []message.Param{{Name: "charset", Value: "us-ascii"}},
		Encoding: "7bit", Body: 100, End: 3128, Lines: 92}
	for _, c := range []struct {
		name     string
		part     *message.Part
		extended bool
		want     string
	}{
		{"RFC 9051 §8", text, false, `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3028 92)`},
		{"extended", text, true, `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3028 92 NIL NIL NIL NIL)`},
		{"multipart", &message.Part{Type: "multipart", Subtype: "mixed", Children: []*message.Part{text, text}}, false,
			`(` + strings.Repeat(`("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3028 92)`, 2) + ` "mixed")`},
		{"IMAP-007 no parts", &message.Part{Type: "multipart", Subtype: "mixed"}, true,
			`(("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)`},
		{"message", &message.Part{Type: "message", Subtype: "rfc822", Children: []*message.Part{text}, Lines: 5, End: 7}, false,
			`("message" "rfc822" NIL NIL NIL "7bit" 7 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3028 92) 5)`},
		{"disposition", &message.Part{Type: "image", Subtype: "png", Encoding: "base64", Disposition: "attachment", Language: []string{"de", "fr"},
			DispParams: []message.Param{{Name: "filename", Value: "a\"b"}}}, true,
			`("image" "png" NIL NIL NIL "base64" 0 NIL ("attachment" ("filename" "a\"b")) ("de" "fr") NIL)`},
	} {
		if got := encoded(func(e *Encoder) { e.BodyStructure(c.part, c.extended) }); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// reader is a small reader of the grammar of ENVELOPE and BODY, to check what
// was written.
type reader struct {
	s   string
	pos int
}

var errGrammar = errors.New("grammar")

// value reads a string, NIL, a number or a list, which it gives as []any.
func (r *reader) value() (any, error) {
	if r.pos >= len(r.s) {
		return nil, errGrammar
	}
	switch c := r.s[r.pos]; {
	case c == '(':
		return r.list()
	case c == '"':
		return r.quoted()
	case c == '{':
		var n int
		if _, err := fmt.Sscanf(r.s[r.pos:], "{%d}\r\n", &n); err != nil {
			return nil, err
		}
		r.pos += strings.Index(r.s[r.pos:], "\n") + 1
		if n > len(r.s)-r.pos {
			return nil, errGrammar
		}
		r.pos += n
		return r.s[r.pos-n : r.pos], nil
	}
	end := r.pos + strings.IndexAny(r.s[r.pos:]+" ", " ()")
	word := r.s[r.pos:end]
	r.pos = end
	if word == "NIL" {
		return nil, nil
	}
	if !allDigits([]byte(word)) {
		return nil, errGrammar
	}
	return len(word), nil
}

func (r *reader) list() (any, error) {
	out := []any{}
	for r.pos++; r.pos < len(r.s) && r.s[r.pos] != ')'; {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if r.pos < len(r.s) && r.s[r.pos] == ' ' {
			r.pos++
		}
	}
	if r.pos++; r.pos > len(r.s) {
		return nil, errGrammar
	}
	return out, nil
}

func (r *reader) quoted() (any, error) {
	var b strings.Builder
	for r.pos++; r.pos < len(r.s); r.pos++ {
		switch c := r.s[r.pos]; {
		case c == '"':
			r.pos++
			return b.String(), nil
		case c == '\r' || c == '\n' || c == 0 || c >= 0x80:
			return nil, errGrammar
		case c == '\\':
			r.pos++
		}
		if r.pos < len(r.s) {
			b.WriteByte(r.s[r.pos])
		}
	}
	return nil, errGrammar
}

// checkBody checks the shape of a body (RFC 9051 §9).
func checkBody(v any, extended bool) bool {
	l, ok := v.([]any)
	if !ok || len(l) < 2 {
		return false
	}
	if _, multi := l[0].([]any); multi {
		i := 0
		for ; i < len(l); i++ {
			if _, child := l[i].([]any); !child {
				break
			}
			if !checkBody(l[i], extended) {
				return false
			}
		}
		_, sub := at(l, i).(string)
		return sub && (!extended && len(l) == i+1 || extended && len(l) == i+5)
	}
	want := 7
	if kind, _ := l[0].(string); kind == "text" {
		want = 8
	} else if kind == "message" && (l[1] == "rfc822" || l[1] == "global") {
		want = 10
		env, _ := at(l, 7).([]any)
		if len(env) != 10 || !checkBody(at(l, 8), extended) {
			return false
		}
	}
	if extended {
		want += 4
	}
	return len(l) == want
}

func at(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return nil
}

func FuzzStructure(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n")
	f.Add("Content-Type: message/rfc822\r\n\r\nSubject: \x00\"\\\r\nTo: g:a,b@c;,<@r:x@y>\r\n\r\nx")
	f.Add("Subject: \xff\r\nContent-Type: text/plain; x=\"\\\"\xfe\"\r\nContent-Language: a, b\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := message.Parse(strings.NewReader(in), message.Limits{})
		if err != nil {
			t.Skip()
		}
		for _, extended := range []bool{false, true} {
			out := encoded(func(e *Encoder) { e.BodyStructure(p, extended) })
			r := &reader{s: out}
			if v, err := r.value(); err != nil || r.pos != len(out) || !checkBody(v, extended) {
				t.Fatalf("%q gives %q: %v", in, out, err)
			}
		}
		out := encoded(func(e *Encoder) { e.Envelope(p.Envelope) })
		r := &reader{s: out}
		v, err := r.value()
		if l, _ := v.([]any); err != nil || r.pos != len(out) || len(l) != 10 {
			t.Fatalf("%q gives %q: %v", in, out, err)
		}
	})
}
