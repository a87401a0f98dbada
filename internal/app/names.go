package app

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// names tells what clients are called. The DNS remembers what it learnt; what it
// could not tell is remembered here for a moment, so that an outage of the DNS
// does not hold up each connection anew.
type names struct {
	resolver *dns.Resolver
	mu       sync.Mutex
	silent   map[netip.Addr]time.Time // when the DNS had no answer
}

const (
	silentTime = 30 * time.Second
	silentMax  = 4096
	unknown    = "unknown"
)

// of is the confirmed name of a client, or "unknown".
func (n *names) of(ctx context.Context, a netip.Addr) string {
	if a.Unmap().IsLoopback() {
		return "localhost"
	}
	if n.isSilent(a) {
		return unknown
	}
	answer := n.resolver.ClientName(ctx, a)
	switch answer.State() {
	case lookup.Found:
		return answer.Value()
	case lookup.TryAgain:
		n.remember(a)
	}
	return unknown
}

func (n *names) isSilent(a netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Since(n.silent[a]) < silentTime
}

func (n *names) remember(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.silent == nil || len(n.silent) >= silentMax {
		n.silent = make(map[netip.Addr]time.Time)
	}
	n.silent[a] = time.Now()
}
