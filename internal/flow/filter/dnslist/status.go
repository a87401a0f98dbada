package dnslist

import (
	"slices"
	"time"
)

// counts are what a list was asked since the start.
type counts struct {
	asked, cached, hits, failed, spared uint64

	day      int64 // since 1970, UTC
	dayAsked int

	lastError string
	failedAt  time.Time
}

// today is how many questions were asked today.
func (c *counts) today(now time.Time) int {
	if day := now.Unix() / 86400; day != c.day {
		c.day, c.dayAsked = day, 0
	}
	return c.dayAsked
}

func (c *counts) fail(why string, now time.Time) {
	c.failed++
	c.lastError, c.failedAt = why, now
}

// Status is what is known of a list, for its admin. It holds no key.
type Status struct {
	Name string `json:"name"`
	Zone string `json:"zone"`
	Kind Kind   `json:"kind"`
	// State is whether it is asked, Since from when on, Reason why not (of IPv6, if it is
	// asked otherwise). Tested is when that was looked at last.
	State  State     `json:"state"`
	IPv6   bool      `json:"ipv6"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Tested time.Time `json:"tested,omitzero"`
	// TestOnly: what it says counts nothing.
	TestOnly bool `json:"test_only,omitempty"`
	// Asked are questions that went out since the start, Cached those that were answered
	// from memory, Hits the answers that counted, Failed what went wrong, Spared what was
	// not asked because of the limit. Today is how many went out today, Daily the limit.
	Asked  uint64 `json:"asked"`
	Cached uint64 `json:"cached"`
	Hits   uint64 `json:"hits"`
	Failed uint64 `json:"failed"`
	Spared uint64 `json:"spared"`
	Today  int    `json:"today"`
	Daily  int    `json:"daily"`
	// LastError is what went wrong last, at FailedAt.
	LastError string    `json:"last_error,omitempty"`
	FailedAt  time.Time `json:"failed_at,omitzero"`
}

// Status is what is known of all lists, in the order of the settings.
func (l *Lists) Status() []Status {
	lists := l.rules.Load().lists
	out := make([]Status, len(lists))
	for i, one := range lists {
		out[i] = one.status(l.now())
	}
	return slices.Clip(out)
}

func (l *list) status(now time.Time) Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, c := l.health, &l.counts
	if h.state == "" {
		h.state = Untested
	}
	return Status{
		Name: l.Name, Zone: l.Zone, Kind: l.Kind, State: h.state, IPv6: h.six, Reason: h.reason, Since: h.since, Tested: h.tested, TestOnly: l.TestOnly,
		Asked: c.asked, Cached: c.cached, Hits: c.hits, Failed: c.failed, Spared: c.spared, Today: c.today(now), Daily: l.Daily,
		LastError: c.lastError, FailedAt: c.failedAt,
	}
}
