package deliver

import (
	"sync"

	"facteur/internal/flow/transport"
)

// relaySites are the sites of relays. They are asked for with each message, and are the
// same until the settings change. The zero value is ready.
type relaySites struct {
	mu    sync.Mutex
	known map[relayKey]site
}

// relayKey is a list of relays in use: those of a table do not change, nor do they move.
type relayKey struct {
	transport *transport.Transport
	first     *transport.Relay
}

// relaySitesMax bounds how many are kept, those of settings gone by among them.
const relaySitesMax = 1024

// of is the site of a choice that has relays.
func (r *relaySites) of(c transport.Choice) site {
	key := relayKey{c.Transport, &c.Relays[0]}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, found := r.known[key]
	if !found {
		s = newSite(c, relayHosts(c.Relays))
		if r.known == nil || len(r.known) >= relaySitesMax {
			r.known = make(map[relayKey]site)
		}
		r.known[key] = s
	}
	s.nexthop = c.NextHop
	return s
}
