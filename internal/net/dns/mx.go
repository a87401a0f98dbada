package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// maxMX is how many mail hosts of a domain are used.
const maxMX = 20

// MX is a host that takes mail for a domain.
type MX struct {
	// Host is a valid host name, lower-case, without the last dot.
	Host string
	// Preference orders: less first (RFC 5321 §5.1).
	Preference uint16
	// Implicit: the domain has no MX record and is its own mail host.
	Implicit bool
	// Secure: the record was validated by DNSSEC (see Config.TrustAD).
	Secure bool
}

// LookupMX finds the MX records of a domain: best preference first, equal ones in
// random order (RFC 5321 §5.1), at most 20. A domain that says it takes no mail
// is NotFound with ErrNullMX; one without MX records NotFound with ErrNoData (see
// MailHosts). MX records of which none names a possible host are TryAgain: that
// is somebody's mistake, and may be mended.
func (r *Resolver) LookupMX(ctx context.Context, domain string) lookup.Answer[[]MX] {
	return convert(r.ask(ctx, domain, wire.TypeMX), func(found records) lookup.Answer[[]MX] {
		if isNullMX(found.rrs) {
			return lookup.No[[]MX](fmt.Errorf("%s: %w", domain, ErrNullMX))
		}
		hosts := mailHosts(found)
		if len(hosts) == 0 {
			return lookup.Later[[]MX](fmt.Errorf("%s: %w", domain, ErrBadMX))
		}
		return lookup.Yes(hosts)
	})
}

// MailHosts finds where mail for a domain goes: its MX records, or the domain
// itself when it exists and has none (the implicit MX of RFC 5321 §5.1).
func (r *Resolver) MailHosts(ctx context.Context, domain string) lookup.Answer[[]MX] {
	a := r.LookupMX(ctx, domain)
	if a.State() != lookup.NotFound || !errors.Is(a.Err(), ErrNoData) {
		return a
	}
	host, ok := hostName(domain)
	if !ok {
		return a
	}
	return lookup.Yes([]MX{{Host: host, Implicit: true}})
}

// isNullMX: RFC 7505 §3, a single MX record whose host is the root.
func isNullMX(rrs []wire.RR) bool {
	if len(rrs) != 1 {
		return false
	}
	mx, ok := rrs[0].(*wire.MX)
	return ok && mx.Mx == "."
}

func mailHosts(found records) []MX {
	best := make(map[string]MX)
	for _, rr := range found.rrs {
		mx, ok := rr.(*wire.MX)
		if !ok {
			continue
		}
		host, ok := hostName(mx.Mx)
		if !ok {
			continue
		}
		if known, ok := best[host]; !ok || mx.Preference < known.Preference {
			best[host] = MX{Host: host, Preference: mx.Preference, Secure: found.secure}
		}
	}
	return ordered(best)
}

func ordered(best map[string]MX) []MX {
	hosts := make([]MX, 0, len(best))
	for _, mx := range best {
		hosts = append(hosts, mx)
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return hosts[:min(len(hosts), maxMX)]
}
