package forward

import (
	"sync"
	"time"
)

// Pace counts what each address forwards in an hour (REL-016): whoever finds an alias that
// leads out has our good name for his spam. It is in memory, and bounded: when it knows of
// too many addresses, it forgets those of the hour before. It is safe for concurrent use.
type Pace struct {
	mu          sync.Mutex
	hour        int64
	now, before map[string]int
}

// paceMax is how many addresses are counted at most. What is beyond is not held back.
const paceMax = 100_000

// NewPace makes a Pace.
func NewPace() *Pace { return &Pace{now: map[string]int{}, before: map[string]int{}} }

// Full tells whether an address has forwarded as much as it may. Of the hour before as
// much counts as of it lies within the last sixty minutes.
func (p *Pace) Full(key string, perHour int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	past := 60 - now.Minute()
	return p.now[key]+p.before[key]*past/60 >= perHour
}

// Add counts one message.
func (p *Pace) Add(key string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	if _, there := p.now[key]; !there && len(p.now) >= paceMax {
		return
	}
	p.now[key]++
}

// turn begins a new hour.
func (p *Pace) turn(now time.Time) {
	switch hour := now.Unix() / 3600; hour - p.hour {
	case 0:
		return
	case 1:
		p.before, p.now, p.hour = p.now, map[string]int{}, hour
	default:
		p.before, p.now, p.hour = map[string]int{}, map[string]int{}, hour
	}
}
