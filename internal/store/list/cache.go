package list

import (
	"sync"
	"time"

	"facteur/internal/base/lookup"
)

const (
	// defaultCacheTime is how long an answer of a server is used again.
	defaultCacheTime = 30 * time.Second
	// cacheEntries is how many answers of one list are kept at most, cacheBytes how
	// much text.
	cacheEntries = 4096
	cacheBytes   = 4 << 20
)

// cache keeps answers of one list for some time: "found" and "not found", never "try
// again". It has two halves; when the young one is full it becomes the old one, and
// the old one is forgotten.
type cache struct {
	life time.Duration

	mu         sync.Mutex
	young, old map[string]kept
	bytes      int // of the young half
}

type kept struct {
	answer lookup.Answer[string]
	until  time.Time
}

func newCache(life time.Duration) *cache {
	if life <= 0 {
		life = defaultCacheTime
	}
	return &cache{life: life, young: map[string]kept{}}
}

func (c *cache) get(key string, now time.Time) (lookup.Answer[string], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, found := c.young[key]
	if !found {
		k, found = c.old[key]
	}
	return k.answer, found && now.Before(k.until)
}

func (c *cache) put(key string, a lookup.Answer[string], now time.Time) {
	size := len(key) + len(a.Value())
	if a.State() == lookup.TryAgain || size > cacheBytes/2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheEntries/2 || c.bytes+size > cacheBytes/2 {
		c.old, c.young, c.bytes = c.young, map[string]kept{}, 0
	}
	c.young[key] = kept{a, now.Add(c.life)}
	c.bytes += size
}
