// Package greylist remembers strangers who were told to come again, those who did, and
// what that was good for, day by day.
//
// A stranger is known by names (see Name): a domain that is proven to be his, his network
// with his sender address, the letter itself. What is kept of him for the recipients of one
// domain is an Entry:
//
//	waiting   from the first letter on, until he comes back after his time (due), or the
//	          window in which he may is over
//	passed    from then on, until he has brought nothing for a while
//
// Beside the entries stand senders that were seen with proof and without suspicion, whom
// an admin lets in at once, and a count of each day.
//
// # On disk
//
// Four tables in DATA/facteur.db, greylist_entry, greylist_seen, greylist_allowed and
// greylist_day, with a version of their own.
//
// # Invariants
//
// Questions are answered from memory and never wait for the disk; what changes is written
// every few seconds, many rows in one transaction. Only what an admin allows is written at
// once. A crash loses the last seconds: somebody waits once more, and nobody is refused for
// it.
//
// Memory and tables are bounded, and a flood drives out neither those who have passed,
// which have room of their own, nor those who wait in other networks. A network has
// perNetwork entries of its own; all its further strangers share one. Where there is no
// room at all, whoever would need it does not wait (see Store.Defer).
//
// Times run with the monotonic clock from the start of the process, and are turned into
// wall time as they are written: a clock that is set makes nobody wait longer. What a
// restart finds to be from the future begins anew.
package greylist

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/netip"
	"slices"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "greylist", Migrations: migrations} }

// Bounds of what is kept.
const (
	// MaxWaiting and MaxPassed bound the entries; some 10 MB each when they are full.
	MaxWaiting = 1 << 14
	MaxPassed  = 1 << 14
	// MaxSeen bounds the senders that were seen; some 3 MB.
	MaxSeen = 1 << 16
	// MaxAllowed bounds what an admin may allow by a command.
	MaxAllowed = 4096

	// perNetwork is how many waiting entries one network may have of its own for all
	// recipients; it keeps fairShare when room is needed.
	perNetwork = 64
	fairShare  = 4
	// retriers is how many strangers of a network have to have come back until the others
	// of it are taken to do so, too: a mail server with many users.
	retriers = 5
	// patience is after which time an entry whose stranger is due and has not come back
	// may make room: servers try again after minutes, or after an hour.
	patience = 4 * time.Hour

	namesMax  = 12
	peopleMax = 8
	textMax   = 320 // bytes of each text that a stranger wrote

	writeEvery = 5 * time.Second
	sweepEvery = 10 * time.Minute
	wasSet     = time.Minute // a clock that differs by more
)

// Store is what is known of strangers. Its methods may be called from any goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	clock  clock
	most   bounds

	mu      sync.Mutex
	entries map[string]*Entry // by ID
	index   map[mark]*Entry   // by recipients' domain and name
	tallies map[netip.Prefix]tally
	waiting int
	passed  int
	hungry  int64 // when room was last looked for in vain
	seen    map[mark]int64
	allowed map[string]int64
	days    map[string]*Day
	shift   int64 // wall time of what was written, less that of the process

	changed     *behind.Rows[string] // by ID
	changedSeen *behind.Rows[mark]
	changedDays *behind.Rows[string]
}

// bounds are smaller in tests.
type bounds struct{ waiting, passed, seen int }

// tally is how many entries a network has.
type tally struct{ waiting, passed int }

// mark stands for a text: the first half of its SHA-256.
type mark [16]byte

func markOf(parts ...string) mark {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return mark(h.Sum(nil)[:16])
}

// Open reads what is known from a database that was opened with Tables.
func Open(ctx context.Context, d *db.DB, events event.Sink) (*Store, error) {
	return open(ctx, d, events, newClock(time.Now), bounds{MaxWaiting, MaxPassed, MaxSeen})
}

func open(ctx context.Context, d *db.DB, events event.Sink, c clock, most bounds) (*Store, error) {
	s := &Store{db: d, events: events, clock: c, most: most,
		entries: map[string]*Entry{}, index: map[mark]*Entry{}, tallies: map[netip.Prefix]tally{},
		seen: map[mark]int64{}, allowed: map[string]int64{}, days: map[string]*Day{}, shift: c.shift()}
	s.changed = behind.NewRows(&s.mu, 2*(most.waiting+most.passed), s.entryRow)
	s.changedSeen = behind.NewRows(&s.mu, 2*most.seen, s.seenRow)
	s.changedDays = behind.NewRows(&s.mu, 2*keepDays, s.dayRow)
	return s, s.read(ctx)
}

// Look finds what is known of a stranger by any of his names: that he has passed, before
// that he waits; of several for whom he waits, the one that is due first. by is the name
// that it was found by; Letter only where no other was.
func (s *Store) Look(to string, names []Name) (found Entry, by Name, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, by := s.find(to, names)
	if e == nil {
		return Entry{}, "", false
	}
	return e.clone(), by, true
}

func (s *Store) find(to string, names []Name) (best *Entry, by Name) {
	now := s.clock.now()
	for _, n := range names {
		e := s.index[markOf(to, string(n))]
		if e == nil || s.isOver(e, now) {
			continue
		}
		if best == nil || e.better(best) || e == best && by.IsLetter() {
			best, by = e, n
		}
	}
	return best, by
}

// isOver tells an entry whose time is over, and forgets it.
func (s *Store) isOver(e *Entry, now int64) bool {
	switch {
	case e.expires > now:
		return false
	case e.State == Waiting:
		s.gone(e)
	default:
		s.remove(e)
	}
	return true
}

// better orders what was found of one stranger.
func (e *Entry) better(other *Entry) bool {
	if (e.State == Passed) != (other.State == Passed) {
		return e.State == Passed
	}
	return e.due < other.due
}

// Draft is a stranger who is to wait.
type Draft struct {
	// To is the recipients' domain.
	To    string
	Names []Name
	// Network is what the client counts in.
	Network netip.Prefix
	// Client, Sender and People are for whoever reads the list.
	Client, Sender string
	People         []string
	Score          float64
	Size           int64
	// Wait is how long, Window how long he may take until he is back.
	Wait, Window time.Duration
}

// Defer has a stranger wait. Who waits already is noted to have come once more; his time
// does not begin anew. false: there is no room, and he is not to wait.
func (s *Store) Defer(d Draft) (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	if e, _ := s.find(d.To, d.Names); e != nil {
		s.again(e, d, now)
		return e.clone(), true
	}
	if s.tallies[d.Network].waiting >= perNetwork {
		s.today().Crowded++
		d.Names = []Name{Network(d.Network)}
	}
	if s.waiting >= s.most.waiting && !s.makeRoom(now) {
		s.today().Crowded++
		return Entry{}, false
	}
	e := d.entry(now)
	s.put(e)
	s.today().Delayed++
	s.changed.Touch(e.ID)
	return e.clone(), true
}

// again notes that somebody came again.
func (s *Store) again(e *Entry, d Draft, now int64) {
	e.Tries++
	e.last, e.Client, e.Size = now, clip(d.Client), d.Size
	e.Score = max(e.Score, d.Score)
	e.addPeople(d.People)
	if e.State == Waiting {
		s.today().Early++
		for _, n := range d.Names {
			if m := markOf(e.To, string(n)); len(e.Names) < namesMax && s.index[m] == nil {
				e.Names = append(e.Names, n)
				s.index[m] = e
			}
		}
	}
	s.changed.Touch(e.ID)
}

// Early notes that somebody came before his time, and was told so before he had said what
// he brings.
func (s *Store) Early(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		e.Tries++
		e.last = s.clock.now()
		s.today().Early++
		s.changed.Touch(id)
	}
}

// Pass notes that somebody came back after his time, or after he had passed before; holds
// is for how long that counts. junk: what he brought is spam all the same. The Entry is as
// it was before.
func (s *Store) Pass(id string, holds time.Duration, junk bool) (before Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil {
		return Entry{}
	}
	before = e.clone()
	now := s.clock.now()
	e.Letters++
	e.last, e.expires = now, now+seconds(holds)
	s.changed.Touch(id)
	if e.State == Waiting {
		s.today().cameBack(time.Duration(now-e.since)*time.Second, junk)
		s.become(e, Passed)
		s.makeRoomForPassed(e)
		s.vouch(e, holds)
	}
	return before
}

// vouch lets all strangers of a network pass of which several have come back: there is a
// mail server.
func (s *Store) vouch(e *Entry, holds time.Duration) {
	name := Network(e.Network)
	if s.tallies[e.Network].passed < retriers || !e.Network.IsValid() || s.index[markOf(e.To, string(name))] != nil {
		return
	}
	now := s.clock.now()
	all := &Entry{To: e.To, Names: []Name{name}, Network: e.Network, Client: e.Client, State: Passed,
		since: now, due: now, last: now, expires: now + seconds(holds)}
	all.ID = newID(all.To, name)
	s.put(all)
	s.makeRoomForPassed(all)
	s.changed.Touch(all.ID)
}

// put takes an entry into memory. Another of the same ID goes.
func (s *Store) put(e *Entry) {
	if old := s.entries[e.ID]; old != nil {
		s.remove(old)
	}
	s.entries[e.ID] = e
	for _, n := range e.Names {
		if m := markOf(e.To, string(n)); s.index[m] == nil {
			s.index[m] = e
		}
	}
	s.count(e, 1)
}

// remove forgets an entry.
func (s *Store) remove(e *Entry) {
	delete(s.entries, e.ID)
	for _, n := range e.Names {
		if m := markOf(e.To, string(n)); s.index[m] == e {
			delete(s.index, m)
		}
	}
	s.count(e, -1)
	s.changed.Touch(e.ID)
}

// become changes the state of an entry.
func (s *Store) become(e *Entry, state State) {
	s.count(e, -1)
	e.State = state
	s.count(e, 1)
}

func (s *Store) count(e *Entry, by int) {
	t := s.tallies[e.Network]
	if e.State == Waiting {
		s.waiting += by
		t.waiting += by
	} else {
		s.passed += by
		t.passed += by
	}
	if t == (tally{}) {
		delete(s.tallies, e.Network)
		return
	}
	s.tallies[e.Network] = t
}

// Run writes what changes until ctx ends, and once more then.
func (s *Store) Run(ctx context.Context) {
	behind.Loop{Write: s.Write, Every: writeEvery, Sweep: s.sweep, SweepEvery: sweepEvery,
		Events: s.events, Program: "facteur/greylist", What: "who waits and who has passed can't be written"}.Run(ctx)
}

// newID is the name of an entry for people.
func newID(to string, first Name) string {
	m := markOf(to, string(first))
	return hex.EncodeToString(m[:6])
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// clip bounds what a stranger wrote.
func clip(s string) string { return event.Clean(s, textMax) }

func (e *Entry) addPeople(people []string) {
	for _, p := range people {
		if p = clip(p); len(e.People) < peopleMax && !slices.Contains(e.People, p) {
			e.People = append(e.People, p)
		}
	}
}
