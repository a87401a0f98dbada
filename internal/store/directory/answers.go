package directory

import (
	"sync"
	"time"

	"facteur/internal/base/lookup"
)

// How long answers of sources are used again. An account that was removed is gone here
// after foundLife at the latest, one that was added is there after missingLife. Log-ins
// ask anew each time.
const (
	foundLife   = 30 * time.Second
	missingLife = 5 * time.Second
	// staleLife is how long an answer is used on while the source gives none, where that
	// is allowed: for domains, of which an outage would make all mail wait.
	staleLife = time.Hour
)

// answers remembers what sources said, each under its own full key, and TryAgain never.
// What was found and what was not are apart, as in cache.
type answers[V any] struct {
	mu             sync.Mutex
	found, missing map[string]dated[V]
	age            uint64 // see cache
}

type dated[V any] struct {
	answer lookup.Answer[V]
	until  time.Time
}

func newAnswers[V any]() *answers[V] {
	return &answers[V]{found: map[string]dated[V]{}, missing: map[string]dated[V]{}}
}

// get is what was said of key, if that still counts.
func (c *answers[V]) get(key string) (lookup.Answer[V], bool) { return c.recall(key, 0) }

// stale is what was said of key some time ago.
func (c *answers[V]) stale(key string) (lookup.Answer[V], bool) { return c.recall(key, staleLife) }

func (c *answers[V]) recall(key string, longer time.Duration) (lookup.Answer[V], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.found[key]
	if !ok {
		known, ok = c.missing[key]
	}
	return known.answer, ok && time.Now().Before(known.until.Add(longer))
}

// mark is taken before a source is asked.
func (c *answers[V]) mark() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.age
}

// put remembers an answer unless the cache was cleared since mark.
func (c *answers[V]) put(key string, a lookup.Answer[V], mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.age != mark || a.State() == lookup.TryAgain {
		return
	}
	side, other, life := c.found, c.missing, foundLife
	if a.State() == lookup.NotFound {
		side, other, life = c.missing, c.found, missingLife
	}
	delete(other, key)
	if len(side) >= cacheSize {
		clear(side)
	}
	side[key] = dated[V]{a, time.Now().Add(life)}
}

func (c *answers[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	clear(c.found)
	clear(c.missing)
}
