// Package brake remembers how much each account has sent within the last day, and which
// accounts are braked.
//
// What is counted belongs to a name: an account, "alice@example.org", a user of this
// machine, "uid:1000", or a domain, "@example.org". Counts stand in slots of ten minutes,
// of which an hour has six, a day 144, and the one that has begun comes on top.
//
// An Account is there for who is braked or has limits of his own:
//
//	braked   Since is set. Told follows when owner and postmaster have been told.
//	letting  Letting is set: he is not braked any more, and what was held is on its way back
//	         to the scheduler. That goes on after a crash, until it is long over.
//	         Being braked anew ends it.
//
// # On disk
//
// Two tables in DATA/facteur.db, brake_account and brake_count, with a version of their own.
//
// # Invariants
//
// Questions are answered from memory and never wait for the disk. Counts are written every
// few seconds; a crash loses those of the last ones. What is known of an Account is durable
// when Change returns, and then known in memory.
//
// MaxNames names are counted; where there is no room, those that have sent nothing for the
// longest time make it. MaxAccounts bounds the accounts: braked ones are never forgotten to
// make room, the error says what to do. Counts from the future, of a clock that was set, do
// not count.
package brake

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "brake", Migrations: migrations} }

// Bounds of what is kept.
const (
	// MaxNames is for how many names it is counted; some 20 MB when all of them send
	// all day long.
	MaxNames = 1 << 14
	// MaxAccounts is how many accounts are braked or have limits of their own.
	MaxAccounts = 1 << 14

	// Slot is the grain of the counts.
	Slot       = 10 * time.Minute
	hourSlots  = 6
	daySlots   = 144
	writeEvery = 5 * time.Second
	textMax    = 1000 // bytes of a reason
)

// ErrFull says that there is no room for one account more.
var ErrFull = errors.New("too many accounts are braked or have limits of their own; lift or unset some")

// Account is what is known of one that is braked, or has limits of its own.
type Account struct {
	Name string `json:"account"`
	// Since is when it was braked, Why the sentence that says it; zero where it is not.
	Since time.Time `json:"since,omitzero"`
	Why   string    `json:"why,omitempty"`
	// Signs are what spoke for it, with points.
	Signs []string `json:"signs,omitempty"`
	// Told: owner and postmaster know.
	Told bool `json:"told,omitempty"`
	// Letting is since when its held mail is let go; zero where it is not.
	Letting time.Time `json:"letting,omitzero"`
	// Hour and Day are limits of its own in recipients; 0: those of the settings hold.
	Hour int `json:"hour,omitempty"`
	Day  int `json:"day,omitempty"`
}

// Braked tells that it is.
func (a *Account) Braked() bool { return !a.Since.IsZero() }

// isPlain tells that there is nothing to remember.
func (a *Account) isPlain() bool {
	return !a.Braked() && a.Letting.IsZero() && a.Hour == 0 && a.Day == 0
}

// Store is what is known. Its methods may be called from any goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	names  int // most that are counted

	changing sync.Mutex // one Change at a time
	mu       sync.Mutex
	accounts map[string]Account
	counts   map[string]*counts
	changed  *behind.Rows[string] // names whose counts are not written
}

// Open reads what is known from a database that was opened with Tables.
func Open(ctx context.Context, d *db.DB, events event.Sink) (*Store, error) {
	s := newStore(d, events, MaxNames)
	return s, about(errors.Join(s.readAccounts(ctx), s.readCounts(ctx)))
}

func newStore(d *db.DB, events event.Sink, names int) *Store {
	s := &Store{db: d, events: events, names: names, accounts: map[string]Account{}, counts: map[string]*counts{}}
	s.changed = behind.NewRows(&s.mu, 2*names, s.row)
	return s
}

// Account is what is known of one.
func (s *Store) Account(name string) (Account, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[name]
	return a, ok
}

// Accounts are all that are known, by name.
func (s *Store) Accounts() []Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Account, 0, len(s.accounts))
	for _, a := range s.accounts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Account) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Change changes what is known of an account. It is durable, and known to all, when there
// is no error; where fn says no, nothing is changed.
func (s *Store) Change(ctx context.Context, name string, fn func(*Account) bool) (Account, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	a, known := s.Account(name)
	a.Name = name
	if !fn(&a) {
		return a, nil
	}
	a.Why = event.Clean(a.Why, textMax)
	if !known && len(s.accounts) >= MaxAccounts {
		return a, about(ErrFull)
	}
	if err := s.db.Write(ctx, func(tx *db.Tx) error { return a.put(tx) }); err != nil {
		return a, about(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.isPlain() {
		delete(s.accounts, name)
	} else {
		s.accounts[name] = a
	}
	return a, nil
}

// Run writes what was counted until ctx ends, and once more then.
func (s *Store) Run(ctx context.Context) {
	behind.Loop{Write: s.Write, Every: writeEvery, Sweep: s.sweep, SweepEvery: time.Hour,
		Events: s.events, Program: "facteur/brake", What: "what accounts have sent can't be written down"}.Run(ctx)
}

func about(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("brake: %w", err)
}
