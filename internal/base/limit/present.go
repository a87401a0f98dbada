package limit

import "sync"

// Present counts how many are inside at this moment, by key. It is as large as
// those who are inside, whom a Budget bounds. The zero Present is empty.
type Present[K comparable] struct {
	mu sync.Mutex
	by map[K]int
}

// Enter counts one in and returns how many there are now with him.
func (p *Present[K]) Enter(key K) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = make(map[K]int)
	}
	p.by[key]++
	return p.by[key]
}

// Leave counts one out who was counted in.
func (p *Present[K]) Leave(key K) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by[key]--; p.by[key] <= 0 {
		delete(p.by, key)
	}
}

// Len is how many keys have somebody inside.
func (p *Present[K]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.by)
}
