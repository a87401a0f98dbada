package aliases

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/quick"

	"facteur/internal/test/doubling"
)

// Rows 39, 40 and 53 to 56: the lines of the users' own files, and those of aliases(5).
func TestValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"elzen", "address elzen"},
		{"root, alice@example.org", "address root; address alice@example.org"},
		{"root,,  , alice", "address root; address alice"},
		{`\foo,jdoe@example.com`, "plain foo; address jdoe@example.com"},
		{"/dev/null", "file /dev/null"},
		{"|/usr/bin/filter", "program /usr/bin/filter"},
		{`"|/usr/bin/vacation -a \"x, y\" alice"`, `program /usr/bin/vacation -a "x, y" alice`},
		{"| /usr/bin/procmail -f- || exit 75", "program /usr/bin/procmail -f- || exit 75"},
		{"|/usr/bin/sendmail -f me@example.org you@example.org", "program /usr/bin/sendmail -f me@example.org you@example.org"},
		{`"|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #alice"`, "program IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #alice"},
		{":include:/etc/lists/all", "include /etc/lists/all"},
		{`":include:/etc/lists/all members", bob`, "include /etc/lists/all members; address bob"},
		{`:INCLUDE:/etc/x`, "include /etc/x"},
		{`"john doe"@example.org`, `address "john doe"@example.org`},
		{`"|john"@example.org`, `address "|john"@example.org`},
		{`"/john"@example.org, ":include:/x"@example.org`, `address "/john"@example.org; address ":include:/x"@example.org`},
		{`Bob Smith <bob@example.org>, "Doe, J." <j@example.org>`, "address bob@example.org; address j@example.org"},
		{"alice (at home), bob", "address alice; address bob"},
		{"alice bob", "address alice bob"}, // one address with a blank, as local(8) has it
		{"a@x.example b@y.example, c@z.example", "address a@x.example; address b@y.example; address c@z.example"},
		{"a @x.example b @ y.example", "address a @x.example; address b @ y.example"},
		{"  alice  ", "address alice"},
		{`a\,b@example.org`, `address a\,b@example.org`},
	} {
		values, err := Parse(c.text)
		var got []string
		for _, v := range values {
			got = append(got, v.string())
		}
		if text := strings.Join(got, "; "); text != c.want || err != nil {
			t.Errorf("%s: got %s (%v), want %s", c.text, text, err, c.want)
		}
	}
}

func (v Value) string() string {
	name := map[Kind]string{Address: "address", Program: "program", File: "file", Include: "include"}[v.Kind]
	if v.Plain {
		name = "plain"
	}
	return name + " " + v.Text
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		line, name, values string
		err                error
	}{
		{"root: elzen", "root", "elzen", nil},
		{"Root : elzen", "root", "elzen", nil},
		{"postmaster:root", "postmaster", "root", nil},
		{`"two words": a, b`, "two words", "a, b", nil},
		{`"a:b@c": x`, "a:b@c", "x", nil},
		{"owner-list: :include:/etc/x", "owner-list", ":include:/etc/x", nil},
		{"root elzen", "", "", ErrNoColon},
		{"root@example.org: elzen", "", "", ErrNotLocal},
		{"root:", "", "", ErrNoValue},
		{": x", "", "", ErrNoName},
		{`"root: x`, "", "", ErrQuote},
	} {
		name, values, err := Cut(c.line)
		if name != c.name || values != c.values || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %q, %v", c.line, name, values, err)
		}
	}
}

func TestValuesThatAreNone(t *testing.T) {
	for text, want := range map[string]error{"": ErrNoValue, " , ": ErrNoValue, `"a`: ErrQuote, "(a": ErrQuote, "<a@b": ErrQuote, ":include:x": ErrPath, `\"`: ErrQuote} {
		if v, err := Parse(text); !errors.Is(err, want) {
			t.Errorf("%q: %v %v", text, v, err)
		}
	}
}

func TestLines(t *testing.T) {
	values, err := ParseLines("# members\n\nalice, bob\r\n  carol@example.net\n\t# nobody\n\"|x y\"\n")
	if err != nil || fmt.Sprint(values) != "[{1 alice false 3} {1 bob false 3} {1 carol@example.net false 4} {2 x y false 6}]" {
		t.Errorf("%v %v", values, err)
	}
	if _, err := ParseLines("alice\n\"bob\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

func FuzzAliases(f *testing.F) {
	for _, s := range []string{"root: a, b", `"x": "|a \" b", <c@d>, (e`, `\u: \\\\a`, ":include:/x", "a(b(c)d)e:/f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, values, err := Cut(s); err == nil && (name == "" || values == "" || name != strings.ToLower(name)) {
			t.Errorf("%q: %q %q", s, name, values)
		}
		values, err := Parse(s)
		if err == nil && len(values) == 0 {
			t.Errorf("%q is nothing and no error", s)
		}
		for _, v := range values {
			if v.Kind == 0 || len(v.Text) > len(s) || v.Kind == File && v.Text[0] != '/' {
				t.Errorf("%q: %+v", s, v)
			}
		}
		ParseLines(s)
	})
}

func TestDoubling(t *testing.T) {
	for name, unit := range map[string]string{"names": "alice, ", "blanks": " ", "comments": "(", "closed": "(a)", "quotes": `"a" `, "escapes": `\`, "brackets": "<", "words": "a b ", "addresses": "a@b "} {
		doubling.Check(t, name, 20_000, func(n int) func() {
			text := strings.Repeat(unit, n)
			return func() {
				Parse(text)
				Cut(text)
				ParseLines(text)
			}
		})
	}
}

// An address that is written as a quoted string is read as it was meant.
func TestQuotedLocalParts(t *testing.T) {
	check := func(local string) bool {
		if strings.ContainsAny(local, "\x00\r\n\t ") || local == "" {
			return true
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"@example.org`
		values, err := Parse(quoted)
		return err == nil && len(values) == 1 && values[0] == Value{Kind: Address, Text: quoted}
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}
