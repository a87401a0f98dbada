package dns

import (
	"container/list"
	"sync"
	"time"

	"facteur/internal/base/lookup"
)

const (
	// entryCost is what an entry costs in memory beside its records, roughly.
	entryCost = 512
	// unpacked is how much bigger records are in memory than on the wire, roughly.
	unpacked = 3
	// shares is into how many parts the cache is divided: one organisational
	// domain gets no more than one of them.
	shares = 8
)

// cache remembers answers, Found and NotFound, until they expire or the room is
// needed. Within its bounds the least recently used goes first.
type cache struct {
	mu      sync.Mutex
	limit   int // bytes
	size    int
	entries map[question]*entry
	recent  *list.List // of *entry, most recently used in front
	owners  map[string]*owner
}

type entry struct {
	key     question
	answer  lookup.Answer[records]
	expires time.Time
	cost    int
	owner   *owner
	inAll   *list.Element
	inOwn   *list.Element
}

// owner is an organisational domain and what the cache holds of it.
type owner struct {
	name   string
	size   int
	recent *list.List
}

func newCache(limit int) *cache {
	return &cache{
		limit:   limit,
		entries: make(map[question]*entry),
		recent:  list.New(),
		owners:  make(map[string]*owner),
	}
}

func (c *cache) get(key question, now time.Time) (lookup.Answer[records], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return lookup.Answer[records]{}, false
	}
	if !now.Before(e.expires) {
		c.drop(e)
		return lookup.Answer[records]{}, false
	}
	c.recent.MoveToFront(e.inAll)
	e.owner.recent.MoveToFront(e.inOwn)
	return e.answer, true
}

// put remembers an answer of size bytes on the wire. TryAgain is never kept, nor
// is what would take a large part of the room.
func (c *cache) put(key question, a lookup.Answer[records], size int, expires, now time.Time) {
	cost := entryCost + unpacked*size
	if a.State() == lookup.TryAgain || !now.Before(expires) || cost > c.limit/shares {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[key]; old != nil {
		c.drop(old)
	}
	name := partyOf(key.name)
	for o := c.owners[name]; o != nil && o.size+cost > c.limit/shares && o.size > 0; {
		c.drop(o.recent.Back().Value.(*entry))
	}
	for c.size+cost > c.limit {
		c.drop(c.recent.Back().Value.(*entry))
	}
	c.add(&entry{key: key, answer: a, expires: expires, cost: cost, owner: c.ownerNamed(name)})
}

func (c *cache) ownerNamed(name string) *owner {
	o := c.owners[name]
	if o == nil {
		o = &owner{name: name, recent: list.New()}
		c.owners[name] = o
	}
	return o
}

func (c *cache) add(e *entry) {
	c.entries[e.key] = e
	c.size += e.cost
	e.owner.size += e.cost
	e.inAll = c.recent.PushFront(e)
	e.inOwn = e.owner.recent.PushFront(e)
}

func (c *cache) drop(e *entry) {
	delete(c.entries, e.key)
	c.size -= e.cost
	e.owner.size -= e.cost
	c.recent.Remove(e.inAll)
	e.owner.recent.Remove(e.inOwn)
	if e.owner.size == 0 {
		delete(c.owners, e.owner.name)
	}
}
