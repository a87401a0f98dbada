package policy

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "policy", Migrations: migrations} }

// Limits bound what is kept in the database, and so in memory.
const (
	// PoliciesMax is how many policies there are, EntriesMax how many entries of lists, and
	// ListMax how many of them one account, or one domain, has. The server's own list is
	// bounded by EntriesMax alone.
	PoliciesMax = 20_000
	EntriesMax  = 100_000
	ListMax     = 2_000
	// cacheMax is how many accounts' Effective are kept at hand.
	cacheMax = 10_000

	sweepEvery = time.Hour
)

// The errors of changes.
var (
	ErrFile   = errors.New("it is declared in facteur.toml, and only the file changes it")
	ErrNone   = errors.New("there is no such policy")
	ErrAbsent = errors.New("there is no such entry")
	ErrFull   = errors.New("there is no room for another one; remove some, or have them end with --until")
)

// Settings is what facteur.toml says.
type Settings struct {
	// Default is what holds where no policy says anything.
	Default  Effective
	Policies []Policy
	Entries  []Entry
}

// Store is the policies and lists of a server. Its methods may be called from any
// goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	now    func() time.Time

	changing sync.Mutex // one change at a time
	declared Settings
	policies map[string]Policy  // of the database, by Match
	entries  map[entryKey]Entry // likewise
	view     atomic.Pointer[view]
}

// Open reads what is known from a database that was opened with Tables.
func Open(ctx context.Context, d *db.DB, events event.Sink) (*Store, error) {
	return open(ctx, d, events, time.Now)
}

func open(ctx context.Context, d *db.DB, events event.Sink, now func() time.Time) (*Store, error) {
	s := &Store{db: d, events: events, now: now, declared: Settings{Default: Default()},
		policies: make(map[string]Policy), entries: make(map[entryKey]Entry)}
	if err := s.read(ctx); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	s.renew()
	return s, nil
}

// Declare has the settings hold from now on. They were checked.
func (s *Store) Declare(settings Settings) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for i := range settings.Policies {
		settings.Policies[i].Source = FromFile
	}
	for i := range settings.Entries {
		settings.Entries[i].Source = FromFile
	}
	s.declared = settings
	s.renew()
}

// renew makes what was changed hold; s.changing is held.
func (s *Store) renew() { s.view.Store(newView(s.declared, s.policies, s.entries)) }

// Effective is what holds for an account, whose canonical address is given.
func (s *Store) Effective(_ context.Context, account address.Address) lookup.Answer[Effective] {
	return lookup.Yes(*s.view.Load().effective(account))
}

// Listed is what the lists that are for an account say of a letter's senders; NotFound
// where no list names one.
func (s *Store) Listed(_ context.Context, account address.Address, from From) lookup.Answer[Listing] {
	l, any := s.view.Load().listed(account, from, s.now())
	if !any {
		return lookup.No[Listing](nil)
	}
	return lookup.Yes(l)
}

// Policies are all that are declared, in the order in which they are asked.
func (s *Store) Policies() []Policy {
	v := s.view.Load()
	list := make([]Policy, 0, len(v.ranked))
	for _, p := range v.ranked {
		list = append(list, p.copy())
	}
	return list
}

// Entries are those of a list, or of all with "", the ones that decide first at first.
func (s *Store) Entries(match string) ([]Entry, error) {
	if match != "" {
		var err error
		if match, err = CanonicalMatch(match); err != nil {
			return nil, err
		}
	}
	var list []Entry
	for key, entries := range s.view.Load().lists {
		for _, e := range entries {
			if (match == "" || key.match == match) && !e.over(s.now()) {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b Entry) int {
		switch {
		case a.goes(&b):
			return -1
		case b.goes(&a):
			return 1
		}
		return compareText(a.Match+"\x00"+a.What(), b.Match+"\x00"+b.What())
	})
	return list, nil
}

// Change has a policy of the database say what fn has it say; one that says nothing any
// more is removed.
func (s *Store) Change(ctx context.Context, match string, fn func(*Policy) error) (Policy, error) {
	match, err := CanonicalMatch(match)
	if err != nil {
		return Policy{}, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if slices.ContainsFunc(s.declared.Policies, func(p Policy) bool { return p.Match == match }) {
		return Policy{}, fmt.Errorf("%s: %w", match, ErrFile)
	}
	old, known := s.policies[match]
	p := old.copy()
	p.Match, p.Source = match, FromDatabase
	if err := fn(&p); err != nil {
		return p, err
	}
	if p, err = p.Check(); err != nil {
		return p, err
	}
	if p.IsEmpty() {
		return p, s.removePolicy(ctx, match, known)
	}
	if !known && len(s.policies) >= PoliciesMax {
		return p, ErrFull
	}
	if err := s.writePolicy(ctx, p); err != nil {
		return p, err
	}
	s.policies[match] = p
	s.renew()
	return p, nil
}

// Remove removes a policy of the database.
func (s *Store) Remove(ctx context.Context, match string) error {
	_, err := s.Change(ctx, match, func(p *Policy) error {
		*p = Policy{Match: p.Match}
		return nil
	})
	return err
}

func (s *Store) removePolicy(ctx context.Context, match string, known bool) error {
	if !known {
		return fmt.Errorf("%s: %w", match, ErrNone)
	}
	if err := s.deletePolicy(ctx, match); err != nil {
		return err
	}
	delete(s.policies, match)
	s.renew()
	return nil
}

// Add puts an entry on a list of the database, in the place of one that names the same.
func (s *Store) Add(ctx context.Context, e Entry) (Entry, error) {
	e, err := e.Check()
	if err != nil {
		return e, err
	}
	e.Source, e.Added = FromDatabase, s.now().Truncate(time.Second)
	s.changing.Lock()
	defer s.changing.Unlock()
	if slices.ContainsFunc(s.declared.Entries, func(d Entry) bool { return d.key() == e.key() }) {
		return e, fmt.Errorf("%s: %w", e.What(), ErrFile)
	}
	if _, known := s.entries[e.key()]; !known && s.isFull(e.Match) {
		return e, ErrFull
	}
	if err := s.writeEntry(ctx, e); err != nil {
		return e, err
	}
	s.entries[e.key()] = e
	s.renew()
	return e, nil
}

// isFull tells whether a list has no room.
func (s *Store) isFull(match string) bool {
	n := 0
	for k := range s.entries {
		if k.match == match {
			n++
		}
	}
	return len(s.entries) >= EntriesMax || match != "." && n >= ListMax
}

// Take takes an entry off a list of the database.
func (s *Store) Take(ctx context.Context, e Entry) error {
	key := e.key()
	s.changing.Lock()
	defer s.changing.Unlock()
	if _, known := s.entries[key]; !known {
		if slices.ContainsFunc(s.declared.Entries, func(d Entry) bool { return d.key() == key }) {
			return fmt.Errorf("%s: %w", e.What(), ErrFile)
		}
		return fmt.Errorf("%s: %w", e.What(), ErrAbsent)
	}
	if err := s.deleteEntry(ctx, key); err != nil {
		return err
	}
	delete(s.entries, key)
	s.renew()
	return nil
}

// Run removes what has ended, until ctx does.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/policy", Text: "entries that have ended can't be removed: " + err.Error()})
			}
		}
	}
}

// Fixed is a Store without a database: policies and lists that do not change, each with its
// Source. It is for judging, not for changes.
func Fixed(settings Settings) *Store {
	s := &Store{declared: settings, now: time.Now}
	s.renew()
	return s
}
