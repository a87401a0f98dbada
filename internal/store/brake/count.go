package brake

import (
	"slices"
	"time"

	"facteur/internal/base/limit"
)

// Kind is what is counted.
type Kind int

// The kinds, all of them recipients but FirstDomains.
const (
	Recipients   Kind = iota // that were accepted, held ones included
	First                    // to whom the account had never written
	FirstDomains             // in which it had never written to anybody this day, of those
	Unknown                  // whom their servers, or we, do not know
	Failed                   // that came back, for whatever reason
	Held                     // that were held
	kinds
)

// Sums are a number for each Kind.
type Sums [kinds]int

func (s *Sums) add(c *cell) {
	for k := range s {
		s[k] += int(c.n[k])
	}
}

// cell is what was counted in one slot.
type cell struct {
	slot int64
	n    [kinds]uint32
}

// counts are the cells of a name, the oldest first.
type counts struct{ cells []cell }

func slotOf(t time.Time) int64 { return t.Unix() / int64(Slot/time.Second) }

// last is the slot in which something was counted last.
func (c *counts) last() int64 {
	if len(c.cells) == 0 {
		return 0
	}
	return c.cells[len(c.cells)-1].slot
}

// trim drops what is over, and what is from the future.
func (c *counts) trim(now int64) {
	c.cells = slices.DeleteFunc(c.cells, func(x cell) bool { return x.slot <= now-daySlots-1 || x.slot > now })
}

// within sums up the last slots and the one that has begun.
func (c *counts) within(now, slots int64) (s Sums) {
	for i := range c.cells {
		if x := &c.cells[i]; x.slot >= now-slots && x.slot <= now {
			s.add(x)
		}
	}
	return s
}

func (c *counts) note(now int64, n Sums) {
	c.trim(now)
	if c.last() != now || len(c.cells) == 0 {
		c.cells = append(c.cells, cell{slot: now})
	}
	at := &c.cells[len(c.cells)-1]
	for k := range n {
		at.n[k] = uint32(min(int64(at.n[k])+int64(max(n[k], 0)), 1<<31))
	}
}

// Add counts for a name.
func (s *Store) Add(name string, n Sums) {
	now := slotOf(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[name]
	if c == nil {
		if len(s.counts) >= s.names {
			idle := limit.Spare(s.counts, (*counts).last)
			delete(s.counts, idle)
			s.changed.Touch(idle)
		}
		c = &counts{}
		s.counts[name] = c
	}
	c.note(now, n)
	s.changed.Touch(name)
}

// Within sums up what was counted for a name within a time, to ten minutes; a day at most.
func (s *Store) Within(name string, d time.Duration) Sums {
	now := slotOf(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.counts[name]; c != nil {
		return c.within(now, min(int64(d/Slot), daySlots))
	}
	return Sums{}
}

// Anew forgets what a name has sent, and takes it off what its domain has; what was held of
// it stays counted.
func (s *Store) Anew(name, domain string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[name]
	if c == nil {
		return
	}
	if all := s.counts[domain]; all != nil {
		all.less(c)
		s.changed.Touch(domain)
	}
	for i := range c.cells {
		held := c.cells[i].n[Held]
		c.cells[i].n = [kinds]uint32{Held: held}
	}
	s.changed.Touch(name)
}

// less takes off what others counted, but for what was held.
func (c *counts) less(others *counts) {
	for _, x := range others.cells {
		for i := range c.cells {
			if c.cells[i].slot != x.slot {
				continue
			}
			for k := range x.n {
				if Kind(k) != Held {
					c.cells[i].n[k] -= min(x.n[k], c.cells[i].n[k])
				}
			}
		}
	}
}

// Names are those for which something was counted within the last day.
func (s *Store) Names() []string {
	oldest := slotOf(time.Now()) - daySlots
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name, c := range s.counts {
		if c.last() >= oldest {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
