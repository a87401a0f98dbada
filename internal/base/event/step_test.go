package event

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                           "",
		"a@example.org":              "a@example.org",
		"émile@exämple.org":          "émile@exämple.org",
		"a\r\nb\x00c\x1b[31m\u2028d": "a??b?c?[31m?d",
		"\xff\xfe":                   "??",
		"a\u202eb":                   "a?b", // turns the reading direction
		"�":                          "?",
		strings.Repeat("x", 30):      strings.Repeat("x", 17) + "...",
		strings.Repeat("x", 20):      strings.Repeat("x", 20),
		strings.Repeat("é", 20):      strings.Repeat("é", 8) + "...",
		"exactly twenty bytes":       "exactly twenty bytes",
	} {
		if got := Clean(in, 20); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\r\nb", 10)
	f.Add("\xc3", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = 3 + (most&0xffff)%2000
		got := Clean(s, most)
		if len(got) > most || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\x1b\u2028\u2029\u202e") {
			t.Errorf("Clean(%q, %d) = %q", s, most, got)
		}
		if again := Clean(got, most); again != got {
			t.Errorf("%q, and again %q", got, again)
		}
	})
}

func TestClientInASentence(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("::ffff:192.0.2.1")
	for want, c := range map[string]Client{
		"mx.example.com [192.0.2.1]":        {"mx.example.com", addr},
		"a host without a name [192.0.2.1]": {"unknown", addr},
		"a program on this machine":         {},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
