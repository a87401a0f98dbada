package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

const (
	// maxPTR is how many names of an address are read, maxForward how many of
	// them are asked for the way back.
	maxPTR     = 10
	maxForward = 4
)

// LookupPTR finds the names of an address: valid host names only, at most 10, as
// the owner of the address claims them. Believe ClientName instead.
func (r *Resolver) LookupPTR(ctx context.Context, addr netip.Addr) lookup.Answer[[]string] {
	return convert(r.ask(ctx, reverseName(addr), wire.TypePTR), func(found records) lookup.Answer[[]string] {
		var names []string
		for _, rr := range found.rrs {
			ptr, ok := rr.(*wire.PTR)
			if !ok {
				continue
			}
			if name, ok := hostName(ptr.Ptr); ok && !slices.Contains(names, name) && len(names) < maxPTR {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return lookup.No[[]string](fmt.Errorf("%s: no valid host name in its PTR records", addr))
		}
		return lookup.Yes(names)
	})
}

// ClientName finds the name of a client: the first of its PTR names that leads
// back to its address (RFC 8601 §2.7.3 "iprev"). NotFound: it has none that does;
// TryAgain: the DNS could not tell. In both, write "unknown".
func (r *Resolver) ClientName(ctx context.Context, addr netip.Addr) lookup.Answer[string] {
	addr = addr.Unmap().WithZone("")
	return convert(r.LookupPTR(ctx, addr), func(names []string) lookup.Answer[string] {
		var doubt error
		for _, name := range names[:min(len(names), maxForward)] {
			forward := r.family(ctx, name, familyOf(addr))
			if slices.Contains(forward.Value(), addr) {
				return lookup.Yes(name)
			}
			if forward.State() == lookup.TryAgain {
				doubt = forward.Err()
			}
		}
		if doubt != nil {
			return lookup.Later[string](doubt)
		}
		return lookup.No[string](fmt.Errorf("%s: no PTR name leads back to it", addr))
	})
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return wire.TypeA
	}
	return wire.TypeAAAA
}
