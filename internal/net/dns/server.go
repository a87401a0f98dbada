package dns

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// rest is how long a server that was silent is asked only when the others do not help.
const rest = 30 * time.Second

// server is one of the recursive servers that we ask.
type server struct {
	addr   string
	silent atomic.Int64 // until when it rests, in Unix nanoseconds
}

func named(addrs []string) []*server {
	list := make([]*server, len(addrs))
	for i, addr := range addrs {
		list[i] = &server{addr: addr}
	}
	return list
}

// inTurn is the servers in the order to ask them: as configured, but those that rest
// come last. They are not left out: a server is also silent about a domain that is.
func (r *Resolver) inTurn(now time.Time) []*server {
	if len(r.servers) == 1 {
		return r.servers
	}
	list := slices.Clone(r.servers)
	slices.SortStableFunc(list, func(a, b *server) int { return a.resting(now) - b.resting(now) })
	return list
}

func (s *server) resting(now time.Time) int {
	if now.UnixNano() < s.silent.Load() {
		return 1
	}
	return 0
}

// answered notes whether the server said anything at all.
func (s *server) answered(err error, now time.Time) {
	if silence := net.Error(nil); errors.As(err, &silence) {
		s.silent.Store(now.Add(rest).UnixNano())
	} else {
		s.silent.Store(0)
	}
}
