package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// placesMax is how many look-ups are under way at a time, each with one socket: with a DNS
// that hangs, a thousand sessions that verify signatures would have ten thousand of them.
const placesMax = 1 << 10

// errCrowd: a look-up waited for a place until its time was up.
var errCrowd = errors.New("too many questions to the DNS are under way")

// crowd is the look-ups that are under way. One organisational domain gets no more than one
// of the shares, as in the cache: name servers of a forger that never answer keep nobody
// from being asked about others.
type crowd struct {
	all     chan struct{}
	each    int
	mu      sync.Mutex
	parties map[string]*party
}

// party is those about one organisational domain.
type party struct {
	places chan struct{}
	count  int // of those who have a place or wait for one
}

func newCrowd(places int) *crowd {
	return &crowd{all: make(chan struct{}, places), each: max(places/shares, 1), parties: make(map[string]*party)}
}

// enter waits for a place for a look-up of a name; leave gives it back.
func (c *crowd) enter(ctx context.Context, name string) (leave func(), err error) {
	org := partyOf(name)
	p := c.join(org)
	for i, places := range []chan struct{}{p.places, c.all} {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-p.places
			}
			c.part(org)
			return nil, fmt.Errorf("%s: %w", name, errCrowd)
		}
	}
	return func() { <-c.all; <-p.places; c.part(org) }, nil
}

func (c *crowd) join(org string) *party {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.parties[org]
	if p == nil {
		p = &party{places: make(chan struct{}, c.each)}
		c.parties[org] = p
	}
	p.count++
	return p
}

func (c *crowd) part(org string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.parties[org]; p.count > 1 {
		p.count--
	} else {
		delete(c.parties, org)
	}
}

// partyOf is whose name it is: its organisational domain, if it has one; of an address, the
// network that one provider has.
func partyOf(name string) string {
	labels := strings.Split(name, ".")
	switch {
	case strings.HasSuffix(name, ".in-addr.arpa"):
		return strings.Join(labels[max(len(labels)-4, 0):], ".") // a /16
	case strings.HasSuffix(name, ".ip6.arpa"):
		return strings.Join(labels[max(len(labels)-14, 0):], ".") // a /48
	}
	if org, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return org
	}
	return name
}
