package directory

import "sync"

// cacheSize bounds each cache. A full cache starts over: with so many accounts in
// use, what is thrown away comes back in one read each.
const cacheSize = 10000

// cache remembers answers, each under its own full key. What was found and what was not
// are in caches of their own, so that strangers who ask for what is not there push out
// nothing that is.
type cache[V any] struct {
	mu      sync.Mutex
	entries map[string]V
	// age counts the clears: an answer read before a change is not put after it.
	age uint64
}

func newCache[V any]() *cache[V] { return &cache[V]{entries: map[string]V{}} }

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.entries[key]
	return v, ok
}

// mark is taken before the database is asked.
func (c *cache[V]) mark() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.age
}

// put remembers v unless the cache was cleared since mark.
func (c *cache[V]) put(key string, v V, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.age != mark {
		return
	}
	if len(c.entries) >= cacheSize {
		clear(c.entries)
	}
	c.entries[key] = v
}

func (c *cache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	clear(c.entries)
}
