package limit

import "net/netip"

// Network is one of the networks that an address counts under.
type Network struct {
	netip.Prefix
	// Factor is how many times the limit of one client the network has.
	Factor int
}

// width is a length of prefix and its factor.
type width struct{ bits, factor int }

// What one subscriber has, then what a site or a small provider has. Of IPv6, a
// home has a /64 or a /56, a company or a tunnel a /48 (RFC 6177).
var (
	widths4 = [...]width{{32, 1}, {24, 4}}
	widths6 = [...]width{{64, 1}, {56, 2}, {48, 4}}
)

// Networks are those that an address counts under, the narrowest first: an IPv4
// address and its /24, the /64, /56 and /48 of IPv6. An IPv4 address mapped into
// IPv6 is the IPv4 address. There are none for the zero Addr.
func Networks(a netip.Addr) []Network {
	a = a.Unmap().WithZone("")
	widths := widths6[:]
	switch {
	case !a.IsValid():
		return nil
	case a.Is4():
		widths = widths4[:]
	}
	out := make([]Network, len(widths))
	for i, w := range widths {
		p, _ := a.Prefix(w.bits) // the widths fit their families
		out[i] = Network{p, w.factor}
	}
	return out
}

// Client is the network that stands for one client: the IPv4 address itself, or
// the /64 of an IPv6 address. It is the first of Networks; zero for the zero Addr.
func Client(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := widths6[0].bits
	if a.Is4() {
		bits = widths4[0].bits
	}
	p, _ := a.Prefix(bits)
	return p
}

// Contains tells whether an address is in one of the networks. Both sides may be
// IPv4 mapped into IPv6.
func Contains(nets []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range nets {
		if Unmap(n).Contains(a) {
			return true
		}
	}
	return false
}

// Unmap is an IPv4 network for one that is mapped into IPv6 ("::ffff:192.0.2.0/120"),
// any other as it is. netip finds no address in a mapped prefix.
func Unmap(p netip.Prefix) netip.Prefix {
	if !p.Addr().Is4In6() || p.Bits() < 96 {
		return p
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
}
