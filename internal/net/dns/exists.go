package dns

import (
	"context"
	"errors"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// Exists tells whether a name is there, with whatever records or none: NotFound is
// NXDOMAIN, or no name at all (RFC 8020).
func (r *Resolver) Exists(ctx context.Context, name string) lookup.Answer[bool] {
	a := r.ask(ctx, name, wire.TypeTXT)
	if a.State() == lookup.NotFound && errors.Is(a.Err(), ErrNoData) {
		return lookup.Yes(true)
	}
	return convert(a, func(records) lookup.Answer[bool] { return lookup.Yes(true) })
}
