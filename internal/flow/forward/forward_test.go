package forward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/batv"
	"facteur/internal/mail/srs"
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

func rules() *Rules {
	keys := [][]byte{[]byte("key")}
	return &Rules{
		SRS:     &srs.Scheme{Domain: "srs.example.org", Secrets: keys, Hash: srs.DefaultHash, Days: srs.DefaultDays},
		Exclude: []string{"excluded.example", ".partner.example"}, Marks: MarkKeys(keys),
		Ours: func(_ context.Context, domain string) lookup.Answer[bool] {
			switch {
			case domain == "down.example":
				return lookup.Later[bool](errors.New("down"))
			case strings.HasSuffix(domain, "example.org"):
				return lookup.Yes(true)
			}
			return lookup.No[bool](nil)
		},
	}
}

func TestSender(t *testing.T) {
	r, long := rules(), strings.Repeat("a", 60)+"@sender.example"
	for _, c := range []struct {
		name, from string
		changed    bool
	}{
		{"row 207", "alice@sender.example", true},
		{"row 208", "alice@excluded.example", false},
		{"row 208 only this domain", "alice@sub.excluded.example", true},
		{"row 208 below", "alice@a.partner.example", false},
		{"row 208 not itself", "alice@partner.example", true},
		{"row 210 our own", "alice@example.org", false},
		{"already rewritten by us", "SRS0=x@srs.example.org", false},
		{"rewritten elsewhere", "SRS0=a=b=c=d@other.example", true},
		{"the directory is down", "alice@down.example", true},
		{"too long to be rewritten", long, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Sender(t.Context(), parse(t, c.from), noon)
			if changed := got != parse(t, c.from); changed != c.changed || (err != nil) != (c.from == long) {
				t.Errorf("%s became %s, %v", c.from, got, err)
			}
			if back := r.Original(t.Context(), got, noon); c.changed && !strings.HasPrefix(c.from, "SRS") && back.String() != c.from {
				t.Errorf("%s came back as %s", got, back)
			}
		})
	}
	var none *Rules
	if got, err := none.Sender(t.Context(), parse(t, "a@b"), noon); err != nil || got != parse(t, "a@b") || none.IsRewritten(got) {
		t.Errorf("without rules: %s, %v", got, err)
	}
}

func TestMarks(t *testing.T) {
	r := rules()
	alice := parse(t, "alice@example.org")
	marked := r.Mark(t.Context(), alice, noon)
	if marked == alice || r.Bare(t.Context(), marked) != alice || r.Original(t.Context(), marked, noon) != alice {
		t.Fatalf("marked: %s", marked)
	}
	for _, c := range []struct {
		name, to string
		want     error
	}{
		{"ours", marked.String(), nil},
		{"REL-015 none", "alice@example.org", batv.ErrUnsigned},
		{"REL-015 wrong", "prvs=0123abcdef=alice@example.org", batv.ErrSignature},
		{"another domain", "alice@sender.example", nil},
		{"another domain's mark", "prvs=0123abcdef=alice@sender.example", nil},
		{"everybody may write to the postmaster", "Postmaster@example.org", nil},
		{"too long for a mark", strings.Repeat("a", 60) + "@example.org", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.CheckMark(t.Context(), parse(t, c.to), noon)
			if got.State() != lookup.Found || !errors.Is(got.Value(), c.want) || c.want == nil && got.Value() != nil {
				t.Errorf("%s: %v %v", c.to, got.State(), got.Value())
			}
		})
	}
	if got := r.CheckMark(t.Context(), parse(t, "a@down.example"), noon); got.State() != lookup.TryAgain {
		t.Errorf("the directory is down: %v", got.State())
	}
	if foreign := parse(t, "prvs=0123abcdef=a@sender.example"); r.Bare(t.Context(), foreign) != foreign {
		t.Error("a mark that is not ours was taken off")
	}
	r.Marked = []string{"other.example"}
	if got := r.Mark(t.Context(), alice, noon); got != alice {
		t.Errorf("a domain that carries no marks: %s", got)
	}
	r.Marks = nil
	if got := r.CheckMark(t.Context(), alice, noon); got.Value() != nil {
		t.Errorf("BATV is off: %v", got.Value())
	}
}

// REL-016: an address forwards so much in an hour, whenever that began.
func TestPace(t *testing.T) {
	p, now := NewPace(), noon
	for i := range 10 {
		if p.Full("a", 10, now) {
			t.Fatalf("full after %d", i)
		}
		p.Add("a", now)
	}
	if !p.Full("a", 10, now) || p.Full("b", 10, now) {
		t.Error("the eleventh")
	}
	if now = noon.Add(59 * time.Minute); !p.Full("a", 10, now) {
		t.Error("within the hour")
	}
	if now = noon.Add(61 * time.Minute); p.Full("a", 10, now) || !p.Full("a", 9, now) {
		t.Error("just after the hour most of it counts")
	}
	if now = noon.Add(90 * time.Minute); p.Full("a", 6, now) || !p.Full("a", 5, now) {
		t.Error("half an hour later half of it counts")
	}
	if now = noon.Add(3 * time.Hour); p.Full("a", 1, now) {
		t.Error("later nothing counts")
	}
	for i := range paceMax + 1000 {
		p.Add(fmt.Sprint(i), now)
	}
	if len(p.now) > paceMax {
		t.Errorf("%d addresses are remembered", len(p.now))
	}
}
