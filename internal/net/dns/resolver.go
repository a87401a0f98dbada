package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	wire "github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"facteur/internal/base/lookup"
)

// Config says whom to ask and how long to wait. Zero fields take the defaults.
type Config struct {
	// Servers are the recursive servers, "192.0.2.1" or "[2001:db8::1]:53".
	// Empty: those of ResolvConf.
	Servers []string
	// ResolvConf is the file to read when Servers is empty ("/etc/resolv.conf").
	ResolvConf string
	// TrustAD believes the servers' AD bit: "this answer was validated".
	TrustAD bool
	// Timeout is for one question to one server (3 s).
	Timeout time.Duration
	// Rounds is how often the list of servers is gone through (2).
	Rounds int
	// Deadline is for one whole look-up, CNAMEs and retries included (20 s).
	Deadline time.Duration
	// CacheBytes bounds the memory of the cache, roughly (8 MiB).
	CacheBytes int
	// MaxTTL caps how long a record is remembered (24 h), NegativeTTL how long it
	// is remembered that there is none (10 min).
	MaxTTL, NegativeTTL time.Duration
	// Dial opens a connection to a server, by "udp" or "tcp", as net.Dialer does. Nil:
	// the system. A connection that is no net.PacketConn is spoken to as over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Resolver asks and remembers. Use New; it is safe for concurrent use.
type Resolver struct {
	servers  []*server
	trustAD  bool
	timeout  time.Duration
	rounds   int
	deadline time.Duration
	maxTTL   time.Duration
	negTTL   time.Duration
	dial     func(ctx context.Context, network, address string) (net.Conn, error)

	cache  *cache
	flight singleflight.Group
	crowd  *crowd
}

// New makes a resolver. It fails when a server's address is unreadable or there
// is no server at all.
func New(c Config) (*Resolver, error) {
	servers, err := serverList(c)
	if err != nil {
		return nil, err
	}
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &Resolver{
		dial:     dial,
		servers:  named(servers),
		trustAD:  c.TrustAD,
		timeout:  orDefault(c.Timeout, 3*time.Second),
		rounds:   orDefault(c.Rounds, 2),
		deadline: orDefault(c.Deadline, 20*time.Second),
		maxTTL:   orDefault(c.MaxTTL, 24*time.Hour),
		negTTL:   orDefault(c.NegativeTTL, 10*time.Minute),
		cache:    newCache(orDefault(c.CacheBytes, 8<<20)),
		crowd:    newCrowd(placesMax),
	}, nil
}

// Each gives a resolver for every server, which asks that one only and remembers nothing
// that r does: what a change in the DNS looks like from each of them.
func (r *Resolver) Each() []*Resolver {
	list := make([]*Resolver, len(r.servers))
	for i, s := range r.servers {
		list[i] = &Resolver{
			dial: r.dial, servers: []*server{s}, trustAD: r.trustAD, timeout: r.timeout, rounds: r.rounds, deadline: r.deadline,
			maxTTL: r.maxTTL, negTTL: r.negTTL, cache: newCache(eachBytes), crowd: r.crowd,
		}
	}
	return list
}

// eachBytes is what a resolver of Each remembers, in bytes.
const eachBytes = 64 << 10

// TrustsAD tells whether answers can be Secure at all (see Config.TrustAD).
func (r *Resolver) TrustsAD() bool { return r.trustAD }

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// serverList is the servers as "address:port".
func serverList(c Config) ([]string, error) {
	if len(c.Servers) > 0 {
		return withPorts(c.Servers, "53")
	}
	file := c.ResolvConf
	if file == "" {
		file = "/etc/resolv.conf"
	}
	conf, err := wire.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the list of DNS servers: %w", err)
	}
	if len(conf.Servers) == 0 {
		return nil, fmt.Errorf("%s names no DNS server", file)
	}
	return withPorts(conf.Servers, conf.Port)
}

func withPorts(servers []string, port string) ([]string, error) {
	list := make([]string, 0, len(servers))
	for _, s := range servers {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			list = append(list, ap.String())
			continue
		}
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not the address of a DNS server (192.0.2.1 or [2001:db8::1]:53 is expected)", s)
		}
		list = append(list, net.JoinHostPort(a.String(), port))
	}
	return list, nil
}

// Reasons that come with NotFound and TryAgain; test with errors.Is.
var (
	// ErrNoDomain: the name does not exist (NXDOMAIN). NotFound.
	ErrNoDomain = errors.New("domain does not exist")
	// ErrNoData: the name exists but has no such record. NotFound.
	ErrNoData = errors.New("domain has no such record")
	// ErrBadName: what was asked for can not be a name in the DNS. NotFound.
	ErrBadName = errors.New("not a valid domain name")
	// ErrNullMX: the domain says that it takes no mail (RFC 7505). NotFound.
	ErrNullMX = errors.New("domain accepts no mail (null MX)")
	// ErrBadMX: a domain has MX records, and none can be a host. TryAgain, because it is
	// somebody's mistake.
	ErrBadMX = errors.New("no MX record names a valid host")
	// ErrBudget: the work has used up its questions (WithBudget). TryAgain.
	ErrBudget = errors.New("too many DNS questions for one piece of work")
)

// convert maps the value of an answer; the other two states pass through.
func convert[A, B any](a lookup.Answer[A], f func(A) lookup.Answer[B]) lookup.Answer[B] {
	switch a.State() {
	case lookup.Found:
		return f(a.Value())
	case lookup.NotFound:
		return lookup.No[B](a.Err())
	}
	return lookup.Later[B](a.Err())
}

// ask answers from the cache or asks the servers. It returns when ctx ends, but
// a question once under way is finished for the others who wait for it.
func (r *Resolver) ask(ctx context.Context, domain string, qtype uint16) lookup.Answer[records] {
	name, ok := canonical(domain)
	if !ok {
		return lookup.No[records](fmt.Errorf("%q: %w", clip(domain), ErrBadName))
	}
	return r.askFor(ctx, question{name, qtype})
}

func (r *Resolver) askFor(ctx context.Context, key question) lookup.Answer[records] {
	if a, ok := r.cache.get(key, time.Now()); ok {
		return a
	}
	if !spend(ctx, 1) {
		return lookup.Later[records](fmt.Errorf("%s: %w", key.name, ErrBudget))
	}
	return r.share(ctx, key)
}

// shared is what callers who want the same thing at the same time get together.
type shared struct {
	answer lookup.Answer[records]
	asked  int // questions that it took, CNAMEs included
}

// share joins the callers who want the same thing at the same time.
func (r *Resolver) share(ctx context.Context, key question) lookup.Answer[records] {
	result := r.flight.DoChan(key.String(), func() (any, error) {
		// Somebody may have asked since we looked.
		if a, ok := r.cache.get(key, time.Now()); ok {
			return shared{a, 1}, nil
		}
		// Not the caller's context: neither his patience nor his budget is the others'.
		ctx, cancel := context.WithTimeout(context.Background(), r.deadline)
		defer cancel()
		leave, err := r.crowd.enter(ctx, key.name)
		if err != nil {
			return shared{lookup.Later[records](err), 1}, nil
		}
		defer leave()
		found := r.chase(ctx, key)
		r.cache.put(key, found.answer, found.size, time.Now().Add(found.ttl), time.Now())
		return shared{found.answer, found.asked}, nil
	})
	select {
	case <-ctx.Done():
		return lookup.Later[records](fmt.Errorf("%s: %w", key.name, ctx.Err()))
	case res := <-result:
		got := res.Val.(shared)
		spend(ctx, got.asked-1) // the first is paid
		return got.answer
	}
}
