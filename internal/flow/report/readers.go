package report

import (
	"sync"
	"time"

	"facteur/internal/store/report"
)

const (
	// maxWaiting is how many letters of one kind wait to be read or are read, maxBytes how
	// large they are together, maxOfAuthor how many of them one domain may have sent.
	maxWaiting, maxBytes, maxOfAuthor = 100, 24 << 20, 10
	// maxUnverified is how many letters are read in an hour that nobody vouches for.
	maxUnverified = 200
)

// readers read one letter at a time of those whose author is known, and one of the
// others: whatever comes of these, there is time for those.
type readers struct {
	mu    sync.Mutex
	lanes [2]lane // the second is of verified authors
	// unverified is counted by the hour.
	unverified allowance
	busy       sync.WaitGroup
}

// lane is letters that are read one after the other. The lock of readers guards its counts.
type lane struct {
	turn    sync.Mutex
	waiting int
	bytes   int64
	authors map[string]int
}

// place is room for a letter. Its owner leaves it, or spends it, once.
type place struct {
	readers *readers
	lane    *lane
	author  string
	size    int64
}

// reserve makes room for a letter; nil if there is none.
func (r *readers) reserve(by report.Author, size int64, now time.Time) *place {
	l := &r.lanes[0]
	if by.Verified {
		l = &r.lanes[1]
	} else if !r.unverified.allow(now, maxUnverified) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.waiting >= maxWaiting || l.bytes+size > maxBytes || by.Verified && l.authors[by.Domain] >= maxOfAuthor {
		return nil
	}
	if l.authors == nil {
		l.authors = make(map[string]int)
	}
	l.waiting, l.bytes = l.waiting+1, l.bytes+size
	l.authors[by.Domain]++
	r.busy.Add(1)
	return &place{r, l, by.Domain, size}
}

// leave gives the room back.
func (p *place) leave() {
	defer p.readers.busy.Done()
	p.readers.mu.Lock()
	defer p.readers.mu.Unlock()
	p.lane.waiting, p.lane.bytes = p.lane.waiting-1, p.lane.bytes-p.size
	if p.lane.authors[p.author]--; p.lane.authors[p.author] == 0 {
		delete(p.lane.authors, p.author)
	}
}

// spend does the work when it is its turn, and leaves then.
func (p *place) spend(work func()) {
	go func() {
		defer p.leave()
		p.lane.turn.Lock()
		defer p.lane.turn.Unlock()
		work()
	}()
}

// Settle waits until what was taken in has been read, but no longer than given.
func (o *Office) Settle(most time.Duration) {
	done := make(chan struct{})
	go func() {
		o.readers.busy.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(most):
	}
}

// allowance counts what may be done in an hour.
type allowance struct {
	mu    sync.Mutex
	since time.Time
	n     int
}

// allow tells whether it may be done once more, of most times an hour.
func (a *allowance) allow(now time.Time, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.since) >= time.Hour || now.Before(a.since) {
		a.since, a.n = now, 0
	}
	if a.n >= most {
		return false
	}
	a.n++
	return true
}
