package listen

import (
	"slices"
	"sync"
	"time"

	"facteur/internal/base/limit"
)

// When there is no room, strangers who say nothing lose their place.
const (
	shedAfter = 10 * time.Second // of silence; what Postfix gives a client under stress
	shedEvery = time.Second
	shedShare = 20 // one in so many strangers, each time
)

// roomMaker knows all servers at a gate, so that whoever finds no room at one door
// may get the place of a stranger who waits at another.
type roomMaker struct {
	mu      sync.Mutex
	servers map[*Server]struct{}
	last    time.Time
}

func (m *roomMaker) join(s *Server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.servers[s] = struct{}{}
}

func (m *roomMaker) quit(s *Server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.servers, s)
}

// makeRoom sees to it that the next client finds room where this one did not.
func (s *Server) makeRoom(why error) {
	if why == limit.ErrService {
		s.gate.room.make(s.service())
		return
	}
	s.gate.room.make("")
}

// make ends the connections to a service, or to all, that have waited longest for a
// command, if it was not done just now. Whoever logged in, or is in the middle of
// something, stays.
func (m *roomMaker) make(service string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.last) < shedEvery {
		return
	}
	m.last = now
	var idle []waiter
	strangers := 0
	for s := range m.servers {
		if service == "" || s.service() == service {
			var n int
			idle, n = s.silent(idle, now)
			strangers += n
		}
	}
	slices.SortFunc(idle, func(a, b waiter) int { return a.since.Compare(b.since) })
	evict(idle, max(strangers/shedShare, 1))
}

// waiter is a client who says nothing, since when.
type waiter struct {
	server *Server
	conn   *Conn
	since  time.Time
}

// silent adds those who have waited long enough, and counts all strangers.
func (s *Server) silent(list []waiter, now time.Time) ([]waiter, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	strangers := 0
	for c := range s.conns {
		since, stranger := c.waiting()
		if stranger {
			strangers++
		}
		if !since.IsZero() && now.Sub(since) >= shedAfter {
			list = append(list, waiter{s, c, since})
		}
	}
	return list, strangers
}

// evict takes the place of the first few, and tells of it.
func evict(list []waiter, most int) {
	ended := map[*Server]int{}
	for _, w := range list {
		if most == 0 {
			break
		}
		if w.conn.shed(w.since) {
			ended[w.server]++
			most--
		}
	}
	for s, n := range ended {
		s.events().Emit(Shed{Service: s.service(), Count: n})
	}
}
