package directory

import (
	"fmt"
	"net/netip"
	"strings"
)

// ParseNets reads networks with commas between, "192.0.2.0/24,2001:db8::1", as Dovecot's
// allow_nets has them. "local" is nobody, as whoever logs in here has an address.
func ParseNets(text string) ([]netip.Prefix, error) {
	nets := []netip.Prefix{} // of an account that logs in from nowhere, it is not nil
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if name == "" || name == "local" {
			continue
		}
		net, err := netip.ParsePrefix(name)
		if err != nil {
			var one netip.Addr
			if one, err = netip.ParseAddr(name); err == nil {
				net, err = one.WithZone("").Prefix(one.BitLen())
			}
		}
		if err != nil {
			return []netip.Prefix{}, fmt.Errorf("allow_nets: expected networks such as 192.0.2.0/24, found %.60q", name)
		}
		nets = append(nets, net)
	}
	return nets, nil
}

// Admits tells whether the account may be logged in to from an address.
func (a Account) Admits(from netip.Addr) bool {
	if a.Nets == nil {
		return true
	}
	from = from.Unmap().WithZone("")
	for _, net := range a.Nets {
		if net.Contains(from) {
			return true
		}
	}
	return false
}
