package scanner

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
)

// counts are since the scanner was made.
type counts struct{ scanned, viruses, skipped, failed atomic.Uint64 }

// Status is how a scanner fares.
type Status struct {
	Name   string `json:"name"`
	Kind   Kind   `json:"type"`
	Socket string `json:"address"`
	// Down: it does not answer, since Since, for the reason Why.
	Down     bool      `json:"down,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Why      string    `json:"why,omitempty"`
	WhenDown WhenDown  `json:"when_down"`
	TestOnly bool      `json:"test_only,omitempty"`
	// Scanned are letters that it looked at, Viruses those in which it found one, Skipped
	// those that were too large, Failed those that it could not look at.
	Scanned uint64 `json:"scanned"`
	Viruses uint64 `json:"viruses"`
	Skipped uint64 `json:"skipped"`
	Failed  uint64 `json:"failed"`
}

// Status is how it fares now.
func (s *Scanner) Status() Status {
	since, why := s.breaker.resting()
	return Status{Name: s.cfg.Name, Kind: s.cfg.Kind, Socket: s.cfg.Socket, Down: !since.IsZero(), Since: since, Why: why,
		WhenDown: s.cfg.WhenDown, TestOnly: s.cfg.TestOnly, Scanned: s.counts.scanned.Load(), Viruses: s.counts.viruses.Load(),
		Skipped: s.counts.skipped.Load(), Failed: s.counts.failed.Load()}
}

// Scanners are those of the settings. They keep what they know when settings are read again.
type Scanners struct {
	events event.Sink
	mu     sync.Mutex
	all    []*Scanner
}

// NewScanners has none yet.
func NewScanners(events event.Sink) *Scanners { return &Scanners{events: events} }

// Configure makes scanners of the settings; those that are as before stay.
func (s *Scanners) Configure(configs []Config) []*Scanner {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make([]*Scanner, 0, len(configs))
	for _, c := range configs {
		next = append(next, s.find(c))
	}
	s.all = next
	return next
}

func (s *Scanners) find(c Config) *Scanner {
	for _, old := range s.all {
		if reflect.DeepEqual(old.cfg, c) {
			return old
		}
	}
	return New(c, s.events)
}

// Status is how all fare.
func (s *Scanners) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Status, len(s.all))
	for i, one := range s.all {
		out[i] = one.Status()
	}
	return out
}
