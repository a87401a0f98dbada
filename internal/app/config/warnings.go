package config

import (
	"fmt"
	"slices"

	"facteur/internal/base/conf"
)

// Warnings are what is allowed and may be a mistake, in sentences for the admin.
// They are told at the start, at a reload and by "facteur check".
func (c *Config) Warnings() []string {
	var out []string
	for _, p := range c.TrustedNetworks {
		if wide(p) && !p.Addr().IsLoopback() {
			out = append(out, fmt.Sprintf("trusted_networks: every machine in %s may send to anywhere without logging in; "+
				"a network wider than %s often holds more than one means (containers, guests, a proxy)", p, widest(p)))
		}
	}
	for _, l := range c.Listen {
		out = append(out, l.warnings()...)
	}
	out = append(out, c.Rewrite.warnings()...)
	return slices.Concat(out, c.tlsWarnings(), c.aliasWarnings(), c.relayWarnings(), c.programWarnings(), c.selfWarnings(), c.bindWarnings(), c.filterWarnings())
}

func (l Listener) warnings() (out []string) {
	if v := l.TLSMinVersion; (v == "1.0" || v == "1.1") && !l.Device() {
		out = append(out, fmt.Sprintf("listen %s: TLS %s can be broken, and passwords are sent through it; "+
			"give old devices a listener of their own (device_clients)", l.Address, v))
	}
	for _, p := range l.ProxyNetworks {
		if wide(p) && !isPrivate(p) {
			out = append(out, fmt.Sprintf("listen %s: everybody in %s can claim any address (proxy_networks)", l.Address, p))
		}
	}
	return out
}

func isPrivate(p conf.Prefix) bool { return p.Addr().IsPrivate() || p.Addr().IsLoopback() }
