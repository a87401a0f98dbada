package dns

import (
	"cmp"
	"context"
	"slices"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// maxSRV is how many SRV records of a service are read.
const maxSRV = 20

// SRV is where a service of a domain is (RFC 2782).
type SRV struct {
	// Host is lower-case, without the last dot; "" says that the service is not there.
	Host             string
	Port             uint16
	Priority, Weight uint16
}

// LookupSRV finds the SRV records of a service, best priority first, at most 20. name is
// whole: "_imaps._tcp.example.org". Names that no host can have are left out.
func (r *Resolver) LookupSRV(ctx context.Context, name string) lookup.Answer[[]SRV] {
	return convert(r.ask(ctx, name, wire.TypeSRV), func(found records) lookup.Answer[[]SRV] {
		var list []SRV
		for _, rr := range found.rrs {
			srv, ok := rr.(*wire.SRV)
			if !ok || len(list) == maxSRV {
				continue
			}
			host, ok := hostName(srv.Target)
			if ok || srv.Target == "." {
				list = append(list, SRV{Host: host, Port: srv.Port, Priority: srv.Priority, Weight: srv.Weight})
			}
		}
		slices.SortStableFunc(list, func(a, b SRV) int { return cmp.Compare(a.Priority, b.Priority) })
		return lookup.Yes(list)
	})
}
