package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// checkAddress: the name of this machine has an address of each family that it uses (rows
// 213 and 214).
func checkAddress(ctx context.Context, w *World, r *report) {
	name := w.Config.Hostname
	a := w.Resolver.LookupHost(ctx, name)
	sources := w.from(ctx, r)
	switch a.State() {
	case lookup.TryAgain:
		r.untold("which addresses "+name+" has", a.Err())
		return
	case lookup.NotFound:
		r.add(Failure, "%s, the name of this machine, has no address in the DNS.", name).
			because("It stands in MX records, in certificates and in every greeting.").do(wanted(name, sources)...)
		return
	}
	for _, addr := range a.Value().Addrs {
		if !dns.Public(addr) && !w.Config.Outbound.AllowPrivate {
			r.about(addr.String(), Failure, "%s has the address %s, which the world can't reach.", name, addr).because("Who tries it can't send to here.")
		}
	}
	for _, s := range sources {
		if !hasFamily(a.Value().Addrs, s.public) {
			r.about(s.String(), Warning, "Mail leaves from %s, but %s has no %s record.", s, name, records.Family(s.public)).
				because("The name in EHLO should lead back to the address, for IPv4 and for IPv6; large providers look.").
				do(records.Record{Name: name, Type: records.Family(s.public), Value: s.String()}.String())
		}
	}
	if len(r.list) == 0 {
		r.add(OK, "%s is %s.", name, listed(a.Value().Addrs))
	}
}

func hasFamily(list []netip.Addr, like netip.Addr) bool {
	return slices.ContainsFunc(list, func(a netip.Addr) bool { return a.Is4() == like.Is4() })
}

// wanted are the records that lead from a name to where mail leaves from.
func wanted(name string, sources []source) (lines []string) {
	for _, s := range sources {
		lines = append(lines, records.Record{Name: name, Type: records.Family(s.public), Value: s.String()}.String())
	}
	if len(lines) == 0 {
		lines = append(lines, records.Record{Name: name, Type: "A", Value: records.Placeholder}.String())
	}
	return lines
}

// checkPTR: each address that mail leaves from has a name, which leads back to it (row 213).
func checkPTR(ctx context.Context, w *World, r *report) {
	sources := w.from(ctx, r)
	if len(sources) == 0 && len(r.list) == 0 {
		r.add(Note, "This machine has no public address that mail could leave from, or none that is known here.").
			because("Behind a router that translates addresses, the settings have to name them.").do("[addresses]", `proxy_interfaces = ["ADDRESS"]`)
	}
	for _, s := range sources {
		checkName(ctx, w, s, r)
	}
}

func checkName(ctx context.Context, w *World, s source, r *report) {
	want := "; set by whoever gives you the address: " + records.House{Hostname: w.Config.HeloName()}.PTR(s.public).String()
	names := w.Resolver.LookupPTR(ctx, s.public)
	switch names.State() {
	case lookup.TryAgain:
		r.about(s.String(), Unknown, "It could not be told which name %s has: %v.", s, names.Err())
		return
	case lookup.NotFound:
		r.about(s.String(), w.bad(s), "%s has no name (PTR record).", s).because("%s", w.nameless(s)).do(want)
		return
	}
	back := w.Resolver.ClientName(ctx, s.public)
	switch back.State() {
	case lookup.TryAgain:
		r.about(s.String(), Unknown, "It could not be told whether the name of %s leads back to it: %v.", s, back.Err())
	case lookup.NotFound:
		name := names.Value()[0]
		f := r.about(s.String(), w.bad(s), "%s is named %s, and that name does not lead back to it.", s, name).because("%s", w.nameless(s)).
			do(records.Record{Name: name, Type: records.Family(s.public), Value: s.String()}.String())
		if name != w.Config.HeloName() {
			f.do("; or: " + strings.TrimPrefix(want, "; "))
		}
	default:
		checkKind(w, s, back.Value(), want, r)
	}
}

// bad is how bad it is that an address has no name: without IPv6 there is IPv4.
func (w *World) bad(s source) Level {
	switch {
	case !w.direct():
		return Note
	case s.public.Is6() && w.Config.Outbound.RequireIPv6Name:
		return Warning
	}
	return Failure
}

func (w *World) nameless(s source) string {
	switch {
	case !w.direct():
		return "Mail leaves through a smarthost, so that others do not see it."
	case s.public.Is6() && w.Config.Outbound.RequireIPv6Name:
		return "Mail leaves over IPv4 until it has one (outbound.require_ipv6_name)."
	}
	return "Many servers, Google's and Microsoft's among them, refuse mail from such an address."
}

// checkKind looks at a name that leads back.
func checkKind(w *World, s source, name, want string, r *report) {
	if isGeneric(name, s.public) {
		r.about(s.String(), Warning, "%s has the name %s, which looks like that of a customer's line.", s, name).
			because("Mail from such addresses is refused or distrusted.").do(want)
		return
	}
	r.about(s.String(), OK, "%s is named %s, and back.", s, name)
}

// isGeneric: the name has the numbers of the address in it.
func isGeneric(name string, a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	found := 0
	for _, part := range a.As4() {
		number := netip.AddrFrom4([4]byte{part}).String()
		number, _, _ = strings.Cut(number, ".")
		if slices.ContainsFunc(strings.FieldsFunc(name, func(c rune) bool { return c < '0' || c > '9' }), func(w string) bool { return strings.TrimLeft(w, "0") == strings.TrimLeft(number, "0") }) {
			found++
		}
	}
	return found == 4
}

// checkHelo: the name in EHLO leads to the addresses that mail leaves from, and is theirs
// (rows 213 and 214).
func checkHelo(ctx context.Context, w *World, r *report) {
	helo := w.Config.HeloName()
	sources := w.from(ctx, r)
	a := w.Resolver.LookupAddr(ctx, helo)
	if a.State() == lookup.TryAgain {
		r.untold("where "+helo+" is", a.Err())
		return
	}
	for _, s := range sources {
		if !slices.Contains(a.Value(), s.public) {
			r.about(s.String(), w.atMost(Warning), "This server says %s in EHLO, which does not lead to %s.", helo, s).
				because("Others compare the name in EHLO with the address, for IPv4 and for IPv6.").
				do(records.Record{Name: helo, Type: records.Family(s.public), Value: s.String()}.String())
			continue
		}
		name := w.Resolver.ClientName(ctx, s.public)
		if name.State() == lookup.TryAgain {
			r.about(s.String(), Unknown, "It could not be told which name %s has: %v.", s, name.Err())
		}
		if name.State() == lookup.Found && name.Value() != helo {
			r.about(s.String(), w.atMost(Warning), "This server says %s in EHLO, but %s is named %s.", helo, s, name.Value()).
				because("Some servers want all three to be one: the name in EHLO, its address, and the address's name.").
				do("; set by whoever gives you the address: "+records.House{Hostname: helo}.PTR(s.public).String(), "# or in facteur.toml:", "[outbound]", `helo = "`+name.Value()+`"`)
		}
	}
	if len(r.list) == 0 {
		r.add(OK, "The name in EHLO, %s, is that of every address that mail leaves from.", helo)
	}
}

// atMost is a level, or a note where mail leaves through a smarthost.
func (w *World) atMost(l Level) Level {
	if !w.direct() {
		return Note
	}
	return l
}
