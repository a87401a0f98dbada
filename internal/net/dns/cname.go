package dns

import (
	"context"
	"fmt"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// LookupCNAME finds where the CNAME of a name points, one step and no further:
// lower-case, without the last dot. NotFound: the name is no alias.
func (r *Resolver) LookupCNAME(ctx context.Context, name string) lookup.Answer[string] {
	return convert(r.ask(ctx, name, wire.TypeCNAME), func(found records) lookup.Answer[string] {
		for _, rr := range found.rrs {
			if cname, ok := rr.(*wire.CNAME); ok {
				if target, ok := canonical(cname.Target); ok {
					return lookup.Yes(target)
				}
			}
		}
		return lookup.Later[string](fmt.Errorf("%s: its CNAME points to no possible name", name))
	})
}
