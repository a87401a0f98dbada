package deliver

import (
	"sync"
	"time"
)

// rests are what did not work lately, by a name, and is left alone for a while: tried
// after everything else. The zero value is ready.
type rests struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// restsMax bounds how much is remembered.
const restsMax = 4096

// rest leaves something alone for a while; true when it was not already.
func (r *rests) rest(name string, now time.Time, d time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) >= restsMax {
		r.forget(now)
	}
	if r.until == nil {
		r.until = make(map[string]time.Time)
	}
	fresh := !r.until[name].After(now)
	r.until[name] = now.Add(d)
	return fresh
}

// forget makes room: of what is over, or of all of it. That costs some attempts.
func (r *rests) forget(now time.Time) {
	for name, until := range r.until {
		if !until.After(now) {
			delete(r.until, name)
		}
	}
	if len(r.until) >= restsMax {
		clear(r.until)
	}
}

// resting tells what is to be left alone.
func (r *rests) resting(name string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until[name].After(now)
}

// wakeAll ends all rests.
func (r *rests) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.until)
}

// any tells that something may be resting.
func (r *rests) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.until) > 0
}

// wake ends a rest; true when there was one.
func (r *rests) wake(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.until[name]
	delete(r.until, name)
	return found
}
