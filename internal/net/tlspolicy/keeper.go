package tlspolicy

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"facteur/internal/base/event"
	"facteur/internal/net/dns"
)

// Config is what a Keeper works with. Zero fields take the defaults.
type Config struct {
	Resolver *dns.Resolver
	// Known are policies that were written down before, and Save writes one down; nil:
	// nobody does.
	Known []Cached
	Save  func(context.Context, Cached) error
	// Report hears of each session's TLS, and of policies that can't be had; it must not
	// block. Nil: nobody does.
	Report func(Result)
	Events event.Sink
	// Roots are the authorities that web servers are checked with; nil: the system's.
	Roots *x509.CertPool
	// Permit tells which web servers' addresses may be connected to (dns.Public).
	Permit func(netip.Addr) bool
	// WebPort is where they listen (443), for tests.
	WebPort uint16
	// Dial opens a connection in place of the system, in simulated networks. From is
	// not valid.
	Dial func(ctx context.Context, network string, to netip.AddrPort, from netip.Addr) (net.Conn, error)
	// FetchTime is how long the fetching of a policy may take (60 s), and Patience how
	// long mail waits for that (10 s).
	FetchTime, Patience time.Duration
	// Now is the clock (time.Now).
	Now func() time.Time

	most int // policies
}

func (c Config) withDefaults() Config {
	if c.Permit == nil {
		c.Permit = dns.Public
	}
	if c.WebPort == 0 {
		c.WebPort = 443
	}
	if c.FetchTime <= 0 {
		c.FetchTime = fetchTime
	}
	if c.Patience <= 0 {
		c.Patience = patience
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.most == 0 {
		c.most = MaxPolicies
	}
	return c
}

func (c Config) permits(a netip.Addr) bool { return c.Permit(a.Unmap()) }

// Keeper knows the policies. Its methods may be called from any goroutine.
type Keeper struct {
	config Config
	web    *http.Client
	flight singleflight.Group
	// fetches are the places of those under way.
	fetches chan struct{}

	mu      sync.Mutex
	entries map[string]*entry // by domain
}

// New makes a Keeper.
func New(c Config) *Keeper {
	c = c.withDefaults()
	k := &Keeper{config: c, web: newWeb(c), fetches: make(chan struct{}, maxFetches), entries: make(map[string]*entry)}
	for _, known := range c.Known {
		if len(k.entries) < c.most {
			k.entries[known.Domain] = &entry{Cached: known, known: true}
		}
	}
	return k
}

func (k *Keeper) report(r Result) {
	if k.config.Report != nil {
		k.config.Report(r)
	}
}
