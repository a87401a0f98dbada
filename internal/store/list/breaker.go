package list

import (
	"fmt"
	"sync"
	"time"
)

const (
	// firstPause is how long a server is left alone after it failed; each further
	// failure doubles it, up to longestPause.
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// breaker keeps look-ups from waiting for a server that is down: after a failure it
// refuses at once for some time, and then lets one through that tries.
type breaker struct {
	mu      sync.Mutex
	cause   error // of the last failure; nil while all is well
	pause   time.Duration
	until   time.Time
	probing bool
}

// refuses tells why nothing is asked now; nil if something may be.
func (b *breaker) refuses(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal(now)
}

func (b *breaker) refusal(now time.Time) error {
	if b.cause == nil || !b.probing && !now.Before(b.until) {
		return nil
	}
	return fmt.Errorf("not asked again yet: %w", b.cause)
}

// enter is refuses, and makes the caller the one who tries. It ends with worked,
// failed or abandoned.
func (b *breaker) enter(now time.Time) (probe bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refusal(now); err != nil {
		return false, err
	}
	b.probing = b.cause != nil
	return b.probing, nil
}

// worked tells whether that is news.
func (b *breaker) worked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := b.cause != nil
	b.cause, b.pause, b.probing = nil, 0, false
	return news
}

// failed tells whether that is news: the first failure, or one of another kind.
func (b *breaker) failed(probe bool, err error, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause != nil && !probe {
		return false // one of several that were under way
	}
	news := b.cause == nil || b.cause.Error() != err.Error()
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	b.cause, b.until, b.probing = err, now.Add(b.pause), false
	return news
}

// abandoned lets somebody else try.
func (b *breaker) abandoned(probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
}
