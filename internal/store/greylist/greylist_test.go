package greylist

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/db"
)

// others is the room that had the file first.
var others = fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}

// place is a data directory, and the time there: what the wall's clock shows, and what has
// really gone by.
type place struct {
	t    *testing.T
	path string
	db   *db.DB
	wall time.Time
	gone time.Duration
	most bounds
}

func newPlace(t *testing.T) *place {
	return &place{t: t, path: filepath.Join(t.TempDir(), "facteur.db"), wall: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), most: bounds{96, 32, 32}}
}

// open is a start of the server.
func (p *place) open() *Store {
	p.t.Helper()
	var err error
	if p.db, err = db.Open(p.path, others, Tables()); err != nil {
		p.t.Fatal(err)
	}
	began := p.gone
	c := clock{wall: func() time.Time { return p.wall }, since: func() time.Duration { return p.gone - began }, start: p.wall.Unix()}
	s, err := open(p.t.Context(), p.db, event.Discard, c, p.most)
	if err != nil {
		p.t.Fatal(err)
	}
	d := p.db
	p.t.Cleanup(func() { d.Close() })
	return s
}

// again is another start, after an orderly end.
func (p *place) again(s *Store) *Store {
	p.t.Helper()
	p.write(s)
	p.db.Close()
	return p.open()
}

func (p *place) write(s *Store) {
	p.t.Helper()
	if err := s.Write(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) pass(d time.Duration) {
	p.wall = p.wall.Add(d)
	p.gone += d
}

// stranger is a draft of one in a network of his own.
func stranger(i int) Draft {
	return of(fmt.Sprintf("10.%d.%d.0/24", i/256, i%256), fmt.Sprintf("s%d@a.example", i))
}

func of(network, sender string) Draft {
	n := netip.MustParsePrefix(network)
	return Draft{To: "here.example", Names: []Name{Host(n, sender)}, Network: n, Client: "unknown[" + n.Addr().String() + "]", Sender: sender,
		People: []string{"bob@here.example"}, Score: 4, Size: 1000, Wait: 5 * time.Minute, Window: 48 * time.Hour}
}

func (p *place) deferred(s *Store, d Draft) Entry {
	p.t.Helper()
	e, ok := s.Defer(d)
	if !ok {
		p.t.Fatalf("no room for %v", d.Names)
	}
	return e
}

const holds = 60 * 24 * time.Hour

// Who waits and who has passed is known after a restart, and is forgotten when its time is
// over; row 161: his time does not begin anew when he comes too early.
func TestWaitingAndPassing(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	d := stranger(1)
	p.deferred(s, d)
	p.pass(2 * time.Minute)
	e := p.deferred(s, d)
	if left := s.Remaining(e); left != 3*time.Minute || e.Tries != 2 {
		t.Errorf("row 161: %v left, %d tries", left, e.Tries)
	}
	p.pass(3 * time.Minute)
	s = p.again(s)
	e, by, ok := s.Look(d.To, d.Names)
	if !ok || by != d.Names[0] || e.State != Waiting || s.Remaining(e) != 0 || s.Age(e) != 5*time.Minute {
		t.Fatalf("after a restart: %v %v %+v", ok, by, e)
	}
	if before := s.Pass(e.ID, holds, true); before.State != Waiting {
		t.Errorf("%+v", before)
	}
	s = p.again(s)
	if e, _, ok = s.Look(d.To, d.Names); !ok || e.State != Passed || e.Letters != 1 {
		t.Fatalf("passed: %v %+v", ok, e)
	}
	if _, _, ok := s.Look("there.example", d.Names); ok {
		t.Error("for recipients of another domain, too")
	}
	p.pass(holds - time.Hour)
	s.Pass(e.ID, holds, false)
	p.pass(holds - time.Hour)
	if _, _, ok := s.Look(d.To, d.Names); !ok {
		t.Error("the last use does not count")
	}
	p.pass(2 * time.Hour)
	if _, _, ok := s.Look(d.To, d.Names); ok {
		t.Error("it holds for ever")
	}
	day := s.Days()[0]
	if day.Delayed != 1 || day.Early != 1 || day.Back != 1 || day.Junk != 1 || day.Gone != 0 || day.Median < 300 || day.Median > 360 {
		t.Errorf("%+v", day)
	}
}

// Who never comes back is counted on the day on which he came, even if the server was down
// when his time ran out.
func TestNeverBack(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	p.deferred(s, stranger(1))
	p.deferred(s, stranger(2))
	s = p.again(s)
	p.pass(49 * time.Hour)
	s = p.again(s)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if days := s.Days(); len(days) != 1 || days[0].Gone != 2 || days[0].Bytes != 2000 || days[0].Day != "2026-11-22" {
		t.Errorf("%+v", days)
	}
	if n := p.rows("greylist_entry"); n != 0 || len(s.Entries()) != 0 {
		t.Errorf("%d rows", n)
	}
	// Who comes when it is over, and before it was swept, begins anew.
	p.deferred(s, stranger(1))
	p.pass(49 * time.Hour)
	if e := p.deferred(s, stranger(1)); e.Tries != 1 || s.Remaining(e) != 5*time.Minute {
		t.Errorf("%+v", e)
	}
}

func (p *place) rows(table string) (n int) {
	p.t.Helper()
	if err := p.db.Reader().QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// TestFlood: ABU-008 and ABU-018, who floods drives out neither those who passed nor those
// who wait elsewhere, and nobody is refused for good for want of room.
func TestFlood(t *testing.T) {
	t.Run("ABU-008 one network", func(t *testing.T) {
		p := newPlace(t)
		p.most.waiting = 256
		s := p.open()
		p.deferred(s, stranger(1))
		neighbour := of("192.0.2.0/24", "honest@neighbour.example")
		p.deferred(s, neighbour)
		for i := range 5000 {
			p.deferred(s, of("192.0.2.0/24", fmt.Sprintf("x%d@evil.example", i)))
		}
		for i := range 5000 { // a /48 has 65536 networks, and counts as one
			d := of("2001:db8::/48", fmt.Sprintf("y%d@evil.example", i))
			p.deferred(s, d)
		}
		if s.waiting > 2*(perNetwork+1)+1 || len(s.entries) != s.waiting {
			t.Errorf("%d entries", s.waiting)
		}
		for _, d := range []Draft{stranger(1), neighbour} {
			if e, _, ok := s.Look(d.To, d.Names); !ok || e.State != Waiting {
				t.Errorf("%v was driven out", d.Names)
			}
		}
		// One more of the crowded network waits like the others, and gets in.
		late := of("192.0.2.0/24", "late@neighbour.example")
		e := p.deferred(s, late)
		p.pass(10 * time.Minute)
		if e, _, ok := s.Look(late.To, append(late.Names, Network(late.Network))); !ok || s.Remaining(e) > 0 {
			t.Errorf("%v %+v", ok, e)
		}
		if e.Names[0] != Network(late.Network) || s.Days()[0].Crowded == 0 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("ABU-018 all the world", func(t *testing.T) {
		p := newPlace(t)
		s := p.open()
		for i := range 20 {
			e := p.deferred(s, stranger(i))
			p.pass(6 * time.Minute)
			s.Pass(e.ID, holds, false)
		}
		victim := stranger(30)
		p.deferred(s, victim)
		none := 0
		for i := range 3000 {
			if _, ok := s.Defer(stranger(100 + i)); !ok {
				none++
			}
		}
		if none == 0 || s.waiting > p.most.waiting {
			t.Errorf("%d waiting, %d without room", s.waiting, none)
		}
		if _, _, ok := s.Look(victim.To, victim.Names); !ok {
			t.Error("who waited before the flood was driven out")
		}
		for i := range 20 {
			if e, _, ok := s.Look("here.example", stranger(i).Names); !ok || e.State != Passed {
				t.Errorf("%d had passed", i)
			}
		}
		// Hours later, who did not come back makes room.
		p.pass(5 * time.Hour)
		p.deferred(s, stranger(5000))
		p.write(s)
		if n := p.rows("greylist_entry"); n > p.most.waiting+p.most.passed {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("those who passed", func(t *testing.T) {
		p := newPlace(t)
		s := p.open()
		friend := stranger(1)
		e := p.deferred(s, friend)
		for range 50 {
			s.Pass(e.ID, holds, false)
		}
		for i := range 500 {
			e := p.deferred(s, stranger(10+i))
			s.Pass(e.ID, holds, false)
		}
		if _, _, ok := s.Look(friend.To, friend.Names); !ok || s.passed > p.most.passed {
			t.Errorf("%v, %d passed", ok, s.passed)
		}
	})
	t.Run("those who were seen", func(t *testing.T) {
		p := newPlace(t)
		s := p.open()
		for i := range 500 {
			s.NoteSeen(fmt.Sprintf("s%d@a.example", i))
			if i%20 == 0 {
				p.write(s)
			}
		}
		s.NoteSeen("friend@b.example")
		s = p.again(s)
		if !s.Seen("friend@b.example") || s.Seen("nobody@b.example") || len(s.seen) > p.most.seen || p.rows("greylist_seen") > p.most.seen {
			t.Errorf("%d seen", len(s.seen))
		}
		p.pass(seenHolds + time.Hour)
		if s.Seen("friend@b.example") {
			t.Error("for ever")
		}
	})
}

// A network of which several came back has a mail server: nobody of it waits any more.
func TestRetriers(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for i := range retriers {
		d := of("192.0.2.0/24", fmt.Sprintf("user%d@farm.example", i))
		if _, _, ok := s.Look(d.To, append(d.Names, Network(d.Network))); ok {
			t.Fatalf("after %d", i)
		}
		e := p.deferred(s, d)
		p.pass(6 * time.Minute)
		s.Pass(e.ID, holds, false)
	}
	s = p.again(s)
	d := of("192.0.2.0/24", "another@farm.example")
	if e, _, ok := s.Look(d.To, append(d.Names, Network(d.Network))); !ok || e.State != Passed {
		t.Errorf("%v %+v", ok, e)
	}
}

// TestClock: FLT-014, a clock that is set keeps nobody waiting, and makes nothing hold for
// ever.
func TestClock(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"a day back": -24 * time.Hour, "an hour back": -time.Hour, "ten years on": 10 * 365 * 24 * time.Hour, "to 1970": -56 * 365 * 24 * time.Hour,
	} {
		t.Run("FLT-014 "+name, func(t *testing.T) {
			p := newPlace(t)
			s := p.open()
			friend, d := stranger(1), stranger(2)
			e := p.deferred(s, friend)
			s.Pass(e.ID, holds, false)
			p.deferred(s, d)
			p.wall = p.wall.Add(jump) // while it runs
			p.pass(5 * time.Minute)
			e, _, ok := s.Look(d.To, d.Names)
			if !ok || s.Remaining(e) != 0 {
				t.Errorf("while it runs: %v %v", ok, s.Remaining(e))
			}
			s = p.again(s)
			for who, d := range map[string]Draft{"who passed": friend, "who waited": d} {
				if e, _, ok := s.Look(d.To, d.Names); !ok || s.Remaining(e) > 0 {
					t.Errorf("%s, after a restart: %v %v", who, ok, s.Remaining(e))
				}
			}
		})
	}
	t.Run("FLT-014 no clock at the start", func(t *testing.T) {
		p := newPlace(t)
		s := p.open()
		friend, d := stranger(1), stranger(2)
		e := p.deferred(s, friend)
		s.Pass(e.ID, holds, false)
		p.deferred(s, d)
		p.write(s)
		p.db.Close()
		right := p.wall
		p.wall = time.Unix(1000, 0)
		s = p.open()
		p.pass(5 * time.Minute)
		if e, _, ok := s.Look(d.To, d.Names); !ok || s.Remaining(e) != 0 {
			t.Errorf("who waited: %v %v", ok, s.Remaining(e))
		}
		p.wall = right.Add(5 * time.Minute) // by NTP
		s = p.again(s)
		e, _, ok := s.Look(friend.To, friend.Names)
		if !ok || e.State != Passed {
			t.Errorf("who passed: %v", ok)
		}
		p.pass(2 * holds)
		if _, _, ok := s.Look(friend.To, friend.Names); ok {
			t.Error("it holds for ever")
		}
	})
}

// A letter by itself is a weaker name than where it comes from; who is found by it is known
// by his new names from then on.
func TestNames(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	letter := Letter("<1@a.example>", "s@a.example")
	first, second := of("192.0.2.0/24", "s@a.example"), of("198.51.100.0/24", "s@a.example")
	first.Names, second.Names = append(first.Names, letter), append(second.Names, letter)
	p.deferred(s, first)
	if _, by, ok := s.Look(second.To, second.Names); !ok || !by.IsLetter() {
		t.Errorf("%v %v", ok, by)
	}
	p.deferred(s, second)
	if e, by, ok := s.Look(second.To, second.Names); !ok || by.IsLetter() || len(e.Names) != 3 || s.waiting != 1 {
		t.Errorf("%v %v %+v", ok, by, e)
	}
	for i := range 50 {
		d := stranger(i)
		d.Names = append(d.Names, letter)
		p.deferred(s, d)
	}
	if e, _, _ := s.Look(first.To, first.Names); len(e.Names) != namesMax || len(s.index) != namesMax {
		t.Errorf("%d names", len(e.Names))
	}
	s = p.again(s)
	if e, _, ok := s.Look(first.To, first.Names); !ok || len(e.Names) != namesMax {
		t.Errorf("%v %+v", ok, e)
	}
	evil := Domain("a\nb\x00 c") // one line each, whatever a stranger writes
	if evil != "domain a?b?_c" {
		t.Errorf("%q", evil)
	}
}

// What an admin does: lets in, forgets, allows.
func TestByHand(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	e := p.deferred(s, stranger(1))
	p.deferred(s, stranger(2))
	if found, ok := s.Entry(e.ID[:6]); !ok || found.ID != e.ID || !found.Due.Equal(p.wall.Add(5*time.Minute)) {
		t.Errorf("%v %+v", ok, found)
	}
	if _, ok := s.Entry(""); ok {
		t.Error("the empty key finds one")
	}
	if !s.Release(e.ID) || s.Release("nobody") {
		t.Error("released")
	}
	if e, _, _ := s.Look("here.example", stranger(1).Names); s.Remaining(e) > 0 {
		t.Errorf("%v left", s.Remaining(e))
	}
	if !s.Forget(e.ID) || s.Forget(e.ID) || len(s.Entries()) != 1 {
		t.Error("forgotten")
	}
	for _, subject := range []string{"192.0.2.0/24", "friend.example"} {
		if err := s.Allow(t.Context(), subject); err != nil {
			t.Fatal(err)
		}
	}
	p.db.Close() // without a Write
	s = p.open()
	if !s.IsAllowed("x", "friend.example") || s.IsAllowed("x") || len(s.Allowances()) != 2 {
		t.Errorf("%+v", s.Allowances())
	}
	if there, err := s.Disallow(t.Context(), "friend.example"); !there || err != nil || s.IsAllowed("friend.example") {
		t.Error(there, err)
	}
}

// Counts are kept for ninety days, whatever the clock does.
func TestDays(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for i := range 2 * keepDays {
		p.deferred(s, stranger(i))
		p.pass(24 * time.Hour)
	}
	s = p.again(s)
	days := s.Days()
	if len(days) != keepDays || p.rows("greylist_day") != keepDays {
		t.Errorf("%d days, %d rows", len(days), p.rows("greylist_day"))
	}
	var d Day
	for i := range 100 {
		d.cameBack(time.Duration(i+1)*time.Minute, false)
	}
	if sum := (Day{}).Add(d); sum.Median < 50*60 || sum.Median > 60*60 || sum.Late < 95*60 || sum.Late > 115*60 {
		t.Errorf("%+v", sum)
	}
}

func BenchmarkLook(b *testing.B) {
	d, err := db.Open(filepath.Join(b.TempDir(), "facteur.db"), others, Tables())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	s, err := Open(b.Context(), d, event.Discard)
	if err != nil {
		b.Fatal(err)
	}
	for i := range MaxWaiting {
		s.Defer(stranger(i))
	}
	names := append(stranger(77).Names, Domain("a.example"), Farm("b.example", "s@b.example"), Letter("<1@a>", "s"))
	for b.Loop() {
		s.Look("here.example", names)
	}
}
