package limit

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// ways is how many keys share a set of slots: enough that a set overflows only when
// the whole table is nearly full, few enough to look through.
const ways = 16

// DefaultSlots is a size for a Counter of clients: some 4 MB when all are taken.
const DefaultSlots = 1 << 16

// Counter sums up events by key over a sliding window, in bounded memory. It may be
// used by any goroutine.
//
// The window slides in one step: the sum is what the current window has, and of the
// one before the part that still overlaps.
type Counter[K comparable] struct {
	window time.Duration
	start  time.Time // windows are counted from here, by the monotonic clock
	seed   maphash.Seed
	sets   []set[K]
}

// set is the slots of the keys with one hash, in no order. They are made as keys
// come.
type set[K comparable] struct {
	mu    sync.Mutex
	slots []slot[K]
}

type slot[K comparable] struct {
	key      K
	window   int64 // the number of the window that now is of
	now, old uint32
}

// NewCounter counts over window for at least slots keys; both are more than zero.
func NewCounter[K comparable](window time.Duration, slots int) *Counter[K] {
	if window <= 0 || slots <= 0 {
		panic("limit: a counter without a window or without slots")
	}
	return &Counter[K]{
		window: window, start: time.Now(), seed: maphash.MakeSeed(),
		sets: make([]set[K], (slots+ways-1)/ways),
	}
}

// Add counts n events (at least 0) for a key and returns the sum in its window.
func (c *Counter[K]) Add(key K, n int) int {
	s, t := c.set(key), c.time()
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.find(key)
	if x == nil {
		x = s.make(key, t)
	}
	x.roll(t.window)
	x.now = add(x.now, n)
	return x.sum(t)
}

// Sum is the sum for a key without counting anything. A key that has no slot in a
// full table has the sum with which it would begin.
func (c *Counter[K]) Sum(key K) int {
	s, t := c.set(key), c.time()
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.find(key)
	if x == nil && len(s.slots) == ways {
		x = s.lowest(t)
	}
	if x == nil {
		return 0
	}
	x.roll(t.window)
	return x.sum(t)
}

// Forget sets the sum of a key to zero: whoever it is has shown to be welcome. Call
// it for nothing that an attacker can bring about for himself.
func (c *Counter[K]) Forget(key K) {
	s := c.set(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(key); x != nil {
		x.now, x.old = 0, 0
	}
}

// Window is the time over which is counted.
func (c *Counter[K]) Window() time.Duration { return c.window }

func (c *Counter[K]) set(key K) *set[K] {
	return &c.sets[maphash.Comparable(c.seed, key)%uint64(len(c.sets))]
}

// instant is a moment: the number of its window, and which part of that is over.
type instant struct {
	window int64
	over   float64
}

func (c *Counter[K]) time() instant {
	d := time.Since(c.start)
	n := d / c.window
	return instant{int64(n), float64(d-n*c.window) / float64(c.window)}
}

func (s *set[K]) find(key K) *slot[K] {
	for i := range s.slots {
		if s.slots[i].key == key {
			return &s.slots[i]
		}
	}
	return nil
}

// make finds room for a key. In a full set the lowest gives up its slot, and the
// newcomer begins where it stood.
func (s *set[K]) make(key K, t instant) *slot[K] {
	if len(s.slots) == ways {
		x := s.lowest(t)
		x.key = key
		return x
	}
	s.slots = append(s.slots, slot[K]{key: key, window: t.window})
	return &s.slots[len(s.slots)-1]
}

// lowest is the slot with the lowest sum; one whose window is over has none.
func (s *set[K]) lowest(t instant) *slot[K] {
	low := &s.slots[0]
	for i := range s.slots {
		x := &s.slots[i]
		x.roll(t.window)
		if x.sum(t) < low.sum(t) {
			low = x
		}
	}
	return low
}

// roll moves a slot on to a window.
func (x *slot[K]) roll(window int64) {
	switch window - x.window {
	case 0:
		return
	case 1:
		x.old, x.now = x.now, 0
	default:
		x.old, x.now = 0, 0
	}
	x.window = window
}

func (x *slot[K]) sum(t instant) int {
	return int(x.now) + int(math.Ceil(float64(x.old)*(1-t.over)))
}

// add does not wrap around: a count that ran over would be a clean slate.
func add(a uint32, n int) uint32 {
	if n <= 0 {
		return a
	}
	if uint64(a)+uint64(n) > math.MaxUint32 {
		return math.MaxUint32
	}
	return a + uint32(n)
}
