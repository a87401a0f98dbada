package dns

import (
	"context"
	"net/netip"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// maxAddrs is how many addresses of a host are used.
const maxAddrs = 20

// LookupAddr finds the addresses of a host, IPv6 and IPv4 by turns. Found when
// either family gave any; NotFound only when both say that there are none. An
// address as host is its own answer.
func (r *Resolver) LookupAddr(ctx context.Context, host string) lookup.Answer[[]netip.Addr] {
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		return lookup.Yes([]netip.Addr{a.Unmap()})
	}
	six := make(chan lookup.Answer[[]netip.Addr], 1)
	go func() { six <- r.family(ctx, host, wire.TypeAAAA) }()
	v4 := r.family(ctx, host, wire.TypeA)
	return both(<-six, v4)
}

func both(a, b lookup.Answer[[]netip.Addr]) lookup.Answer[[]netip.Addr] {
	switch {
	case a.State() == lookup.Found || b.State() == lookup.Found:
		mixed := interleave(a.Value(), b.Value())
		return lookup.Yes(mixed[:min(len(mixed), maxAddrs)])
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
	return convert(r.ask(ctx, host, qtype), func(found records) lookup.Answer[[]netip.Addr] {
		var addrs []netip.Addr
		for _, rr := range found.rrs {
			if a, ok := addrOf(rr); ok {
				addrs = append(addrs, a)
			}
		}
		return lookup.Yes(addrs)
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
