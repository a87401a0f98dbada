package batv

import (
	"errors"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/test/doubling"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

func TestSign(t *testing.T) {
	k := Keys{[]byte("new"), []byte("old")}
	a := parse(t, "Bob+x@example.org")
	made, err := k.Sign(a, noon)
	if err != nil || !strings.HasPrefix(made.Local, "prvs=0") || !strings.HasSuffix(made.Local, "=Bob+x") || len(made.Local) != len("prvs=KDDDSSSSSS=Bob+x") {
		t.Fatalf("%s, %v", made, err)
	}
	old, _ := k[1:].Sign(a, noon)
	for _, c := range []struct {
		name string
		in   address.Address
		at   time.Time
		want error
	}{
		{"good", made, noon, nil},
		{"its last day", made, noon.AddDate(0, 0, 7), nil},
		{"expired", made, noon.AddDate(0, 0, 8), ErrExpired},
		{"expired long ago", made, noon.AddDate(0, 0, 500), ErrExpired},
		{"an old key", old, noon, nil},
		{"in lower case", address.Address{Local: strings.ToLower(made.Local), Domain: made.Domain}, noon, nil},
		{"in upper case", address.Address{Local: strings.ToUpper(made.Local), Domain: made.Domain}, noon, nil},
		{"REL-015 another user", address.Address{Local: strings.Replace(made.Local, "Bob", "Eve", 1), Domain: made.Domain}, noon, ErrSignature},
		{"REL-015 another domain", address.Address{Local: made.Local, Domain: "example.com"}, noon, ErrSignature},
		{"REL-015 another day", address.Address{Local: "prvs=0000" + made.Local[9:], Domain: made.Domain}, noon, ErrSignature},
		{"REL-015 unsigned", a, noon, ErrUnsigned},
		{"a mark that is short", address.Address{Local: "prvs=0123abcde=bob", Domain: made.Domain}, noon, ErrUnsigned},
		{"letters where digits are", address.Address{Local: "prvs=a123abcdef=bob", Domain: made.Domain}, noon, ErrUnsigned},
		{"a mark without user", address.Address{Local: "prvs=0123abcdef=", Domain: made.Domain}, noon, ErrUnsigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := k.Verify(c.in, c.at)
			if !errors.Is(err, c.want) || err == nil && got.Key() != a.Key() {
				t.Errorf("Verify(%s) = %s, %v; want %v", c.in, got, err, c.want)
			}
		})
	}
	if _, err := k[:1].Verify(old, noon); !errors.Is(err, ErrSignature) {
		t.Errorf("a key that is gone: %v", err)
	}
}

func TestTooLong(t *testing.T) {
	k := Keys{[]byte("key")}
	for n, fits := range map[int]bool{48: true, 49: false, 64: false} {
		a := parse(t, strings.Repeat("a", n)+"@example.org")
		got, err := k.Sign(a, noon)
		if CanSign(a) != fits || (err == nil) != fits || !fits && got != a {
			t.Errorf("%d octets: %s, %v, CanSign %v", n, got, err, CanSign(a))
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, s := range []string{"bob@x", "prvs=0123abcdef=bob@x", `"a b"@x`, "prvs=@x", "PRVS=0123ABCDEF=b@x", "é@x"} {
		f.Add(s)
	}
	k := Keys{[]byte("key")}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := address.Parse(text)
		if err != nil {
			return
		}
		if got, err := k.Verify(a, noon); err == nil {
			t.Errorf("%s is none of ours, and gave %s", a, got)
		}
		if made, err := k.Sign(a, noon); err == nil {
			if got, err := k.Verify(made, noon); err != nil || got != a {
				t.Errorf("%s became %s, then %s, %v", a, made, got, err)
			}
		}
	})
}

func TestDoubles(t *testing.T) {
	k := Keys{[]byte("key")}
	for _, unit := range []string{"=", "prvs=", "a"} {
		doubling.Check(t, unit, 1<<14, func(n int) func() {
			a := address.Address{Local: "prvs=0123abcdef=" + strings.Repeat(unit, n/len(unit)), Domain: "x"}
			return func() { k.Verify(a, noon) }
		})
	}
}
