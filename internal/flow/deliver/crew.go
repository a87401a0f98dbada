package deliver

import "time"

// crew is all workers. One that has been at an attempt for longer than slowAfter does not
// count among those that may be at work at a time, up to a larger bound: hosts that
// answer slowly, or never, cost memory but not the others' time (OUT-013).
type crew struct {
	workers map[*worker]struct{}
	// of is how many there are of each transport.
	of map[string]int
	// slow is how many have been seen to be.
	slow int
	// hungry are lines without a worker, and watched tells that a timer runs for them.
	hungry  []*line
	watched bool
}

const (
	// slowAfter is when a worker counts as slow, and lookOutEvery how often that is
	// looked at while somebody wants a worker.
	slowAfter    = time.Second
	lookOutEvery = 250 * time.Millisecond
	// slowFactor is how many times as many workers as may be at work there are at the
	// most, slow ones included.
	slowFactor = 10
)

// has tells whether there is a place for another worker of the line. The last half of
// all places is for lines without any worker, where there are others: a few
// destinations that answer slowly do not hold up all. Of the places for the slow, the
// last half is for lines that have not failed.
func (c *crew) has(out *Outbound, l *line, others bool) bool {
	limit := out.Concurrency
	if l.workers > 0 && others {
		limit = (limit + 1) / 2
	}
	most := out.Concurrency * slowFactor
	if l.times > 0 || l.workers > 0 && others {
		most /= 2
	}
	total := l.pace.Total
	return len(c.workers)-c.slow < limit && len(c.workers) < most && (total <= 0 || c.of[l.site.transport.Name] < total)
}

// rest notes that a worker has ended an attempt.
func (c *crew) rest(w *worker) {
	w.begun = time.Time{}
	if w.slow {
		w.slow = false
		c.slow--
	}
}

// look finds out who is slow.
func (c *crew) look(now time.Time) {
	for w := range c.workers {
		if !w.slow && !w.begun.IsZero() && now.Sub(w.begun) >= slowAfter {
			w.slow = true
			c.slow++
		}
	}
}

// lookOut looks for slow workers as long as lines want one.
func (m *remote) lookOut() {
	if m.crew.watched {
		return
	}
	m.crew.watched = true
	time.AfterFunc(lookOutEvery, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		now := time.Now()
		m.crew.watched = false
		m.crew.look(now)
		m.feedList(m.outbound(), &m.crew.hungry, now)
		if len(m.crew.hungry) > 0 && !m.closed() {
			m.lookOut()
		}
	})
}

// hire starts a worker of a line.
func (m *remote) hire(l *line) {
	w := &worker{remote: m, line: l, transport: l.site.transport.Name, settled: make(chan struct{}, settlingAhead)}
	l.workers++
	l.tempo.open++
	m.crew.workers[w] = struct{}{}
	m.crew.of[w.transport]++
	m.wg.Go(func() { w.work(m.ctx) })
}

// dismiss takes a worker off the books.
func (m *remote) dismiss(w *worker) {
	w.line.workers--
	w.line.tempo.open--
	delete(m.crew.workers, w)
	m.crew.of[w.transport]--
	m.crew.rest(w)
}
