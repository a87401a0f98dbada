package dns

import (
	"context"
	"net/netip"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// maxAddrs is how many addresses of a host are used.
const maxAddrs = 20

// Host is what the DNS knows of the way to a host.
type Host struct {
	// Addrs are IPv6 and IPv4 by turns, at most 20.
	Addrs []netip.Addr
	// Secure: all of them, and the CNAMEs on the way, were validated by DNSSEC (see
	// Config.TrustAD).
	Secure bool
	// Name is the host's own name, at the end of its CNAMEs: lower-case, without the
	// last dot.
	Name string
}

// LookupAddr finds the addresses of a host, IPv6 and IPv4 by turns. Found when
// either family gave any; NotFound only when both say that there are none. An
// address as host is its own answer.
func (r *Resolver) LookupAddr(ctx context.Context, host string) lookup.Answer[[]netip.Addr] {
	return convert(r.LookupHost(ctx, host), func(h Host) lookup.Answer[[]netip.Addr] { return lookup.Yes(h.Addrs) })
}

// LookupHost finds the addresses of a host as LookupAddr does, and whether they can
// be trusted. What was not validated is found as well, and not Secure.
func (r *Resolver) LookupHost(ctx context.Context, host string) lookup.Answer[Host] {
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		return lookup.Yes(Host{Addrs: []netip.Addr{a.Unmap()}, Name: host})
	}
	six := make(chan lookup.Answer[Host], 1)
	go func() { six <- r.ofFamily(ctx, host, wire.TypeAAAA) }()
	v4 := r.ofFamily(ctx, host, wire.TypeA)
	return both(<-six, v4)
}

func both(a, b lookup.Answer[Host]) lookup.Answer[Host] {
	switch {
	case a.State() == lookup.Found && b.State() == lookup.Found:
		h := a.Value()
		mixed := interleave(h.Addrs, b.Value().Addrs)
		h.Addrs = mixed[:min(len(mixed), maxAddrs)]
		h.Secure = h.Secure && b.Value().Secure && h.Name == b.Value().Name
		return lookup.Yes(h)
	case a.State() == lookup.Found:
		return a
	case b.State() == lookup.Found:
		return b
	case a.State() == lookup.TryAgain:
		return a
	}
	return b
}

// interleave takes from both by turns, so that an attempt that tries only the
// first few has tried both families.
func interleave(a, b []netip.Addr) []netip.Addr {
	var mixed []netip.Addr
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			mixed = append(mixed, a[i])
		}
		if i < len(b) {
			mixed = append(mixed, b[i])
		}
	}
	return mixed
}

// family finds the addresses of one family.
func (r *Resolver) family(ctx context.Context, host string, qtype uint16) lookup.Answer[[]netip.Addr] {
	return convert(r.ofFamily(ctx, host, qtype), func(h Host) lookup.Answer[[]netip.Addr] { return lookup.Yes(h.Addrs) })
}

func (r *Resolver) ofFamily(ctx context.Context, host string, qtype uint16) lookup.Answer[Host] {
	return convert(r.ask(ctx, host, qtype), func(found records) lookup.Answer[Host] {
		h := Host{Secure: found.secure, Name: found.owner}
		for _, rr := range found.rrs {
			if a, ok := addrOf(rr); ok {
				h.Addrs = append(h.Addrs, a)
			}
		}
		h.Addrs = h.Addrs[:min(len(h.Addrs), maxAddrs)]
		return lookup.Yes(h)
	})
}

func addrOf(rr wire.RR) (netip.Addr, bool) {
	var a netip.Addr
	var ok bool
	switch rr := rr.(type) {
	case *wire.A:
		a, ok = netip.AddrFromSlice(rr.A)
	case *wire.AAAA:
		a, ok = netip.AddrFromSlice(rr.AAAA)
	}
	return a.Unmap(), ok
}
