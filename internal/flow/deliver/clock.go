package deliver

import (
	"sync"
	"time"
)

// clock compares the clock on the wall with that of the process, which nobody sets. When
// they part by more than clockSlack, because the machine slept, had no clock at its start or
// was given a wrong time, nothing expires for doubtFor: what was put off is tried first, and
// who set the clock has time to see it (FLT-014, OUT-024). Beyond that, the attempts that
// are kept with each recipient protect it: see Schedule.Expired.
type clock struct {
	start time.Time

	mu    sync.Mutex
	wall  time.Time
	since time.Duration // of the process's clock, at wall
	until time.Duration // doubtful until then
}

const (
	clockSlack = time.Hour
	doubtFor   = time.Hour
)

func newClock(now time.Time) *clock { return &clock{start: now, wall: now.Round(0)} }

// doubtful tells whether the time of day may be wrong now.
func (c *clock) doubtful(now time.Time) bool { return c.look(now.Round(0), now.Sub(c.start)) }

// look compares what both clocks show.
func (c *clock) look(wall time.Time, since time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if off := wall.Sub(c.wall) - (since - c.since); off.Abs() > clockSlack {
		c.until = since + doubtFor
	}
	c.wall, c.since = wall, since
	return since < c.until
}
