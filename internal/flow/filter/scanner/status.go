package scanner

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
)

// counts are since the scanner was made.
type counts struct{ scanned, viruses, skipped, failed atomic.Uint64 }

// State is whether a scanner looks at letters.
type State string

// The states.
const (
	Working State = "working" // it answers
	Resting State = "resting" // it failed letters, and none is shown to it for a moment
	Dead    State = "down"    // it does not even say that it is there
)

// Status is how a scanner fares.
type Status struct {
	Name   string `json:"name"`
	Kind   Kind   `json:"type"`
	Socket string `json:"address"`
	State  State  `json:"state"`
	// Since is when the first of the letters came that it has failed since, Why what is wrong
	// with it now.
	Since    time.Time `json:"since,omitzero"`
	Why      string    `json:"why,omitempty"`
	WhenDown WhenDown  `json:"when_down"`
	TestOnly bool      `json:"test_only,omitempty"`
	// Answered is when it last looked at a letter, FailedAt when it last did not, for the
	// reason LastError.
	Answered  time.Time `json:"answered,omitzero"`
	FailedAt  time.Time `json:"failed_at,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	// Scanned are letters that it looked at, Viruses those in which it found one, Skipped
	// those that were too large, Failed those that it could not look at.
	Scanned uint64 `json:"scanned"`
	Viruses uint64 `json:"viruses"`
	Skipped uint64 `json:"skipped"`
	Failed  uint64 `json:"failed"`
}

// Status is how it fares with letters.
func (s *Scanner) Status() Status {
	out := Status{Name: s.cfg.Name, Kind: s.cfg.Kind, Socket: s.cfg.Socket, State: Working, WhenDown: s.cfg.WhenDown, TestOnly: s.cfg.TestOnly,
		Scanned: s.counts.scanned.Load(), Viruses: s.counts.viruses.Load(), Skipped: s.counts.skipped.Load(), Failed: s.counts.failed.Load()}
	out.Answered, out.FailedAt, out.LastError = s.breaker.last()
	if out.Since, out.Why = s.breaker.resting(); !out.Since.IsZero() {
		out.State = Resting
	}
	return out
}

// Asked is Status, after it was asked whether it is there. That it is not makes no letter wait
// for it less: what letters meet decides that.
func (s *Scanner) Asked(ctx context.Context) Status {
	err := s.Ping(ctx)
	out := s.Status()
	if err != nil {
		out.State, out.Why = Dead, event.Reason(err)
	}
	return out
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

// Asked asks all of them at once whether they are there, and tells how they fare.
func (s *Scanners) Asked(ctx context.Context) []Status {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	out := make([]Status, len(all))
	var wait sync.WaitGroup
	for i, one := range all {
		wait.Go(func() { out[i] = one.Asked(ctx) })
	}
	wait.Wait()
	return out
}

// Ask asks scanners of settings that no server uses whether they are there.
func Ask(ctx context.Context, configs []Config) []Status {
	all := NewScanners(event.Discard)
	all.Configure(configs)
	return all.Asked(ctx)
}
