package message

import (
	"strings"
	"testing"

	"facteur/internal/mail/address"
	"facteur/internal/test/doubling"
)

// toExample sends everybody to example.org, those without a domain too.
func toExample(a address.Address) (address.Address, bool) {
	if a.Domain == "stays.example" {
		return a, false
	}
	return address.Address{Local: a.Local, Domain: "example.org"}, true
}

func TestRewriteAddresses(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"bare", " joe@a.b\r\n", " joe@example.org\r\n"},
		{"angle", " Joe <joe@a.b>\r\n", " Joe <joe@example.org>\r\n"},
		{"row 50: names and folds stay", "\r\n\t\"Q, \\\"Joe\\\"\" (a, (b)) <joe@a.b>,\r\n =?utf-8?q?J=C3=B6?= <j@stays.example>\r\n",
			"\r\n\t\"Q, \\\"Joe\\\"\" (a, (b)) <joe@example.org>,\r\n =?utf-8?q?J=C3=B6?= <j@stays.example>\r\n"},
		{"comment behind", " joe@a.b (Joe, @ home)\r\n", " joe@example.org (Joe, @ home)\r\n"},
		{"comment within", " joe(x)@a.b\r\n", " joe@example.org (x)\r\n"},
		{"obsolete blanks", " joe . q @ a . b\r\n", " joe.q@example.org\r\n"},
		{"group", " Friends: joe@a.b, Al <al@a.b>; , eve@a.b\r\n", " Friends: joe@example.org, Al <al@example.org>; , eve@example.org\r\n"},
		{"empty group", " undisclosed-recipients:;\r\n", " undisclosed-recipients:;\r\n"},
		{"word alone", " root\r\n", " root@example.org\r\n"},
		{"word in angles", " Charlie Root <root>\r\n", " Charlie Root <root@example.org>\r\n"},
		{"two words", " Charlie Root\r\n", " Charlie Root\r\n"},
		{"encoded word alone", " =?utf-8?q?J=C3=B6?=\r\n", " =?utf-8?q?J=C3=B6?=\r\n"},
		{"quoted", " \"a \\\"b\"@a.b\r\n", " \"a \\\"b\"@example.org\r\n"},
		{"needless quotes", " \"joe\"@a.b\r\n", " joe@example.org\r\n"},
		{"REL-004 quoted at", ` "x@y"@a.b`, ` "x@y"@example.org`},
		{"route", " <@x,@y:joe@a.b>\r\n", " <@x,@y:joe@example.org>\r\n"},
		{"literal", " joe@[192.0.2.1]\r\n", " joe@example.org\r\n"},
		{"null", " <>\r\n", " <>\r\n"},
		{"angle with comma", " <joe@a.b, al@a.b>\r\n", " <joe@a.b, al@a.b>\r\n"},
		{"never closed", " Joe <joe@a.b\r\n", " Joe <joe@a.b\r\n"},
		{"comment never closed", " joe@a.b (x\r\n", " joe@example.org (x\r\n"},
		{"quote never closed", " joe@a.b, \"x\r\n", " joe@example.org, \"x\r\n"},
		{"two ats", " a@b@c, joe@a.b\r\n", " a@b@c, joe@example.org\r\n"},
		{"double dot", " a..b@c\r\n", " \"a..b\"@example.org\r\n"},
		{"junk", " @, , ;:, >, joe@a.b, <<a@b>>\r\n", " @, , ;:, >, joe@example.org, <<a@b>>\r\n"},
		{"too long a domain stays", " joe@" + strings.Repeat("a", 300) + "\r\n", " joe@" + strings.Repeat("a", 300) + "\r\n"},
		{"IDN", " joe@b\u00fccher.example, j@stays.example", " joe@example.org, j@stays.example"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := RewriteAddresses(c.in, toExample); got != c.want {
				t.Errorf("%q\n became %q\n want   %q", c.in, got, c.want)
			}
		})
	}
}

// TestRewriteFolds: longer addresses make no line that is too long.
func TestRewriteFolds(t *testing.T) {
	longer := func(a address.Address) (address.Address, bool) {
		return address.Address{Local: a.Local, Domain: strings.Repeat("long.", 30) + "example"}, true
	}
	in := " " + strings.TrimSuffix(strings.Repeat("joe@a.b, ", 100), ", ") + "\r\n"
	out := RewriteAddresses(in, longer)
	for _, line := range strings.Split(out, "\r\n") {
		if len(line) > maxLine {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	if got := len(ParseAddresses(Unfold([]byte(out)))); got != 100 {
		t.Errorf("%d addresses became %d", 100, got)
	}
}

// FuzzRewriteAddresses: what nobody replaces stays byte for byte, and what is replaced
// changes no other address, adds none and takes none away.
func FuzzRewriteAddresses(f *testing.F) {
	for _, s := range []string{" Joe <joe@a.b>, al@c (x)", "g: a@b;", "\"a\\\"b\"@c", "<@a,@b:c@d>", "a . b @ c", "((((", "a@[1.2.3.4]", "=?x?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		same := RewriteAddresses(s, func(a address.Address) (address.Address, bool) { return a, true })
		if same != s {
			t.Errorf("%q became %q", s, same)
		}
		seen := 0
		out := RewriteAddresses(s, func(a address.Address) (address.Address, bool) {
			seen++
			return address.Address{Local: "xyz", Domain: "new.example"}, true
		})
		again := 0
		RewriteAddresses(out, func(a address.Address) (address.Address, bool) {
			again++
			if a.String() != "xyz@new.example" {
				t.Errorf("%q became %q, which has %s", s, out, a)
			}
			return a, false
		})
		if again != seen {
			t.Errorf("%q had %d addresses and became %q with %d", s, seen, out, again)
		}
	})
}

func TestRewriteDoubles(t *testing.T) {
	for _, unit := range []string{"joe@a.b, ", "a", "<", ">", "(", "\"", "\\", ",", ":", ";", "@", "[", "a ", "a.", "<a@b", "g:a@b;", "\r\n ", "=?", "é"} {
		doubling.Check(t, unit, 1<<14, func(n int) func() {
			s := strings.Repeat(unit, n/len(unit))
			return func() { RewriteAddresses(s, toExample) }
		})
	}
}
