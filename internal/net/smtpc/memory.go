package smtpc

import (
	"crypto/tls"
	"sync"
	"time"
)

// Memory is what is remembered of hosts from one connection to the next: their TLS
// sessions, and what they offer and can not do. It is bounded, forgets its complaints
// after a day, and may be used by many at a time. Nil remembers nothing.
type Memory struct {
	sessions tls.ClientSessionCache

	mu     sync.Mutex
	faults map[complaint]time.Time // until when
}

// The bounds of a Memory.
const (
	maxSessions = 1000
	maxFaults   = 4000
	faultTime   = 24 * time.Hour
)

// fault is something that a host offers and can not do.
type fault uint8

const (
	// badChunking: BDAT was not understood, or lost a message.
	badChunking fault = iota
	// badResumption: a TLS session that it gave us broke the next connection.
	badResumption
)

type complaint struct {
	place string // of a host, see Target
	fault fault
}

// NewMemory makes an empty one.
func NewMemory() *Memory {
	return &Memory{sessions: tls.NewLRUClientSessionCache(maxSessions), faults: make(map[complaint]time.Time)}
}

// blame notes a fault of a host. It is false when there is nowhere to note it.
func (m *Memory) blame(place string, f fault) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if len(m.faults) >= maxFaults {
		m.makeRoom(now)
	}
	m.faults[complaint{place, f}] = now.Add(faultTime)
	return true
}

// makeRoom forgets what is over, and else any one: a host can show it again.
func (m *Memory) makeRoom(now time.Time) {
	for c, until := range m.faults {
		if until.Before(now) {
			delete(m.faults, c)
		}
	}
	for c := range m.faults {
		if len(m.faults) < maxFaults {
			return
		}
		delete(m.faults, c)
	}
}

// knows tells whether a host has the fault.
func (m *Memory) knows(place string, f fault) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	until, found := m.faults[complaint{place, f}]
	return found && time.Now().Before(until)
}

// sessionsOf are the TLS sessions with a host under a policy, as a connection sees
// them; nil where none are to be used.
func (m *Memory) sessionsOf(place, policy string) *sessionView {
	if m == nil || m.knows(place, badResumption) {
		return nil
	}
	return &sessionView{memory: m, key: policy + "\x00" + place}
}

// sessionView implements tls.ClientSessionCache under a key of our own: what was
// agreed under one policy is never taken up under another, whose check of the
// certificate it has not passed.
type sessionView struct {
	memory  *Memory
	key     string
	offered bool // a session was found, and is offered to the peer
}

// Get implements tls.ClientSessionCache.
func (v *sessionView) Get(string) (*tls.ClientSessionState, bool) {
	s, found := v.memory.sessions.Get(v.key)
	v.offered = v.offered || found && s != nil
	return s, found
}

// Put implements tls.ClientSessionCache.
func (v *sessionView) Put(_ string, s *tls.ClientSessionState) { v.memory.sessions.Put(v.key, s) }
