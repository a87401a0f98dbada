package policy

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

var ctx = context.Background()

func openTest(t testing.TB, path string, now func() time.Time) *Store {
	t.Helper()
	d, err := db.Open(path, Tables().Migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	s, err := open(ctx, d, event.Discard, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func who(s string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

func set(t testing.TB, s *Store, match string, priority int, pairs ...string) {
	t.Helper()
	_, err := s.Change(ctx, match, func(p *Policy) error {
		p.Priority = priority
		for _, pair := range pairs {
			key, value, _ := strings.Cut(pair, "=")
			if err := p.Set(key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func level5(l float64) *float64 { return &l }

// TestEachValueFromTheFirstThatSaysIt (rows 189, 191): policies by priority, and what one
// does not say comes from the next.
func TestEachValueFromTheFirstThatSaysIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "facteur.db")
	s := openTest(t, path, time.Now)
	base := Default()
	base.Junk, base.Languages = 6, []string{"de"}
	s.Declare(Settings{Default: base, Policies: []Policy{
		{Match: "@example.org", Priority: 5, Kill: level5(20), SubjectTag: "[SPAM] "},
		{Match: ".", Cutoff: level5(40), Destinies: map[Category]Destiny{BadHeader: Quarantine}},
	}})
	set(t, s, "alice@example.org", 7, "junk=3.5", "subject_tag=none")
	set(t, s, "@.example.org", 9, "destinies.spam=discard", "greylist=false", "languages=fr,en")
	set(t, s, "bob@example.org", 10, "languages=none", "greylist=true")
	set(t, s, "@sub.example.org", 0, "quarantine_to=abuse@example.org", "notify=virus,spam")

	for range 2 { // and after a restart
		e := s.Effective(ctx, who("Alice@Example.ORG")).Value()
		if e.Junk != 3.5 || e.Kill != 20 || e.Cutoff != 40 || e.SubjectTag != "" || e.Destinies[Spam] != Discard || e.Destinies[BadHeader] != Quarantine || e.Destinies[Virus] != Quarantine || e.Mark != Always {
			t.Errorf("alice: %+v", e)
		}
		for key, want := range map[string]Origin{
			"junk": {"alice@example.org", FromDatabase}, "kill": {"@example.org", FromFile}, "subject_tag": {"alice@example.org", FromDatabase},
			"cutoff": {".", FromFile}, "destinies.spam": {"@.example.org", FromDatabase}, "mark": {"", Builtin},
		} {
			if e.Origins[key] != want {
				t.Errorf("alice's %s is from %+v; want %+v", key, e.Origins[key], want)
			}
		}
		if e.Greylist || !slices.Equal(e.Languages, []string{"fr", "en"}) || e.Text("languages") != "fr,en" || e.Text("greylist") != "false" {
			t.Errorf("alice: %+v", e)
		}
		e = s.Effective(ctx, who("bob@example.org")).Value()
		if !e.Greylist || e.Languages != nil || e.Text("languages") != None {
			t.Errorf("bob, who takes it back: %+v", e)
		}
		e = s.Effective(ctx, who("bob@sub.example.org")).Value()
		if e.Junk != 6 || e.Kill != 12 || e.Destinies[Spam] != Discard || e.QuarantineTo != who("abuse@example.org") || !slices.Equal(e.Notify, []Category{Virus, Spam}) {
			t.Errorf("bob: %+v", e)
		}
		e = s.Effective(ctx, who("bob@example.net")).Value()
		if !e.Greylist || !slices.Equal(e.Languages, []string{"de"}) || e.Destinies[Spam] != Reject || e.Text("quarantine_to") != None || e.Cutoff != 40 {
			t.Errorf("example.net: %+v", e)
		}
		declared := s.declared
		s = openTest(t, path, time.Now)
		s.Declare(declared)
	}
	if _, err := s.Change(ctx, "alice@example.org", func(p *Policy) error { return p.Unset("junk") }); err != nil {
		t.Fatal(err)
	}
	if e := s.Effective(ctx, who("alice@example.org")).Value(); e.Junk != 6 {
		t.Errorf("unset, junk is %g; want the server's", e.Junk)
	}
	if err := s.Remove(ctx, "alice@example.org"); err != nil {
		t.Fatal(err)
	}
	if e := s.Effective(ctx, who("alice@example.org")).Value(); e.SubjectTag != "[SPAM] " {
		t.Errorf("removed, the tag is %q", e.SubjectTag)
	}
}

// TestEmptyValueOverridesNothing (row 191): the text's own trouble, in which an empty field
// of a user's policy took the quarantine away.
func TestEmptyValueOverridesNothing(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "facteur.db"), time.Now)
	s.Declare(Settings{Default: Default(), Policies: []Policy{
		{Match: "alice@example.org", Priority: 10, Destinies: map[Category]Destiny{Spam: ""}, Notify: []string{}},
		{Match: ".", QuarantineTo: "spam@example.org", SubjectTag: "[SPAM] ", Destinies: map[Category]Destiny{Spam: Quarantine}, Notify: []string{"spam"}},
	}})
	e := s.Effective(ctx, who("alice@example.org")).Value()
	if e.QuarantineTo.IsNull() || e.SubjectTag == "" || e.Destinies[Spam] != Quarantine || len(e.Notify) != 1 {
		t.Errorf("empty fields overrode: %+v", e)
	}
	if _, err := s.Change(ctx, "bob@example.org", func(p *Policy) error { return p.Set("quarantine_to", "") }); err == nil {
		t.Error("an empty value was taken")
	}
}

// TestFileKeepsWhatItDeclares: as with domains, only the file changes it.
func TestFileKeepsWhatItDeclares(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "facteur.db"), time.Now)
	set(t, s, "@example.org", 0, "junk=4", "kill=9")
	s.Declare(Settings{Default: Default(), Policies: []Policy{{Match: "@example.org", Junk: level5(7)}},
		Entries: []Entry{{Match: ".", Sender: "@good.example", Kind: Allow}}})
	if e := s.Effective(ctx, who("a@example.org")).Value(); e.Junk != 7 || e.Kill != 9 {
		t.Errorf("junk %g, kill %g; want the file's 7, and the database's 9 where it says nothing", e.Junk, e.Kill)
	}
	if err := s.Remove(ctx, "@EXAMPLE.org"); !errors.Is(err, ErrFile) {
		t.Errorf("removed the file's policy: %v", err)
	}
	if err := s.Take(ctx, Entry{Match: ".", Sender: "@good.example"}); !errors.Is(err, ErrFile) {
		t.Errorf("removed the file's entry: %v", err)
	}
	if _, err := s.Add(ctx, Entry{Match: ".", Sender: "@Good.example", Kind: Block}); !errors.Is(err, ErrFile) {
		t.Errorf("overrode the file's entry: %v", err)
	}
	if err := s.Remove(ctx, "@example.net"); !errors.Is(err, ErrNone) {
		t.Errorf("removed what is not there: %v", err)
	}
}

// TestWrongPolicies: what can't be meant is refused, and named.
func TestWrongPolicies(t *testing.T) {
	for _, c := range []struct{ match, key, value, want string }{
		{"example.org", "junk", "5", "@domain"},
		{"@", "junk", "5", "@"},
		{".", "junk", "five", "score"},
		{".", "junk", "NaN", "score"},
		{".", "tag2_level", "5", "junk"},
		{".", "destinies.spam", "bounce", "not offered"},
		{".", "destinies.spam", "D_PASS", "no destiny"},
		{".", "destinies.ham", "pass", "nothing that a policy says"},
		{".", "subject_tag", "[SPAM]\r\nBcc: x", "printable"},
		{".", "quarantine_to", "nobody", "address"},
		{".", "notify", "spam,none", "no category"},
		{".", "greylist", "never", "true or false"},
		{".", "languages", "french", "two letters"},
		{".", "languages", "fr,jp", "\"jp\": expected codes"},
		{".", "languages", "fr,none", "alone"},
	} {
		p := Policy{Match: c.match}
		err := p.Set(c.key, c.value)
		if err == nil {
			_, err = p.Check()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s=%q: %v; want an error with %q", c.match, c.key, c.value, err, c.want)
		}
	}
}

// TestLists (row 190): who decides of several entries that name a letter.
func TestLists(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	path := filepath.Join(t.TempDir(), "facteur.db")
	s := openTest(t, path, func() time.Time { return now })
	for _, e := range []Entry{
		{Match: ".", Sender: "@.evil.example", Kind: Block},
		{Match: "alice@example.org", Sender: "@news.evil.example", Kind: Allow},
		{Match: "@example.org", Sender: "boss@evil.example", Kind: Allow, Priority: 3},
		{Match: "alice@example.org", Sender: "boss@evil.example", Kind: Block},
		{Match: ".", Network: netip.MustParsePrefix("192.0.2.0/24"), Kind: Allow},
		{Match: ".", Network: netip.MustParsePrefix("2001:db8::/32"), Kind: Block},
		{Match: ".", Sender: "@relay.example", Network: netip.MustParsePrefix("198.51.100.7/32"), Kind: Allow},
		{Match: ".", Sender: "@soft.example", Kind: Soft, Score: 2},
		{Match: "@example.org", Sender: "x@soft.example", Kind: Soft, Score: -1.5},
		{Match: ".", Sender: "@.soft.example", Kind: Soft, Score: 7},
		{Match: ".", Sender: "@gone.example", Kind: Block, Until: now.Add(time.Hour)},
	} {
		if _, err := s.Add(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, c := range []struct {
			to, from, client string
			forged           bool
			kind             Kind
			score            float64
		}{
			{"bob@example.org", "x@evil.example", "203.0.113.1", false, Block, 0},
			{"bob@example.org", "x@a.b.evil.example", "203.0.113.1", false, Block, 0},
			{"bob@example.org", "x@notevil.example", "203.0.113.1", false, "", 0},
			{"Alice@example.org", "X@News.evil.example", "203.0.113.1", false, Allow, 0},
			{"alice@example.org", "x@news.evil.example", "203.0.113.1", true, Block, 0}, // the allowance is not for forgers
			{"alice@example.org", "boss@evil.example", "203.0.113.1", false, Allow, 0},  // the greater priority
			{"bob@example.net", "boss@evil.example", "203.0.113.1", false, Block, 0},
			{"bob@example.net", "x@plain.example", "192.0.2.77", false, Allow, 0},
			{"bob@example.net", "x@plain.example", "::ffff:192.0.2.77", false, Allow, 0},
			{"bob@example.net", "x@plain.example", "2001:db8::1", false, Block, 0},
			{"bob@example.net", "x@relay.example", "198.51.100.8", false, "", 0},
			{"bob@example.net", "x@relay.example", "198.51.100.7", false, Allow, 0},
			{"bob@example.net", "x@soft.example", "203.0.113.1", false, "", 2}, // that for fewer, of one list
			{"bob@example.org", "x@soft.example", "203.0.113.1", false, "", 0.5},
			{"bob@example.org", "x@soft.example", "203.0.113.1", true, "", 2}, // what speaks for it is not for forgers
			{"bob@example.org", "x@gone.example", "203.0.113.1", false, Block, 0},
		} {
			l := s.Listed(ctx, who(c.to), From{netip.MustParseAddr(c.client), []Sender{{who(c.from), c.forged}}}).Value()
			if l.Kind != c.kind || l.Score != c.score {
				t.Errorf("%s from %s [%s]: %q by %q of %q, score %g; want %q, %g", c.to, c.from, c.client, l.Kind, l.By.What(), l.By.Match, l.Score, c.kind, c.score)
			}
		}
		s = openTest(t, path, func() time.Time { return now })
	}
	now = now.Add(time.Hour)
	if l := s.Listed(ctx, who("bob@example.org"), From{Senders: []Sender{{Address: who("x@gone.example")}}}); l.Value().Kind != "" {
		t.Errorf("an entry outlived its end: %+v", l.Value())
	}
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Entries(""); err != nil || len(all) != 10 {
		t.Errorf("%d entries are left, %v; want 10", len(all), err)
	}
}

// TestParseSender: what people write.
func TestParseSender(t *testing.T) {
	for _, c := range []struct{ in, sender, network, out string }{
		{"Alice@Example.ORG", "alice@example.org", "", "alice@example.org"},
		{"@Example.org", "@example.org", "", "@example.org"},
		{"@.example.org", "@.example.org", "", "@.example.org"},
		{"192.0.2.1", "", "192.0.2.1/32", "192.0.2.1/32"},
		{"192.0.2.1/24", "", "192.0.2.0/24", "192.0.2.0/24"},
		{"2001:db8::1", "", "2001:db8::1/128", "2001:db8::1/128"},
		{"@example.org[192.0.2.1/24]", "@example.org", "192.0.2.0/24", "@example.org[192.0.2.0/24]"},
		{"x@[192.0.2.1]", "x@[192.0.2.1]", "", "x@[192.0.2.1]"},
	} {
		sender, network, err := ParseSender(c.in)
		e := Entry{Sender: sender, Network: network}
		if err != nil || sender != c.sender || networkText(network) != c.network || e.What() != c.out {
			t.Errorf("%q: %q %q, shown as %q, %v; want %q %q %q", c.in, sender, networkText(network), e.What(), err, c.sender, c.network, c.out)
		}
	}
	for _, in := range []string{"", "example.org", "@", "@.", "a@b@", "192.0.2.0/33", "@example.org[x]", "fe80::1%eth0"} {
		if sender, network, err := ParseSender(in); err == nil {
			t.Errorf("%q was taken as %q %v", in, sender, network)
		}
	}
}

// TestListsAreBounded: nobody fills the memory with his list.
func TestListsAreBounded(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "facteur.db"), time.Now)
	for i := range ListMax {
		e := Entry{Match: "a@example.org", Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), Kind: Block}
		s.entries[e.key()] = e
	}
	e := Entry{Match: "a@example.org", Sender: "@one.example", Kind: Block}
	if _, err := s.Add(ctx, e); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	e.Match = "b@example.org"
	if _, err := s.Add(ctx, e); err != nil {
		t.Errorf("another's list: %v", err)
	}
}

// BenchmarkJudging is what a recipient of a letter costs.
func BenchmarkJudging(b *testing.B) {
	s := openTest(b, filepath.Join(b.TempDir(), "facteur.db"), time.Now)
	for i := range 1000 {
		e := Entry{Match: ".", Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), Kind: Block, Source: FromDatabase}
		s.entries[e.key()] = e
	}
	set(b, s, "@example.org", 0, "junk=4")
	account, from := who("alice@example.org"), From{netip.MustParseAddr("192.0.2.1"), []Sender{{who("x@mail.example.net"), false}, {who("y@example.com"), false}}}
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Effective(ctx, account).Value()
		_ = s.Listed(ctx, account, from).Value()
	}
}

// TestTrial: a policy on trial changes nothing for anybody, and what would hold by it is
// known; it stands beside the one that it may replace.
func TestTrial(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "facteur.db"), time.Now)
	s.Declare(Settings{Default: Default(), Policies: []Policy{
		{Match: "@example.org", Junk: level5(6), SubjectTag: "[SPAM] "},
		{Match: "@example.org", Junk: level5(3), TestOnly: new(true)},
	}})
	e := s.Effective(ctx, who("alice@example.org")).Value()
	if e.Junk != 6 || e.TestOnly || e.Tried == nil || e.Tried.Junk != 3 || e.Tried.SubjectTag != "[SPAM] " || !e.Tried.TestOnly {
		t.Errorf("%+v, on trial %+v", e, e.Tried)
	}
	if e := s.Effective(ctx, who("alice@example.net")).Value(); e.Tried != nil {
		t.Errorf("it is on trial for others: %+v", e.Tried)
	}
	set(t, s, "@example.net", 0, "junk=2", "test_only=true")
	if e := s.Effective(ctx, who("alice@example.net")).Value(); e.Junk != 5 || e.Tried == nil || e.Tried.Junk != 2 {
		t.Errorf("that of the database: %+v, on trial %+v", e, e.Tried)
	}
	set(t, s, "anna@example.net", 0, "test_only=false")
	if e := s.Effective(ctx, who("anna@example.net")).Value(); e.Junk != 2 || e.TestOnly || e.Tried != nil {
		t.Errorf("what is on trial for the domain is not for one account: %+v, on trial %+v", e, e.Tried)
	}
	if e := s.Effective(ctx, who("alice@example.net")).Value(); e.Junk != 5 || e.Tried == nil {
		t.Errorf("it still is for others: %+v", e)
	}
}
