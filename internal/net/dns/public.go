package dns

import "net/netip"

// notPublic are networks that no stranger's mail host is in, beside those that
// netip knows: this host and its network, shared carrier space (RFC 6598),
// benchmarks (RFC 2544), protocol assignments and the reserved top (RFC 6890).
func notPublic() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("fec0::/10"),
		netip.MustParsePrefix("100::/64"),
	}
}

// Public tells whether an address can be a host on the public internet: not
// loopback, private, link-local, multicast or reserved, nor one of those wrapped
// into IPv6. A domain whose mail host is elsewhere points into our own network
// (a loop, or somebody who wants us to knock at doors that are not his), so
// delivery by MX refuses it unless the admin allows it.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if inner, ok := embedded(a); ok {
		return Public(inner)
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// embedded is the IPv4 address inside an IPv6 one that a gateway would unwrap:
// NAT64 (RFC 6052), 6to4 (RFC 3056) and the old IPv4-compatible form.
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("::/96").Contains(a) && !a.IsUnspecified() && !a.IsLoopback():
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	return netip.Addr{}, false
}
