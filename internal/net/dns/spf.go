package dns

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/spf"
)

// SPF is the resolver as a check of SPF wants it. Its records may ask for names that are
// no names of hosts: macros put local parts and what clients call themselves into them
// (RFC 7208 §7). They are asked for as they are, escaped wherever they are written.
func (r *Resolver) SPF() spf.Resolver {
	return spf.Resolver{
		TXT: func(ctx context.Context, name string) lookup.Answer[[]string] {
			return convert(r.askVerbatim(ctx, name, wire.TypeTXT), texts)
		},
		A: func(ctx context.Context, name string) lookup.Answer[[]netip.Addr] {
			return convert(r.askVerbatim(ctx, name, wire.TypeA), addresses)
		},
		AAAA: func(ctx context.Context, name string) lookup.Answer[[]netip.Addr] {
			return convert(r.askVerbatim(ctx, name, wire.TypeAAAA), addresses)
		},
		MX: func(ctx context.Context, name string) lookup.Answer[[]string] {
			return convert(r.askVerbatim(ctx, name, wire.TypeMX), exchanges)
		},
		PTR: r.LookupPTR,
	}
}

// addresses are all of an answer: a record of SPF allows all of them, however many
// somebody who sends mail would try.
func addresses(found records) lookup.Answer[[]netip.Addr] {
	var list []netip.Addr
	for _, rr := range found.rrs {
		if a, ok := addrOf(rr); ok {
			list = append(list, a)
		}
	}
	return lookup.Yes(list)
}

// exchanges are the hosts of MX records, at most 20, without the null MX.
func exchanges(found records) lookup.Answer[[]string] {
	var hosts []string
	for _, rr := range found.rrs {
		mx, ok := rr.(*wire.MX)
		if !ok || mx.Mx == "." || strings.Contains(mx.Mx, `\.`) || len(hosts) == maxMX {
			continue
		}
		hosts = append(hosts, strings.TrimSuffix(unescape(mx.Mx), "."))
	}
	return lookup.Yes(hosts)
}

// askVerbatim is ask for names of any characters.
func (r *Resolver) askVerbatim(ctx context.Context, domain string, qtype uint16) lookup.Answer[records] {
	name, ok := verbatim(domain)
	if !ok {
		return lookup.No[records](fmt.Errorf("%q: %w", clip(domain), ErrBadName))
	}
	return r.askFor(ctx, question{name, qtype})
}

// verbatim is a name in the presentation form of the wire library, in which it comes
// back in answers: printable ASCII without spaces.
func verbatim(domain string) (string, bool) {
	if name, ok := canonical(domain); ok {
		return name, true
	}
	var b strings.Builder
	for i := range len(domain) {
		if c := domain[i]; c == '.' || c == '-' || c == '_' || isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03d`, c)
		}
	}
	packed := make([]byte, 256)
	end, err := wire.PackDomainName(strings.ToLower(wire.Fqdn(b.String())), packed, 0, nil, false)
	if err != nil {
		return "", false
	}
	name, _, err := wire.UnpackDomainName(packed[:end], 0)
	return strings.TrimSuffix(name, "."), err == nil && name != "."
}
