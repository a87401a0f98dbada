package scanner

import (
	"sync"
	"time"
)

// When a scanner rests.
const (
	// failuresMost is after how many failures in a row.
	failuresMost = 2
	// pauseFirst is for how long at first, pauseMost at last; it doubles.
	pauseFirst, pauseMost = 5 * time.Second, time.Minute
)

// breaker keeps letters from a scanner that does not answer. The zero value is for one that
// works.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	pause    time.Duration
	until    time.Time // it rests until then; zero: it does not
	since    time.Time // when the first of the failures was
	trying   bool      // somebody asks whether it is there again
	why      string

	// heard is when it answered last, failedAt when it last did not, because of lastWhy.
	heard, failedAt time.Time
	lastWhy         string
}

// admission is what a letter may do.
type admission int

const (
	admitted admission = iota
	refused            // it rests
	trial              // it has rested: ask whether it is there, and tell
)

// admit says what a letter may do now. Who is told to try it has to tell what came of that:
// tried, or failed.
func (b *breaker) admit(now time.Time) admission {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return admitted
	case b.trying || now.Before(b.until):
		return refused
	}
	b.trying = true
	return trial
}

// tried: it is there again. One more failure, and it rests again.
func (b *breaker) tried() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying, b.until, b.failures = false, time.Time{}, failuresMost-1
}

// gaveUp: nobody knows whether it is there, for who asked went away.
func (b *breaker) gaveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}

// failed counts a failure. down: with this one it begins to rest, where it worked before.
func (b *breaker) failed(now time.Time, why string) (down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		b.since = now
	}
	b.trying, b.why, b.failedAt, b.lastWhy = false, why, now, why
	if b.failures++; b.failures < failuresMost || !b.until.IsZero() && now.Before(b.until) {
		return false
	}
	down = b.pause == 0
	b.pause = min(max(2*b.pause, pauseFirst), pauseMost)
	b.until = now.Add(b.pause)
	return down
}

// answered: it works. back: it did not before; since tells how long.
func (b *breaker) answered(now time.Time) (back bool, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = now
	back, since = b.pause != 0, b.since
	b.failures, b.pause, b.until, b.since, b.trying, b.why = 0, 0, time.Time{}, time.Time{}, false, ""
	return back, since
}

// isOpen tells that it rests.
func (b *breaker) isOpen(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until)
}

// resting tells since when and why it does not answer; zero where it does.
func (b *breaker) resting() (since time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause == 0 {
		return time.Time{}, ""
	}
	return b.since, b.why
}

// last tells when it answered, and when and why it did not; zero where it never did.
func (b *breaker) last() (heard, failedAt time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard, b.failedAt, b.lastWhy
}
