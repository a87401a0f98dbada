package dns

import (
	"context"
	"encoding/hex"
	"fmt"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// maxTLSA is how many TLSA records of a service are read.
const maxTLSA = 32

// TLSA is a record that says which certificate, or which authority, a service has
// (RFC 6698). The fields are as they were sent, and may be nonsense.
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

// TLSASet is the TLSA records of a service.
type TLSASet struct {
	Records []TLSA
	// Secure: they were validated by DNSSEC. If they were not, they are worth nothing.
	Secure bool
}

// LookupTLSA finds the TLSA records of a TCP service of a host, at most 32. NotFound:
// there are none; TryAgain: that could not be told, and so says a validating server of
// records that somebody forged.
func (r *Resolver) LookupTLSA(ctx context.Context, host string, port uint16) lookup.Answer[TLSASet] {
	name := fmt.Sprintf("_%d._tcp.%s", port, host)
	return convert(r.ask(ctx, name, wire.TypeTLSA), func(found records) lookup.Answer[TLSASet] {
		set := TLSASet{Secure: found.secure}
		for _, rr := range found.rrs {
			tlsa, ok := rr.(*wire.TLSA)
			if !ok || len(set.Records) == maxTLSA {
				continue
			}
			data, err := hex.DecodeString(tlsa.Certificate)
			if err != nil {
				data = nil // no use, but it is there
			}
			set.Records = append(set.Records, TLSA{tlsa.Usage, tlsa.Selector, tlsa.MatchingType, data})
		}
		return lookup.Yes(set)
	})
}

// IsAlias tells whether a name is a CNAME that DNSSEC vouches for, wherever it leads:
// then TLSA records of the name itself count, even if what it points to is not signed
// (RFC 7672 §2.2.2).
func (r *Resolver) IsAlias(ctx context.Context, host string) lookup.Answer[bool] {
	if !r.trustAD {
		return lookup.Yes(false)
	}
	a := r.ask(ctx, host, wire.TypeCNAME)
	if a.State() == lookup.NotFound {
		return lookup.Yes(false)
	}
	return convert(a, func(found records) lookup.Answer[bool] { return lookup.Yes(found.secure && len(found.rrs) > 0) })
}
