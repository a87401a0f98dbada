package record

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/policy"
	"facteur/internal/store/reputation"
)

var host = netip.MustParseAddr("203.0.113.7")

func newStore(t testing.TB) *reputation.Store {
	t.Helper()
	d, err := db.Open(filepath.Join(t.TempDir(), "facteur.db"), directory.Migrations(), reputation.Tables())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	s, err := reputation.Open(t.Context(), d, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKeeper(t testing.TB, rules *Rules) (*Keeper, *reputation.Store) {
	s := newStore(t)
	return NewKeeper(s, func() *Rules { return rules }, event.Discard), s
}

// from is what is known of a letter of a domain that signs, from host.
func from(domain string) *filter.Evidence {
	sender := address.Address{Local: "bob", Domain: domain}
	return &filter.Evidence{Client: filter.Client{Addr: host}, Sender: sender, SPFMail: &spf.Result{Status: spf.Pass, Domain: domain},
		DKIM: []dkim.Result{{Status: dkim.Pass, Domain: domain}}, DMARC: dmarc.Result{Asked: domain}}
}

// outcome is a letter with a score, of which the reputation itself gave a part.
func outcome(score, own float64, d filter.Disposition) *filter.Outcome {
	wants := &policy.Effective{Junk: 5, Kill: 12}
	f := filter.Fate{Disposition: d, Wants: wants,
		Tally: filter.Tally{Score: score, Rows: []filter.Counted{{Remark: filter.Remark{Check: Family}, Counts: own}}}}
	return &filter.Outcome{Fates: []filter.Fate{f}, Shown: f, Server: f}
}

// strict is the outcome of a letter that a recipient with a level of his own refuses.
func strict(score float64) *filter.Outcome {
	o := outcome(score, 0, filter.Accept)
	o.Shown.Disposition, o.Shown.Wants = filter.Reject, &policy.Effective{Junk: 1, Kill: 2}
	return o
}

// wanted is that of one that a recipient's list lets in.
func wanted(score float64) *filter.Outcome {
	o := outcome(score, 0, filter.Reject)
	o.Fates[0].Disposition, o.Fates[0].Allowed = filter.Accept, true
	return o
}

// scoreOf is what the checks say of a letter.
func scoreOf(t testing.TB, s *reputation.Store, e *filter.Evidence) (sum float64, text string) {
	t.Helper()
	l := &filter.Letter{Client: e.Client, Evidence: e, Now: time.Now()}
	for _, c := range []filter.Check{Clients{s}, Senders{s}} {
		for _, r := range c.Examine(context.Background(), l) {
			sum, text = sum+r.Score, text+r.Sentence+"\n"
		}
	}
	return sum, text
}

// row 178: who is new or small is nobody's enemy, good senders are helped, bad ones are not.
func TestWhatARecordCounts(t *testing.T) {
	k, s := newKeeper(t, &Rules{Bans: true})
	if n, text := scoreOf(t, s, from("new.example")); n != 0 || text != "" {
		t.Errorf("a new sender: %v, %s", n, text)
	}
	k.Weighed(from("small.example"), outcome(6, 0, filter.Junk))
	k.Weighed(from("small.example"), outcome(0, 0, filter.Accept))
	if n, text := scoreOf(t, s, from("small.example")); n != 0 {
		t.Errorf("a small sender with one letter in junk: %v, %s", n, text)
	}
	for range 39 {
		k.Weighed(from("friend.example"), outcome(0.3, 0, filter.Accept))
	}
	for range 2 {
		k.Weighed(from("friend.example"), outcome(6, 0, filter.Junk))
	}
	n, text := scoreOf(t, s, from("friend.example"))
	if n > -2 || !strings.Contains(text, "@friend.example has sent 41 letters in 1 day, 2 of them spam.") {
		t.Errorf("a friend: %v, %s", n, text)
	}
	for range 30 {
		k.Weighed(from("bad.example"), outcome(14, 0, filter.Reject))
	}
	if n, text := scoreOf(t, s, from("bad.example")); n < 2 {
		t.Errorf("who sends nothing but spam: %v, %s", n, text)
	}
}

// A bad name does not feed itself: what it adds is taken off before anything is learnt.
func TestABadNameDoesNotFeedItself(t *testing.T) {
	k, s := newKeeper(t, &Rules{Bans: true})
	for range 20 {
		k.Weighed(from("odd.example"), outcome(6, 4.5, filter.Junk))
	}
	if r, _ := s.Record(reputation.Proven("odd.example")); r.Bad != 0 || r.Spam != 0 {
		t.Errorf("%+v", r)
	}
}

// ABU-017: a letter each from hundreds of addresses: content decides about the first of a
// network, then the network counts, too; nobody is banned for one letter, and the domain
// that signs all of them is known.
func TestSnowshoe(t *testing.T) {
	t.Run("ABU-017 500 addresses", func(t *testing.T) {
		k, s := newKeeper(t, &Rules{Bans: true})
		for i := range 500 {
			e := from("snow.example")
			e.Client.Addr = netip.AddrFrom4([4]byte{203, 0, byte(i / 50), byte(i % 50)})
			k.Weighed(e, outcome(13, 0, filter.Reject))
		}
		if bans := s.Bans(); len(bans) != 0 {
			t.Errorf("%d are banned for one letter each", len(bans))
		}
		next := from("other.example")
		next.Client.Addr = netip.MustParseAddr("203.0.5.200")
		n, text := scoreOf(t, s, next)
		if n < 0.4 || n > 0.7 {
			t.Errorf("the next host of such a network: %v, %s", n, text)
		}
		if n, _ := scoreOf(t, s, from("snow.example")); n < 2 {
			t.Errorf("the domain of them: %v", n)
		}
		elsewhere := from("honest.example")
		elsewhere.Client.Addr = netip.MustParseAddr("198.51.100.1")
		if n, text := scoreOf(t, s, elsewhere); n != 0 {
			t.Errorf("somebody else: %v, %s", n, text)
		}
	})
}

// Bans are for hard evidence, and spare those whom the admin and the world know.
func TestRefuses(t *testing.T) {
	postmaster := "postmaster@example.org"
	rules := &Rules{Bans: true, Postmaster: func(context.Context) string { return postmaster }, Exempt: []netip.Prefix{netip.MustParsePrefix("203.0.113.128/25")},
		Preapproved: func(a netip.Addr) bool { return a == netip.MustParseAddr("198.51.100.1") }}
	k, _ := newKeeper(t, rules)
	for text, want := range map[string]bool{"203.0.113.7": true, "203.0.113.200": false, "198.51.100.1": false, "10.0.0.1": false, "127.0.0.1": false,
		"100.64.0.1": false, "fe80::1": false, "fd00::1": false, "2001:db8::1": true} {
		a := netip.MustParseAddr(text)
		k.Caught(nil, a, true)
		r := k.Refuses(t.Context(), a)
		if (r != nil) != want || want && (r.AtOnce || r.Test) {
			t.Errorf("%s: %+v", text, r)
		}
		if want && (r.Reply().Permanent() || !strings.Contains(r.Reply().Error(), "postmaster@example.org")) {
			t.Errorf("%v", r.Reply())
		}
	}
	postmaster = ""
	if text := k.Refuses(t.Context(), host).Reply().Error(); strings.Contains(text, "write to") {
		t.Errorf("nobody reads what he is told to write: %s", text)
	}
	rules.Bans = false
	k.Caught(nil, netip.MustParseAddr("203.0.113.8"), true)
	if r := k.Refuses(t.Context(), netip.MustParseAddr("203.0.113.8")); r != nil {
		t.Errorf("without bans: %+v", r)
	}
	var nobody *Keeper
	nobody.Caught(nil, host, true)
	if nobody.Refuses(t.Context(), host) != nil || nobody.IsTrap(address.Address{Local: "a", Domain: "example.org"}) {
		t.Error("a Keeper that is not there refuses")
	}
}

// Bans that are tried are told and counted, and refuse and export nobody; the admin's own
// word counts.
func TestBansOnTrial(t *testing.T) {
	s, told := newStore(t), new(heard)
	rules := &Rules{Bans: true, TestOnly: true}
	k := NewKeeper(s, func() *Rules { return rules }, told)
	k.Caught(nil, host, true)
	r := k.Refuses(t.Context(), host)
	if r == nil || !r.Test || len(k.Bans()) != 0 {
		t.Fatalf("%+v, %v", r, k.Bans())
	}
	k.TurnedAway(r, Met{Item: "4ABC", Recipient: "alice@example.org", Client: event.Client{Addr: host}})
	if len(told.lines) != 2 || strings.HasPrefix(told.lines[0], "ban ") || !strings.Contains(told.lines[1], "would refuse") {
		t.Errorf("%q", told.lines)
	}
	s.BanByHand(reputation.Client(netip.MustParseAddr("203.0.113.9")), time.Hour)
	if r := k.Refuses(t.Context(), netip.MustParseAddr("203.0.113.9")); r == nil || r.Test || len(k.Bans()) != 1 {
		t.Errorf("the admin's word: %+v", r)
	}
	rules.TestOnly = false
	if r = k.Refuses(t.Context(), host); r == nil || r.Test || len(k.Bans()) != 2 {
		t.Fatalf("after the trial: %+v", r)
	}
	k.TurnedAway(r, Met{})
	if f := s.Fares(time.Now())[reputation.New]; f.OnTrial != 1 || f.Banned != 1 || f.Refused != 1 {
		t.Errorf("%+v", f)
	}
}

// heard are the lines of the log.
type heard struct{ lines []string }

func (h *heard) Emit(e event.Event) {
	_, line := e.Line()
	h.lines = append(h.lines, line)
}

// One trap among real recipients is a stale address book, and no ban; three are one.
func TestATrapByMistake(t *testing.T) {
	k, s := newKeeper(t, &Rules{Bans: true})
	k.Caught(from("small.example"), host, false)
	if len(s.Bans()) != 0 {
		t.Error("banned for one mistake")
	}
	for range 3 {
		k.Caught(from("small.example"), host, false)
	}
	if len(s.Bans()) != 1 {
		t.Error("never banned")
	}
}

// Spam beyond doubt several times, and viruses twice, are hard evidence; junk is not.
func TestWhatBans(t *testing.T) {
	for _, x := range []struct {
		name string
		o    *filter.Outcome
		want int // letters until the ban; 0: never
	}{
		{"junk", outcome(8, 0, filter.Junk), 0},
		{"spam beyond doubt", outcome(15, 0, filter.Reject), 3},
		{"spam by its name alone", outcome(15, 4.5, filter.Reject), 0},
		{"spam to one who is strict", strict(4), 0},
		{"spam to one who wants it", wanted(15), 0},
		{"a filter on trial", outcome(15, 0, filter.Accept), 0},
		{"viruses", &filter.Outcome{Server: filter.Fate{Category: filter.Virus, Disposition: filter.Quarantined, Wants: &policy.Effective{Junk: 5, Kill: 12}}}, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, s := newKeeper(t, &Rules{Bans: true})
			got := 0
			for i := range 20 {
				if k.Weighed(from(fmt.Sprintf("d%d.example", i)), x.o); len(s.Bans()) > 0 {
					got = i + 1
					break
				}
			}
			if got != x.want {
				t.Errorf("banned after %d letters, want %d", got, x.want)
			}
		})
	}
}

// Who answers for a letter is who is proven; what anybody can write names nobody.
func TestOrigin(t *testing.T) {
	e := from("example.net")
	if o := Origin(e); len(o.Domains) != 1 || o.Domains[0] != "example.net" || o.Sender.String() != "bob@example.net" || o.Client != host {
		t.Errorf("%+v", o)
	}
	forged := &filter.Evidence{Client: filter.Client{Addr: host}, Sender: e.Sender, DMARC: dmarc.Result{Asked: "example.net"}, DKIM: []dkim.Result{{Status: dkim.Fail, Domain: "example.net"}}}
	if o := Origin(forged); o.Domains != nil || o.Sender != (reputation.Subject{}) {
		t.Errorf("%+v", o)
	}
	e.Relayed = "mx.example.org"
	if o := Origin(e); o.Client.IsValid() {
		t.Errorf("our own relay answers for the letter: %+v", o)
	}
}

// Of whom much good is known, by his address or his domain, does not have to come again.
func TestIsReputable(t *testing.T) {
	k, _ := newKeeper(t, &Rules{Bans: true})
	elsewhere := netip.MustParseAddr("198.51.100.1")
	for n := range 12 {
		if k.IsReputable(host, nil) != (n >= 10) || k.IsReputable(elsewhere, []string{"other.example", "em1.small.example"}) != (n >= 10) {
			t.Errorf("after %d good letters it is otherwise", n)
		}
		k.Weighed(from("small.example"), outcome(0, 0, filter.Accept))
	}
	if k.IsReputable(elsewhere, nil) || k.IsReputable(elsewhere, []string{"other.example", ""}) {
		t.Error("strangers are reputable")
	}
	for range 2 {
		k.Weighed(from("small.example"), outcome(20, 0, filter.Reject))
	}
	if k.IsReputable(host, []string{"small.example"}) {
		t.Error("he is still, after spam")
	}
	off, _ := newKeeper(t, nil)
	if off.IsReputable(host, nil) || (*Keeper)(nil).IsReputable(host, nil) {
		t.Error("nothing is remembered, and somebody is reputable")
	}
}
