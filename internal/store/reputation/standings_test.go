package reputation

import (
	"fmt"
	"math"
	"testing"
	"time"

	"facteur/internal/mail/address"
)

// offend lets a client offend once, as grave as usual.
func (p *place) offend(s *Store, client string, o Offence) (Ban, bool) {
	p.t.Helper()
	return s.Offend(addr(client), o, 1, false)
}

// row 178: an offender who comes back is hit harder each time, and after weeks of silence
// it fades.
func TestRelapse(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for i, want := range ladder {
		ban, banned := p.offend(s, "192.0.2.1", Trap)
		if !banned || ban.Until.Sub(p.time) != want || ban.Times != i+1 {
			t.Fatalf("offence %d: %v, %+v", i, banned, ban)
		}
		if _, again := p.offend(s, "192.0.2.1", Trap); again {
			t.Fatal("a ban is made longer while it lasts")
		}
		if _, now := s.Banned(addr("192.0.2.1")); !now {
			t.Fatal("not banned")
		}
		p.time = ban.Until.Add(time.Minute)
		if _, now := s.Banned(addr("192.0.2.1")); now {
			t.Fatal("still banned")
		}
	}
	if ban, _ := p.offend(s, "192.0.2.1", Decoy); ban.Until.Sub(p.time) != ladder[len(ladder)-1] {
		t.Errorf("the longest ban is not the last step: %+v", ban)
	}
	p.time = p.time.Add(ladder[len(ladder)-1] + 5*stepHolds + time.Hour)
	if ban, banned := p.offend(s, "192.0.2.1", Trap); !banned || ban.Times != 1 || ban.Until.Sub(p.time) != ladder[0] {
		t.Errorf("after ten weeks of silence: %v, %+v", banned, ban)
	}
}

// What one offence costs doubles with each ban: half of a ban is enough for the second.
func TestARelapseCostsMore(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for _, want := range []bool{false, true} {
		if _, banned := p.offend(s, "192.0.2.1", Virus); banned != want {
			t.Fatalf("one virus is not enough, two are: %v", banned)
		}
	}
	p.time = p.time.Add(time.Hour)
	if _, banned := p.offend(s, "192.0.2.1", Virus); !banned {
		t.Error("one is enough for who was banned an hour ago")
	}
	for range 100 {
		if _, banned := p.offend(s, "192.0.2.2", Hasty); banned {
			t.Fatal("who talks out of turn is banned for it")
		}
	}
	p.time = p.time.Add(10 * offencesHalf)
	p.offend(s, "192.0.2.3", Virus)
	p.time = p.time.Add(3 * offencesHalf)
	if _, banned := p.offend(s, "192.0.2.3", Virus); banned {
		t.Error("what was days ago counts as much as what is now")
	}
}

// A host that many honest people share is not banned for one of them.
func TestSharedHosts(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for range 50 {
		s.Sent(Origin{Client: addr("192.0.2.1")}, false, 1)
	}
	if _, banned := p.offend(s, "192.0.2.1", Trap); banned {
		t.Error("a provider is banned for one of its customers")
	}
	for range 20 {
		s.Sent(Origin{Client: addr("192.0.2.1")}, true, 1)
	}
	if _, banned := p.offend(s, "192.0.2.1", Trap); !banned {
		t.Error("what brings a third of spam is a provider as before")
	}
	if _, banned := s.Offend(addr("192.0.2.9"), Trap, 5, true); banned {
		t.Error("who is spared is banned")
	}
	if r, known := s.Record(Client(addr("192.0.2.9"))); !known || r.Offences["trap"] != 1 || r.Bad == 0 {
		t.Errorf("what a spared one did is not remembered: %+v", r)
	}
}

// row 178: an honest small server with one outbreak recovers, by time and by its letters.
func TestRecovery(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	o := Origin{Client: addr("2001:db8::1"), Domains: []string{"small.example"}}
	for range 40 {
		s.Sent(o, true, 1)
	}
	before, _ := s.Record(Proven("small.example"))
	for range 90 {
		p.time = p.time.Add(24 * time.Hour)
		s.Sent(o, false, 1)
	}
	after, _ := s.Record(Proven("small.example"))
	if before.Bad != 40 || math.Abs(after.Bad-5) > 0.1 || after.Good < 35 || after.Letters != 130 || after.Spam != 40 {
		t.Errorf("%+v, then %+v", before, after)
	}
	p.time = p.time.Add(365 * 24 * time.Hour)
	if _, known := s.Record(Proven("small.example")); known {
		t.Error("nothing is ever forgotten")
	}
}

// A network is not blamed for one host, whatever that sends.
func TestNetworksCountHosts(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for range 1000 {
		s.Sent(Origin{Client: addr("192.0.2.1")}, true, 1)
	}
	for i := range 9 {
		s.Sent(Origin{Client: addr(fmt.Sprintf("192.0.2.%d", 100+i))}, false, 1)
	}
	r, _ := s.Record(Network(addr("192.0.2.7")))
	if r.Bad != 1 || r.Good < 7 || r.Letters != 1009 {
		t.Errorf("%+v", r)
	}
	p.time = p.time.Add(61 * 24 * time.Hour)
	if r, known := s.Record(Network(addr("192.0.2.7"))); known {
		t.Errorf("after two months: %+v", r)
	}
	for i := range 255 {
		p.offend(s, fmt.Sprintf("192.0.2.%d", i), Trap)
	}
	if _, banned := s.Banned(addr("192.0.2.255")); banned {
		t.Error("a network is banned without the admin's word")
	}
	s.BanByHand(Network(addr("192.0.2.0")), time.Hour)
	if b, banned := s.Banned(addr("192.0.2.255")); !banned || b.Why != ByHand {
		t.Error("the admin's word does not count")
	}
}

// What a user says of a letter counts instead of what was thought of it.
func TestTaught(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	alice, _ := address.Parse("alice+news@small.example")
	o := Origin{Client: addr("192.0.2.1"), Domains: []string{"small.example", "small.example"}, Sender: Sender(alice)}
	s.Sent(o, true, 1)
	s.Sent(o, false, 1)
	s.Taught(o, false)
	for _, sub := range []Subject{Client(addr("192.0.2.1")), Proven("small.example"), o.Sender} {
		if r, _ := s.Record(sub); r.Good != 2 || r.Bad != 0 || r.Letters != 2 || r.Spam != 0 {
			t.Errorf("%s: %+v", sub, r)
		}
	}
	if got := o.Sender.String(); got != "alice@small.example" {
		t.Error(got)
	}
	if f := s.Fares(p.time); f[New].Released != 1 {
		t.Errorf("our error is not counted: %+v", f)
	}
}

// A letter that was taken for the worst spam, and that its reader says is none, is held
// against nobody: three of them would make a ban.
func TestReleasedLettersMakeNoBan(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	o := Origin{Client: addr("192.0.2.1")}
	for range 6 {
		s.Sent(o, true, 1)
		if ban, banned := p.offend(s, "192.0.2.1", Kill); banned {
			t.Fatalf("%+v", ban)
		}
		s.Taught(o, false)
	}
}

// What is known is there after a restart, bans and days included.
func TestStandingsAreKept(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	o := Origin{Client: addr("192.0.2.1"), Domains: []string{"small.example"}}
	s.Sent(o, false, 1)
	s.Fared(s.ClassOf(o), Accepted)
	ban, _ := p.offend(s, "2001:db8::1", Trap)
	s.BanByHand(Network(addr("198.51.100.1")), time.Hour)
	s.Forgive(Network(addr("198.51.100.1")))
	want, _ := s.Record(Client(addr("2001:db8::1")))
	p.write(s)
	p.db.Close()
	s = p.open()
	if got, banned := s.Banned(addr("2001:db8::ffff")); !banned || got != ban {
		t.Errorf("%+v, %+v", got, ban)
	}
	if got, _ := s.Record(Client(addr("2001:db8::1"))); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v\n%+v", got, want)
	}
	if r, known := s.Record(Proven("small.example")); !known || r.Good != 1 {
		t.Errorf("%+v", r)
	}
	if f := s.Fares(p.time); f[New].Accepted != 1 || len(s.Bans()) != 1 {
		t.Errorf("%+v %+v", f, s.Bans())
	}
	if p.time = p.time.Add(faresDays * 25 * time.Hour); s.sweep(t.Context()) != nil {
		t.Error("sweep")
	}
	p.write(s)
	var n int
	if err := p.db.Reader().QueryRow(`SELECT count(*) FROM reputation_fare`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%v, %d days after 90", err, n)
	}
}

// A clock that was wrong for a while makes no ban endless and breaks no sum.
func TestAClockThatIsSetBack(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.Sent(Origin{Client: addr("192.0.2.1")}, true, 1)
	p.time = p.time.Add(-1000 * time.Hour)
	s.Sent(Origin{Client: addr("192.0.2.1")}, true, 1)
	if r, _ := s.Record(Client(addr("192.0.2.1"))); r.Bad != 2 {
		t.Errorf("%+v", r)
	}
}

func TestSubjectsOfBoundsAndFloods(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	p.offend(s, "192.0.2.1", Trap)
	for range 30 {
		s.Sent(Origin{Domains: []string{"friend.example"}}, false, 1)
	}
	for i := range 4 * most {
		o := Origin{Client: addr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)), Domains: []string{fmt.Sprintf("d%d.example", i)}}
		s.Sent(o, i%2 == 0, 1)
	}
	for k, l := range s.standings.ledgers {
		if len(l.entries) > most || l.changed.Len() > 2*most {
			t.Errorf("ABU-008: %d %s, %d changes", len(l.entries), Kind(k), l.changed.Len())
		}
	}
	if _, banned := s.Banned(addr("192.0.2.1")); !banned {
		t.Error("ABU-008: a flood of new addresses washes a penalty away")
	}
	if r, known := s.Record(Proven("friend.example")); !known || r.Good != 30 {
		t.Error("ABU-008: a flood of new domains washes friends away")
	}
	for i := range 4 * most {
		s.Guessed(addr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)), fmt.Sprintf("x%d@example.org", i), false)
	}
	if g := s.standings.guesses; len(g.clients) > most || len(g.names) > 4*most {
		t.Errorf("ABU-008: %d guessers, %d names", len(g.clients), len(g.names))
	}
}

func TestParseSubject(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "192.0.2.7/32": "192.0.2.7", "192.0.2.9/24": "192.0.2.0/24",
		"2001:db8::1": "2001:db8::/64", "2001:db8::1/128": "2001:db8::/64", "2001:db8::/64": "2001:db8::/64", "2001:db8::/48": "2001:db8::/48",
		"@Example.NET": "@example.net", "example.net": "@example.net", "@bücher.example": "@xn--bcher-kva.example", "Bob+x@Example.net": "bob@example.net",
		"10.0.0.0/8": "", "0.0.0.0/0": "", "::/0": "", "2001:db8::/32": "", "": "", "@": "", "fr": "", "a b@example.net": "",
	} {
		s, err := ParseSubject(text)
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("%q: %q, %v", text, s, err)
		}
		if back, err := ParseSubject(s.String()); want != "" && (err != nil || back != s) {
			t.Errorf("%q: %v, %v", s, back, err)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"192.0.2.7", "2001:db8::/64", "@example.net", "a@b.example", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSubject(text)
		if err != nil {
			return
		}
		if back, err := ParseSubject(s.String()); err != nil || back != s {
			t.Errorf("%q is %q, which is %q (%v)", text, s, back, err)
		}
	})
}
