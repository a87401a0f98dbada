package listen

import (
	"slices"
	"time"
)

// When there is no room, strangers who say nothing lose their place.
const (
	shedAfter = 10 * time.Second // of silence; what Postfix gives a client under stress
	shedEvery = time.Second
	shedShare = 20 // one in so many connections, each time
)

// makeRoom ends the connections that have waited longest for a command, if it was
// not done just now. Whoever logged in, or is in the middle of something, stays.
func (s *Server) makeRoom() {
	s.mu.Lock()
	now := time.Now()
	if now.Sub(s.shed) < shedEvery {
		s.mu.Unlock()
		return
	}
	s.shed = now
	idle := s.silent(now)
	most := max(len(s.conns)/shedShare, 1)
	s.mu.Unlock()
	slices.SortFunc(idle, func(a, b waiter) int { return a.since.Compare(b.since) })
	ended := 0
	for _, w := range idle {
		if ended < most && w.conn.shed(w.since) {
			ended++
		}
	}
	if ended > 0 {
		s.events().Emit(Shed{Service: s.service(), Count: ended})
	}
}

// waiter is a client who says nothing, since when.
type waiter struct {
	conn  *Conn
	since time.Time
}

// silent lists those who have waited long enough. s.mu is held.
func (s *Server) silent(now time.Time) (out []waiter) {
	for c := range s.conns {
		if since := c.waiting(); !since.IsZero() && now.Sub(since) >= shedAfter {
			out = append(out, waiter{c, since})
		}
	}
	return out
}
