package srs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/test/doubling"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func scheme(domain string, secrets ...string) *Scheme {
	s := &Scheme{Domain: domain, Hash: DefaultHash, Days: DefaultDays}
	for _, secret := range secrets {
		s.Secrets = append(s.Secrets, []byte(secret))
	}
	return s
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

// TestForward are the forms, row 207. That postsrsd reads them, hashes and all, is shown in
// internal/test/interop.
func TestForward(t *testing.T) {
	s := scheme("srs.example.net", "secret")
	for _, c := range []struct{ name, in, prefix, suffix string }{
		{"SRS0", "Alice@example.org", "SRS0=", "=example.org=Alice@srs.example.net"},
		{"with a separator in it", "a=b+c@example.org", "SRS0=", "=example.org=a=b+c@srs.example.net"},
		{"SRS0 of somebody else", "SRS0=hash=TT=example.org=bob@other.example", "SRS1=", "=other.example==hash=TT=example.org=bob@srs.example.net"},
		{"with another separator", "srs0+hash=TT=example.org=bob@other.example", "SRS1=", "=other.example=+hash=TT=example.org=bob@srs.example.net"},
		{"SRS1 keeps the first host", "SRS1=abcd=first.example==hash=TT=example.org=bob@second.example", "SRS1=", "=first.example==hash=TT=example.org=bob@srs.example.net"},
		{"SRS1 that is none", "SRS1=abcd@second.example", "SRS0=", "=second.example=SRS1=abcd@srs.example.net"},
		{"quoted", `"a b"@example.org`, `"SRS0=`, `=example.org=a b"@srs.example.net`},
		{"literal", "u@[192.0.2.1]", `"SRS0=`, `=[192.0.2.1]=u"@srs.example.net`},
		{"our own", "x@srs.example.net", "x", "@srs.example.net"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Forward(parse(t, c.in), noon)
			if text := got.String(); err != nil || !strings.HasPrefix(text, c.prefix) || !strings.HasSuffix(text, c.suffix) {
				t.Errorf("Forward(%s) = %s, %v; want %s…%s", c.in, text, err, c.prefix, c.suffix)
			}
		})
	}
	if got, err := s.Forward(address.Address{}, noon); err != nil || !got.IsNull() {
		t.Errorf("the null path became %s, %v", got, err)
	}
}

// TestThereAndBack: a bounce finds the sender through one hop, two and three.
func TestThereAndBack(t *testing.T) {
	one, two, three := scheme("one.example", "1"), scheme("two.example", "2"), scheme("three.example", "3")
	from := parse(t, "Alice+x@example.org")
	a, _ := one.Forward(from, noon)
	b, _ := two.Forward(a, noon)
	c, err := three.Forward(b, noon)
	if err != nil {
		t.Fatal(err)
	}
	back, err := three.Reverse(c, noon)
	if err != nil || back != a { // two hops at once: that is what SRS1 is for
		t.Fatalf("three: %s, %v; want %s", back, err, a)
	}
	if back, err = one.Reverse(back, noon.AddDate(0, 0, 21)); err != nil || back != from {
		t.Errorf("one: %s, %v; want %s", back, err, from)
	}
}

// TestTwiceHere: a letter that we send on, that somebody sends back to another of us, and
// that goes on from there.
func TestTwiceHere(t *testing.T) {
	one, two := scheme("one.example", "1"), scheme("two.example", "2")
	from := parse(t, "alice@example.org")
	a, _ := one.Forward(from, noon)
	b, _ := two.Forward(a, noon)
	c, err := one.Forward(b, noon)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := one.Reverse(c, noon); err != nil || back != from {
		t.Errorf("%s: %s, %v; want %s", c, back, err, from)
	}
	// Nobody gets a hash of SRS0 by having one of SRS1.
	forged := parse(t, "SRS1=x=one.example==abcd=TT=victim.example=u@two.example")
	if c, err = one.Forward(forged, noon); err != nil {
		t.Fatal(err)
	}
	if back, err := one.Reverse(c, noon); !errors.Is(err, ErrHash) {
		t.Errorf("REL-001 %s: %s, %v", c, back, err)
	}
}

func TestReverseRefuses(t *testing.T) {
	s := scheme("srs.example.net", "secret")
	made, _ := s.Forward(parse(t, "alice@example.org"), noon)
	other, _ := scheme("srs.example.net", "another").Forward(parse(t, "alice@example.org"), noon)
	long := *s
	long.Hash = 8
	longer, _ := long.Forward(parse(t, "alice@example.org"), noon)
	change := func(old, new string) address.Address {
		return address.Address{Local: strings.Replace(made.Local, old, new, 1), Domain: made.Domain}
	}
	for _, c := range []struct {
		name string
		in   address.Address
		at   time.Time
		want error
	}{
		{"good", made, noon, nil},
		{"its last day", made, noon.AddDate(0, 0, 21), nil},
		{"too old", made, noon.AddDate(0, 0, 22), ErrExpired},
		{"a clock that is behind", made, noon.AddDate(0, 0, -1), nil},
		{"from the future", made, noon.AddDate(0, 0, -2), ErrExpired},
		{"the days come round", made, noon.AddDate(0, 0, 1024+22), ErrExpired},
		{"made with a longer hash", longer, noon, nil},
		{"another secret", other, noon, ErrHash},
		{"another user", change("=alice", "=mallory"), noon, ErrHash},
		{"another host", change("example.org", "example.com"), noon, ErrHash},
		{"a hash that is too short", change(made.Local[5:9], made.Local[5:8]), noon, ErrHash},
		{"an empty hash", change(made.Local[5:9], ""), noon, ErrHash},
		{"a hash that is too long", change(made.Local[5:9], strings.Repeat("x", 28)), noon, ErrHash},
		{"an odd stamp", change(made.Local[9:12], "=1"), noon, ErrSyntax},
		{"nothing behind", address.Address{Local: "SRS0=", Domain: s.Domain}, noon, ErrSyntax},
		{"SRS1 with nothing", address.Address{Local: "SRS1=", Domain: s.Domain}, noon, ErrSyntax},
		{"SRS1 forged", address.Address{Local: "SRS1=abcd=victim.example==x=y=z=u", Domain: s.Domain}, noon, ErrHash},
		{"another domain", address.Address{Local: made.Local, Domain: "example.org"}, noon, ErrForeign},
		{"no SRS", address.Address{Local: "alice", Domain: s.Domain}, noon, ErrForeign},
		{"only its beginning", address.Address{Local: "srs0", Domain: s.Domain}, noon, ErrForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Reverse(c.in, c.at)
			if !errors.Is(err, c.want) || c.want != nil && !got.IsNull() {
				t.Errorf("Reverse(%s) = %s, %v; want %v", c.in, got, err, c.want)
			}
		})
	}
}

// TestFolded: hosts on the way may change the case of a local part.
func TestFolded(t *testing.T) {
	s := scheme("srs.example.net", "secret")
	made, _ := s.Forward(parse(t, "Alice@example.org"), noon)
	for _, local := range []string{strings.ToLower(made.Local), strings.ToUpper(made.Local)} {
		got, err := s.Reverse(address.Address{Local: local, Domain: made.Domain}, noon)
		if err != nil || got.Key() != "alice@example.org" {
			t.Errorf("%s: %s, %v", local, got, err)
		}
	}
}

// TestRotation: what was made with an old secret is good while that is in the list.
func TestRotation(t *testing.T) {
	old, _ := scheme("d.example", "old").Forward(parse(t, "a@example.org"), noon)
	both := scheme("d.example", "new", "old")
	if _, err := both.Reverse(old, noon); err != nil {
		t.Error(err)
	}
	made, _ := both.Forward(parse(t, "a@example.org"), noon)
	if _, err := scheme("d.example", "new").Reverse(made, noon); err != nil {
		t.Errorf("the first secret does not sign: %v", err)
	}
}

// TestTooLong: what would not be an address any more is not made.
func TestTooLong(t *testing.T) {
	s := scheme("srs.example.net", "secret")
	fits := parse(t, strings.Repeat("a", 64-13-len("example.org="))+"@example.org")
	made, err := s.Forward(fits, noon)
	if back, rerr := s.Reverse(made, noon); err != nil || rerr != nil || back != fits {
		t.Errorf("%s: %v, %v", made, err, rerr)
	}
	fits.Local += "a"
	if got, err := s.Forward(fits, noon); !errors.Is(err, ErrTooLong) || !got.IsNull() {
		t.Errorf("got %s, %v", got, err)
	}
}

// FuzzForward: whatever can be rewritten comes back, and nobody else's key opens it.
func FuzzForward(f *testing.F) {
	for _, a := range []string{"alice@example.org", `"a b"@x`, "SRS0=a=b=c=d@e", "SRS1=a=b==c@d", "é@b\u00fccher.example", "u@[192.0.2.1]", "srs0+x@y", "SRS1=@a"} {
		f.Add(a)
	}
	s, thief := scheme("srs.example.net", "secret"), scheme("srs.example.net", "guess")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := address.Parse(text)
		if err != nil {
			return
		}
		s.Reverse(a, noon)
		made, err := s.Forward(a, noon)
		if err != nil || made == a {
			return
		}
		back, err := s.Reverse(made, noon)
		if err != nil {
			t.Fatalf("%s became %s, which is %v", a, made, err)
		}
		if strings.HasPrefix(made.Local, tag0) && back != a {
			t.Errorf("%s became %s, then %s", a, made, back)
		}
		if back, err := thief.Reverse(made, noon); err == nil {
			t.Errorf("another key opened %s: %s", made, back)
		}
	})
}

// FuzzReverse: anything may stand in a RCPT; only what we made is opened.
func FuzzReverse(f *testing.F) {
	s := scheme("srs.example.net", "secret")
	for _, l := range []string{"SRS0=abcd=AA=example.org=a", "SRS1=abcd=host==x", "SRS0", "SRS0=", "SRS1====", "srs0+a=b=c=d"} {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, local string) {
		a := address.Address{Local: local, Domain: s.Domain}
		if got, err := s.Reverse(a, noon); err == nil {
			t.Errorf("%s was opened: %s", a, got)
		}
	})
}

func TestDoubles(t *testing.T) {
	s := scheme("srs.example.net", "secret")
	for _, unit := range []string{"=", "SRS0=", "SRS1=a==", "a", "+", "é"} {
		doubling.Check(t, unit, 1<<14, func(n int) func() {
			a := address.Address{Local: "SRS0=abcd=AA=x=" + strings.Repeat(unit, n/len(unit)), Domain: s.Domain}
			b := address.Address{Local: "SRS1=abcd=x==" + strings.Repeat(unit, n/len(unit)), Domain: s.Domain}
			return func() {
				s.Reverse(a, noon)
				s.Reverse(b, noon)
				s.Forward(a, noon)
				a := a
				a.Domain = "x"
				s.Forward(a, noon)
			}
		})
	}
}
