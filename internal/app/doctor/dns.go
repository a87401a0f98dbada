package doctor

import (
	"context"

	"facteur/internal/base/lookup"
)

// checkDNS asks for a name that must be answered for, the root's neighbour of our own.
func checkDNS(ctx context.Context, w *World, r *report) {
	a := w.Resolver.LookupTXT(ctx, w.Config.Hostname)
	if a.State() == lookup.TryAgain {
		r.add(Failure, "The name service does not answer: %v.", a.Err()).
			because("No mail can be sent, and much of what follows can't be told.").
			do("# in facteur.toml, or repair /etc/resolv.conf:", "[dns]", `servers = ["127.0.0.1:53"]`)
		return
	}
	r.add(OK, "The name service answers.")
	if !w.Resolver.TrustsAD() {
		r.about("dnssec", Note, "What DNSSEC validates is not used, and so DANE is not.").
			because("With a validating resolver on this machine, connections to many servers can't be spied upon.").
			do("# with unbound on this machine:", "[dns]", `servers = ["127.0.0.1:53"]`, "trust_ad = true")
	}
}
