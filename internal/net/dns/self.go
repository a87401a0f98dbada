package dns

import (
	"net/netip"
	"slices"
)

// Self is who we are in the DNS, to notice mail that would come back to us.
type Self struct {
	Names []string     // our host names
	Addrs []netip.Addr // the addresses that we listen on, or are reached at
}

// IsHost tells whether a mail host is ourselves by its name.
func (s Self) IsHost(host string) bool {
	name, ok := canonical(host)
	return ok && slices.ContainsFunc(s.Names, func(own string) bool {
		own, ok := canonical(own)
		return ok && own == name
	})
}

// IsAddr tells whether an address is ours.
func (s Self) IsAddr(a netip.Addr) bool {
	return slices.ContainsFunc(s.Addrs, func(own netip.Addr) bool { return own.Unmap() == a.Unmap() })
}

// Before is the mail hosts that are better than ourselves. RFC 5321 §5.1: a host
// that finds itself among the MX records hands mail only to those with a lower
// preference than its own. loop is true when that leaves nobody: "mail loops
// back to myself", to be bounced at once (5.4.6).
func (s Self) Before(hosts []MX) (better []MX, loop bool) {
	own := slices.IndexFunc(hosts, func(mx MX) bool { return s.IsHost(mx.Host) })
	if own < 0 {
		return hosts, false
	}
	for _, mx := range hosts {
		if mx.Preference < hosts[own].Preference {
			better = append(better, mx)
		}
	}
	return better, len(better) == 0
}
