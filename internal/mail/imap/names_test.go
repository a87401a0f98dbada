package imap

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestUTF7(t *testing.T) {
	for plain, coded := range map[string]string{
		"INBOX": "INBOX", "a&b": "a&-b", "Entwürfe": "Entw&APw-rfe", "": "", "&": "&-",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-", // RFC 3501 §5.1.3
		"😀":                  "&2D3eAA-", "a\tb": "a&AAk-b",
	} {
		if got := EncodeUTF7(plain); got != coded {
			t.Errorf("encode %q: %q, want %q", plain, got, coded)
		}
		if got, err := DecodeUTF7(coded); got != plain || err != nil {
			t.Errorf("decode %q: %q %v, want %q", coded, got, err, plain)
		}
	}
	for _, bad := range []string{"&AAAA-", "&", "a&", "&AGE-", "&2D0-", "&3gA-", "&-&", "&APw", "&APw-&APw-", "ü", "&AP/-", "&AP==-", "&APx-", "a\x80", "&//8-", "\n", "& -"} {
		if got, err := DecodeUTF7(bad); err == nil {
			t.Errorf("IMAP-009: %q read as %q", bad, got)
		}
	}
}

func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"Entw&APw-rfe", "&AAAA-", "&-&-", "😀&", "&2D3eAA-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if plain, err := DecodeUTF7(s); err == nil && EncodeUTF7(plain) != s {
			t.Errorf("IMAP-009: %q has a second form", s)
		}
		if utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) {
			if back, err := DecodeUTF7(EncodeUTF7(s)); back != s || err != nil {
				t.Errorf("%q became %q %v", s, back, err)
			}
		}
	})
}

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "a/b", true}, {"%", "a/b", false}, {"%", "ab", true}, {"a/%", "a/b", true}, {"a/%", "a/b/c", false},
		{"a*c", "a/b/c", true}, {"%/b", "a/b", true}, {"*%", "a/b", true}, {"%*", "a/b", true}, {"%%", "a", true}, {"", "", true}, {"", "a", false},
		{"a%b%c", "axbxc", true}, {"a%b*c", "a/bc", false}, {"a*b%c", "a/b/bc", true}, {"INBOX", "INBOX", true}, {"%o*", "foo/bar", true},
	} {
		if got := NewPattern(c.pattern, '/').Match(c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
}

// TestLongPattern (IMAP-008): what a pattern says does not depend on where it stands in
// the words of its positions.
func TestLongPattern(t *testing.T) {
	for n := range 200 {
		x := strings.Repeat("x", n)
		for _, c := range []struct{ pattern, name string }{
			{"a%b*c", "a-bc"}, {"a%b*c", "a/bc"}, {"%*b%", "ab/bc"}, {"*b%", "a/b/c"}, {"*a*a*a", "aa/aa"}, {"%", "/"}, {"*", ""}, {"ab", "ac"},
		} {
			if got, want := NewPattern(x+c.pattern, '/').Match(x+c.name), naive(c.pattern, c.name); got != want {
				t.Errorf("%d octets, %q on %q: %v", n, c.pattern, c.name, got)
			}
		}
	}
	if p := NewPattern(strings.Repeat("*a", maxPattern/2), '/'); !p.Match(strings.Repeat("ba", maxPattern/2)) || p.Match(strings.Repeat("b", maxPattern)) {
		t.Error("the longest pattern")
	}
	if NewPattern(strings.Repeat("a", maxPattern+1), '/').Match(strings.Repeat("a", maxPattern+1)) {
		t.Error("a pattern that is too long")
	}
}

// naive is the definition of a pattern, written down.
func naive(p, name string) bool {
	if p == "" {
		return name == ""
	}
	if isWild(p[0]) {
		return naive(p[1:], name) || name != "" && (p[0] == '*' || name[0] != '/') && naive(p, name[1:])
	}
	return name != "" && p[0] == name[0] && naive(p[1:], name[1:])
}

func FuzzPattern(f *testing.F) {
	f.Add("a%b*c", "a/bc/c")
	f.Add("*%*", "/")
	f.Fuzz(func(t *testing.T, p, name string) {
		if len(p) > 10 || len(name) > 12 {
			return
		}
		if got, want := NewPattern(p, '/').Match(name), naive(p, name); got != want {
			t.Errorf("%q on %q: %v, want %v", p, name, got, want)
		}
	})
}

func TestSequenceSet(t *testing.T) {
	for _, c := range []struct {
		set  SequenceSet
		last uint32
		want string
	}{
		{SequenceSet{{1, Star}}, 10, "1:10"}, {SequenceSet{{Star, 1}}, 10, "1:10"}, {SequenceSet{{15, Star}}, 10, "10:15"},
		{SequenceSet{{Star, Star}}, 0, ""}, {SequenceSet{{1, Star}}, 0, ""}, {SequenceSet{{5, 3}, {1, 2}, {6, 6}, {9, 9}}, 9, "1:6,9"},
		{SequenceSet{{1, 4294967295}, {7, 7}}, 1, "1:4294967295"}, {SequenceSet{{4294967295, 4294967295}, {1, 1}}, 1, "1,4294967295"},
	} {
		if got := c.set.Resolve(c.last).String(); got != c.want {
			t.Errorf("IMAP-005: %v with %d: %q, want %q", c.set, c.last, got, c.want)
		}
	}
	if got := Runs([]uint32{3, 4, 5, 9, 1, 2}).String(); got != "3:5,9,1:2" {
		t.Error(got)
	}
}

// TestSequenceSetLaws compares the algebra with sets of numbers.
func TestSequenceSetLaws(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var set SequenceSet
		last := rng.Uint32N(20)
		for range 1 + rng.IntN(6) {
			set = append(set, Range{rng.Uint32N(25), rng.Uint32N(25)})
		}
		checkLaws(t, set, last)
	}
}

func checkLaws(t *testing.T, set SequenceSet, last uint32) {
	t.Helper()
	rs := set.Resolve(last)
	for i, r := range rs {
		if r.From == 0 || r.From > r.To || i > 0 && uint64(rs[i-1].To)+1 >= uint64(r.From) {
			t.Fatalf("%v with %d: %v is not in order", set, last, rs)
		}
	}
	for n := uint32(0); n < 40; n++ {
		want := slices.ContainsFunc(set, func(r Range) bool {
			a, b := r.From, r.To
			if a == Star {
				a = last
			}
			if b == Star {
				b = last
			}
			return min(a, b) > 0 && min(a, b) <= n && n <= max(a, b)
		})
		if rs.Contains(n) != want {
			t.Fatalf("%v with %d: %d in %v is %v", set, last, n, rs, !want)
		}
	}
	if again := SequenceSet(rs).Resolve(last); !slices.Equal(again, rs) || !slices.Equal(rs.Union(rs), rs) {
		t.Fatalf("%v: resolving twice gives %v", rs, again)
	}
}

func FuzzSequenceSet(f *testing.F) {
	f.Add("1:*,5,4294967295:3", uint32(7))
	f.Add("*:1,2:4", uint32(0))
	f.Fuzz(func(t *testing.T, text string, last uint32) {
		d, _ := decoder("", AfterLogin())
		d.line = []byte(text)
		if set := d.sequenceSet(); d.err == nil {
			checkLaws(t, set, last)
		}
	})
}
