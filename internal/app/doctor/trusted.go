package doctor

import (
	"context"
	"net/netip"

	"facteur/internal/net/dns"
)

// checkTrusted: who may send to anywhere without logging in is few (REL-017).
func checkTrusted(_ context.Context, w *World, r *report) {
	for _, p := range w.Config.TrustedNetworks {
		least, level := 24, Warning
		if p.Addr().Is6() {
			least = 48
		}
		if p.Bits() >= least || p.Addr().IsLoopback() {
			continue
		}
		if dns.Public(lastOf(p.Prefix)) {
			level = Failure
		}
		r.about(p.String(), level, "Every machine in %s may send to anywhere without logging in.", p).
			because("A network wider than a /%d often holds more than one means: containers, guests, a proxy that speaks for the world.", least).
			do("# in facteur.toml, the machines that need it and can't log in:", `trusted_networks = ["127.0.0.0/8", "::1/128"]`)
	}
	if len(r.list) == 0 {
		r.add(OK, "Few machines may send without logging in.")
	}
}

// lastOf is an address of a network that is not the network's own.
func lastOf(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }
