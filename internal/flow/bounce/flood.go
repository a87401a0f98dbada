package bounce

import (
	"sync"
	"time"
)

const (
	// perReader is how many notices one address gets in an hour in full. Beyond, it
	// hears of failures only, with the headers of what failed (LOOP-013).
	perReader = 100
	// perPostmaster is how many undeliverable notices a postmaster gets in an hour one
	// by one (LOOP-005). The others are counted in a letter.
	perPostmaster = 20
	// maxReaders is how many addresses are counted. When there are more, those not yet
	// counted count as one.
	maxReaders = 10_000
)

// flood counts automatic mail by the hour, to each address. Nothing of it is kept: a
// restart begins anew.
type flood struct {
	mu    sync.Mutex
	since time.Time
	sent  map[string]int
}

// add counts a letter to somebody, and tells how many there were before.
func (f *flood) add(to string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	to = f.slot(to, now)
	f.sent[to]++
	return f.sent[to] - 1
}

// count tells how many letters somebody has got in this hour.
func (f *flood) count(to string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent[f.slot(to, now)]
}

func (f *flood) slot(to string, now time.Time) string {
	if f.sent == nil || now.Sub(f.since) >= time.Hour || now.Before(f.since) {
		f.since, f.sent = now, map[string]int{}
	}
	if _, known := f.sent[to]; !known && len(f.sent) >= maxReaders {
		return "others"
	}
	return to
}
