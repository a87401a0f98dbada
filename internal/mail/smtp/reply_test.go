package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

func TestReplyAppendTo(t *testing.T) {
	for _, c := range []struct {
		r    Reply
		want string
		text string
	}{
		{Reply{220, "", []string{"mx ESMTP"}}, "220 mx ESMTP\r\n", "220 mx ESMTP"},
		{Reply{550, "5.1.1", []string{"no", "such", "user"}}, "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", "550 5.1.1 no such user"},
		{Reply{250, "", nil}, "250 \r\n", "250"},
		{Reply{451, "4.3.0", []string{"a\r\nb\x00\x7f"}}, "451 4.3.0 a??b??\r\n", "451 4.3.0 a??b??"},
	} {
		if got := string(c.r.AppendTo(nil)); got != c.want {
			t.Errorf("AppendTo: %q, want %q", got, c.want)
		}
		if got := c.r.Error(); got != c.text {
			t.Errorf("Error: %q, want %q", got, c.text)
		}
	}
}

func read(s string) (*Reply, error) { return ReadReply(bufio.NewReaderSize(strings.NewReader(s), 64)) }

func TestReadReply(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, c := range []struct {
		name, in string
		want     Reply
	}{
		{"one line", "250 2.1.5 Ok\r\n", Reply{250, "2.1.5", []string{"Ok"}}},
		{"no text", "250\r\n", Reply{250, "", []string{""}}},
		{"bare LF", "250 hi\n", Reply{250, "", []string{"hi"}}},
		{"lines", "550-5.1.1 a\r\n550-5.1.1 b\r\n550 c\r\n", Reply{550, "5.1.1", []string{"a", "b", "c"}}},
		{"only the code", "550 5.1.1\r\n", Reply{550, "5.1.1", []string{""}}},
		{"other class", "550 4.1.1 x\r\n", Reply{550, "", []string{"4.1.1 x"}}},
		{"a version", "250 2.1.55555 x\r\n", Reply{250, "", []string{"2.1.55555 x"}}},
		{"not a code", "250 2.x.1\r\n", Reply{250, "", []string{"2.x.1"}}},
		{"354 has none", "354 3.1.1 go\r\n", Reply{354, "", []string{"3.1.1 go"}}},
		{"controls", "250 a\x00b\x1b[31m\r\n", Reply{250, "", []string{"a?b?[31m"}}},
		{"longer than the buffer", "250-" + long + "\r\n250 x\r\n", Reply{250, "", []string{long, "x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := read(c.in)
			if err != nil || !reflect.DeepEqual(*r, c.want) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestReadReplyRefuses(t *testing.T) {
	for _, in := range []string{
		"hello\r\n", "\r\n", "25\r\n", "2500 x\r\n", "150 x\r\n", "650 x\r\n", "2a0 x\r\n", "250_x\r\n",
		"250-a\r\n251 b\r\n", "250-a\r\nb\r\n",
		strings.Repeat("250-x\r\n", MaxReplyLines) + "250 x\r\n",
		"250-" + strings.Repeat("x", MaxReplySize) + "\r\n250 x\r\n",
	} {
		var pe *ProtocolError
		if r, err := read(in); !errors.As(err, &pe) {
			t.Errorf("%.40q: %v, %v", in, r, err)
		}
	}
	if _, err := read(strings.Repeat("250-x\r\n", MaxReplyLines-1) + "250 x\r\n"); err != nil {
		t.Error("a reply of just the limit:", err)
	}
	for in, want := range map[string]error{"": io.EOF, "250-a\r\n": io.ErrUnexpectedEOF, "250 a": io.ErrUnexpectedEOF} {
		if _, err := read(in); err != want {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func TestReadReplyKeepsPlace(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("250 one\r\n250-two\r\n250 two\r\n354 three\r\n"))
	for _, want := range []string{"250 one", "250 two two", "354 three"} {
		if got, err := ReadReply(r); err != nil || got.Error() != want {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
	}
}

func TestParseEHLO(t *testing.T) {
	r, err := read("250-mx.example.org at your service\r\n250-size 1000\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" +
		"250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-CHUNKING\r\n250-REQUIRETLS\r\n250-AUTH=LOGIN plain\r\n250-AUTH PLAIN LOGIN XOAUTH2\r\n250 X-UNKNOWN\r\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Extensions{Host: "mx.example.org", SizeOffered: true, Size: 1000, StartTLS: true, Pipelining: true, EightBitMIME: true,
		UTF8: true, Enhanced: true, DSN: true, Chunking: true, RequireTLS: true, Auth: []string{"LOGIN", "PLAIN", "XOAUTH2"}}
	if got := ParseEHLO(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	for text, size := range map[string]int64{"SIZE": 0, "SIZE 0": 0, "SIZE 99999999999999999999": 0, "SIZE -1": 0, "SIZE x": 0, "SIZE 7": 7} {
		if x := ParseEHLO(&Reply{Lines: []string{"h", text}}); !x.SizeOffered || x.Size != size {
			t.Errorf("%q: %+v", text, x)
		}
	}
	if !reflect.DeepEqual(ParseEHLO(&Reply{}), Extensions{}) {
		t.Error("nothing offers nothing")
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 2.1.5 Ok\r\n", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "250-mx\r\n250-SIZE 10\r\n250 AUTH PLAIN\r\n", "250\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadReply(bufio.NewReaderSize(bytes.NewReader(b), 64))
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 || len(r.Lines) == 0 || len(r.Lines) > MaxReplyLines {
			t.Fatalf("%+v", r)
		}
		wire := r.AppendTo(nil)
		// Written again, it reads as the same reply: none of its text ends a line.
		// (Texts that begin with a second code would lose it.)
		again, err := ReadReply(bufio.NewReader(bytes.NewReader(wire)))
		if err != nil || again.Code != r.Code || len(again.Lines) != len(r.Lines) {
			t.Fatalf("%+v went out as %q, read as %+v, %v", r, wire, again, err)
		}
		x := ParseEHLO(r)
		if len(x.Auth) > maxWords || x.Size < 0 {
			t.Fatalf("%+v", x)
		}
	})
}

func TestReplyDoubles(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for _, unit := range []string{"x", "250-x\r\n", "250-AUTH A B C\r\n", "\n"} {
		doubling.Check(t, unit, 1<<19, func(n int) func() {
			s := "250-" + strings.Repeat(unit, n/len(unit)/40) + "\r\n250 x\r\n"
			return func() {
				for range 10 {
					if r, err := ReadReply(bufio.NewReader(strings.NewReader(s))); err == nil {
						ParseEHLO(r)
					}
				}
			}
		})
	}
}
