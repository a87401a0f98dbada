package introspect

import (
	"crypto/sha256"
	"sync"
	"time"

	"facteur/internal/base/lookup"
)

// How long and how much is remembered.
const (
	memoryTime = 30 * time.Second
	memorySize = 4096
)

// memory is what was said of tokens not long ago, by their hashes.
type memory struct {
	mu      sync.Mutex
	entries map[[sha256.Size]byte]entry
}

type entry struct {
	answer lookup.Answer[string]
	until  time.Time
}

func newMemory() memory { return memory{entries: make(map[[sha256.Size]byte]entry)} }

func (m *memory) recall(token string, now time.Time) (lookup.Answer[string], bool) {
	key := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	return e.answer, ok && now.Before(e.until)
}

// keep remembers an answer for a moment, and no longer than the token is good. A
// full memory starts over.
func (m *memory) keep(token string, a lookup.Answer[string], good, now time.Time) {
	until := now.Add(memoryTime)
	if !good.IsZero() && good.Before(until) {
		until = good
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.entries) >= memorySize {
		clear(m.entries)
	}
	m.entries[sha256.Sum256([]byte(token))] = entry{a, until}
}
