package reputation

import (
	"maps"
	"slices"
	"sync"
	"time"

	"facteur/internal/store/behind"
)

// Class is how large a sender is, and how long he is known.
type Class uint8

// The classes.
const (
	// New has sent the first letter less than two weeks ago.
	New Class = iota
	// Small sends less than some ten letters a month.
	Small
	// Large sends more.
	Large
	classes
)

var classNames = [classes]string{"new", "small", "large"}

// String is the class for people.
func (c Class) String() string { return classNames[c] }

// Fate is what became of a letter.
type Fate uint8

// The fates. Released is a letter of which a user said afterwards that it is no spam: an
// error of ours.
const (
	Accepted Fate = iota
	Junked
	Greylisted
	Refused
	Quarantined
	Released
	// Banned is one that was refused unseen, because of who brought it; OnTrial one that
	// would have been.
	Banned
	OnTrial
	fates
)

var fateNames = [fates]string{"accepted", "junk", "greylisted", "refused", "quarantined", "released", "banned", "on_trial"}

const (
	newTime    = 14 * 24 * time.Hour
	smallMost  = 10
	faresDays  = 90
	secondsDay = 24 * 60 * 60
)

// fares counts what became of letters, by day and class.
type fares struct {
	mu      sync.Mutex
	days    map[int64]*day // by Unix days; at most faresDays
	changed *behind.Rows[int64]
}

type day [classes][fates]uint32

func newFares() *fares {
	t := &fares{days: make(map[int64]*day)}
	t.changed = behind.NewRows(&t.mu, 2*faresDays, t.row)
	return t
}

// ClassOf is the class of who sent a letter: of the domain that is proven, else of the
// client.
func (s *Store) ClassOf(o Origin) Class {
	sub := Client(o.Client)
	if len(o.Domains) > 0 {
		sub = Proven(o.Domains[0])
	}
	now := s.now().Unix()
	e, known := s.standings.ledgers[sub.kind].look(sub.key, now)
	switch {
	case !known || now-e.since < int64(newTime/time.Second):
		return New
	case e.good+e.bad < smallMost:
		return Small
	}
	return Large
}

// Fared counts what became of a letter.
func (s *Store) Fared(c Class, f Fate) {
	t := s.standings.fares
	t.mu.Lock()
	defer t.mu.Unlock()
	today := s.now().Unix() / secondsDay
	d := t.days[today]
	if d == nil {
		d = &day{}
		t.days[today] = d
		t.forget(today)
	}
	d[c][f]++
	t.changed.Touch(today)
}

// forget drops days that are long gone, or that a wrong clock made.
func (t *fares) forget(today int64) {
	maps.DeleteFunc(t.days, func(n int64, _ *day) bool { return n <= today-faresDays || n > today+1 })
}

// Fare is how the senders of one class fared.
type Fare struct {
	Class       string `json:"class"`
	Accepted    int    `json:"accepted"`
	Junk        int    `json:"junk"`
	Quarantined int    `json:"quarantined"`
	Greylisted  int    `json:"greylisted"`
	// Refused are those of banned machines, too: Banned is how many of them.
	Refused int `json:"refused"`
	Banned  int `json:"banned"`
	// OnTrial are those that bans would have refused which are only tried.
	OnTrial int `json:"on_trial"`
	// Released are letters of which somebody said afterwards that they are no spam.
	Released int `json:"released"`
}

// Fares are how senders fared since a time, by class.
func (s *Store) Fares(since time.Time) []Fare {
	t, from := s.standings.fares, since.Unix()/secondsDay
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum [classes][fates]int
	for _, n := range slices.Sorted(maps.Keys(t.days)) {
		if n < from {
			continue
		}
		for c := range classes {
			for f := range fates {
				sum[c][f] += int(t.days[n][c][f])
			}
		}
	}
	out := make([]Fare, classes)
	for c := range classes {
		out[c] = Fare{Class: c.String(), Accepted: sum[c][Accepted], Junk: sum[c][Junked], Quarantined: sum[c][Quarantined],
			Greylisted: sum[c][Greylisted], Refused: sum[c][Refused] + sum[c][Banned], Banned: sum[c][Banned], OnTrial: sum[c][OnTrial], Released: sum[c][Released]}
	}
	return out
}
