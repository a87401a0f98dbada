package doctor

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// checkMX: the domain has mail hosts, which are names with addresses, and we are one.
func checkMX(ctx context.Context, w *World, d Domain, r *report) {
	if !d.Receives {
		return
	}
	want := records.Record{Name: d.Name, Type: "MX", Value: "10 " + w.Config.Hostname + "."}.String()
	a := w.Resolver.LookupMX(ctx, d.Name)
	switch err := a.Err(); {
	case errors.Is(err, dns.ErrNullMX):
		r.add(Failure, "%s says that it takes no mail (a null MX record).", d.Name).because("What is sent to it comes back at once.").do(want)
	case errors.Is(err, dns.ErrBadMX):
		r.add(Failure, "The MX records of %s name no host.", d.Name).because("An MX record has the name of a host, never an address.").do(want)
	case errors.Is(err, dns.ErrNoDomain):
		r.add(Failure, "%s does not exist in the DNS.", d.Name).because("Nobody can write to it, and nobody believes what comes from it.").do(want)
	case a.State() == lookup.NotFound:
		r.add(Failure, "%s has no MX record.", d.Name).because("Others try the domain's own address, if it has one, and some refuse its mail.").do(want)
	case a.State() == lookup.TryAgain:
		r.untold("where the mail of "+d.Name+" goes", err)
	default:
		checkHosts(ctx, w, d, a.Value(), want, r)
	}
}

// checkHosts looks at the mail hosts of a domain.
func checkHosts(ctx context.Context, w *World, d Domain, hosts []dns.MX, want string, r *report) {
	before := len(r.list)
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Host
		checkHost(ctx, w, h.Host, r)
	}
	here, err := aimsHere(ctx, w, names)
	switch {
	case here:
	case err != nil:
		r.untold("whether "+strings.Join(names, ", ")+" is this server", err)
	default:
		r.add(Failure, "The mail of %s goes to %s, not to %s.", d.Name, strings.Join(names, ", "), w.Config.Hostname).
			because("Nothing arrives here.").do(want)
	}
	if len(r.list) == before {
		r.add(OK, "The mail of %s goes to %s.", d.Name, strings.Join(names, ", "))
	}
}

// aimsHere: one of the hosts is us, under our name or another one.
func aimsHere(ctx context.Context, w *World, names []string) (bool, error) {
	if slices.Contains(names, w.Config.Hostname) {
		return true, nil
	}
	own := w.Resolver.LookupAddr(ctx, w.Config.Hostname)
	var doubt error
	for _, name := range append(names, w.Config.Hostname) {
		a := w.Resolver.LookupAddr(ctx, name)
		if name != w.Config.Hostname && slices.ContainsFunc(a.Value(), func(addr netip.Addr) bool { return slices.Contains(own.Value(), addr) }) {
			return true, nil
		}
		if a.State() == lookup.TryAgain {
			doubt = a.Err()
		}
	}
	return false, doubt
}

// checkHost: the host is no alias, and has public addresses.
func checkHost(ctx context.Context, w *World, host string, r *report) {
	a := w.Resolver.LookupHost(ctx, host)
	switch a.State() {
	case lookup.TryAgain:
		r.about(host, Unknown, "It could not be told where %s is: %v.", host, a.Err())
		return
	case lookup.NotFound:
		r.about(host, Failure, "The mail host %s has no address.", host).because("Mail for it waits, and comes back after days.").
			do(records.Record{Name: host, Type: "A", Value: records.Placeholder}.String())
		return
	}
	if name := a.Value().Name; name != host {
		r.about(host, Warning, "The mail host %s is an alias (CNAME) of %s.", host, name).
			because("An MX record must not point to an alias (RFC 2181 §10.3); some servers refuse it.").link("https://www.rfc-editor.org/rfc/rfc2181#section-10.3")
	}
	for _, addr := range a.Value().Addrs {
		if !dns.Public(addr) && !w.Config.Outbound.AllowPrivate {
			r.about(host, Failure, "The mail host %s has the address %s, which the world can't reach.", host, addr).because("Mail that tries it is late or lost.")
		}
	}
}
