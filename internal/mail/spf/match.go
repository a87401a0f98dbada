package spf

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
)

// match tells whether a mechanism matches (§5); inner are the steps inside of an include.
func (e *evaluation) match(ctx context.Context, t Term, domain string) (inner []Step, matched bool, err error) {
	switch t.Mechanism {
	case All:
		return nil, true, nil
	case IP4, IP6:
		return nil, t.Prefix.Contains(e.ip), nil
	}
	if err := e.count(); err != nil {
		return nil, false, err
	}
	name, err := e.target(ctx, t.Domain, domain)
	switch {
	case errors.Is(err, errTarget) && t.Mechanism == Include:
		return nil, false, permanent("%s: %v", t.Text, err)
	case errors.Is(err, errTarget):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	switch t.Mechanism {
	case Include:
		return e.include(ctx, name)
	case A:
		matched, err = e.matchA(ctx, t, name)
	case MX:
		matched, err = e.matchMX(ctx, t, name)
	case PTR:
		matched = slices.ContainsFunc(e.clientNames(ctx), func(n string) bool { return isUnder(n, name) })
	case Exists:
		matched, err = e.exists(ctx, name)
	}
	return nil, matched, err
}

// include matches when the other record passes (§5.2).
func (e *evaluation) include(ctx context.Context, name string) ([]Step, bool, error) {
	v := e.evaluate(ctx, name)
	switch v.status {
	case Pass:
		return v.path, true, nil
	case TempError, PermError:
		return nil, false, &failure{v.status, v.problem}
	case None:
		return nil, false, permanent("include of %s, which has no SPF record", name)
	}
	return nil, false, nil
}

// matchA tells whether a host has the client's address, or its network (§5.3).
func (e *evaluation) matchA(ctx context.Context, t Term, name string) (bool, error) {
	addrs, err := e.addresses(ctx, name)
	return t.holds(addrs, e.ip), err
}

func (t Term) holds(addrs []netip.Addr, ip netip.Addr) bool {
	bits := t.Bits6
	if ip.Is4() {
		bits = t.Bits4
	}
	return slices.ContainsFunc(addrs, func(a netip.Addr) bool { return netip.PrefixFrom(a, bits).Contains(ip) })
}

// addresses are those of a host in the client's family.
func (e *evaluation) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	a := e.family(ctx, name)
	switch a.State() {
	case lookup.NotFound:
		return nil, e.void()
	case lookup.TryAgain:
		return nil, temporary(a.Err())
	}
	return a.Value(), nil
}

func (e *evaluation) family(ctx context.Context, name string) lookup.Answer[[]netip.Addr] {
	if e.ip.Is4() {
		return e.dns.A(ctx, name)
	}
	return e.dns.AAAA(ctx, name)
}

// matchMX is matchA for the mail hosts of a domain (§5.4).
func (e *evaluation) matchMX(ctx context.Context, t Term, name string) (bool, error) {
	a := e.dns.MX(ctx, name)
	switch {
	case a.State() == lookup.NotFound:
		return false, e.void()
	case a.State() == lookup.TryAgain:
		return false, temporary(a.Err())
	case len(a.Value()) > maxHosts:
		return false, permanent("%s: more than %d mail hosts", t.Text, maxHosts)
	}
	for _, host := range a.Value() {
		if matched, err := e.matchA(ctx, t, host); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// exists matches when a name has any IPv4 address, whatever the client's family (§5.7).
func (e *evaluation) exists(ctx context.Context, name string) (bool, error) {
	a := e.dns.A(ctx, name)
	switch a.State() {
	case lookup.NotFound:
		return false, e.void()
	case lookup.TryAgain:
		return false, temporary(a.Err())
	}
	return true, nil
}

// clientNames are the names of the client that lead back to it (§5.5). What is wrong with
// them is the client's doing and not that of the record: errors are no match, and count
// to no limit, or a client could turn a fail into an error.
func (e *evaluation) clientNames(ctx context.Context) []string {
	if e.namesKnown {
		return e.names
	}
	e.namesKnown = true
	claimed := e.dns.PTR(ctx, e.ip).Value()
	for _, name := range claimed[:min(len(claimed), maxNames)] {
		if slices.Contains(e.family(ctx, name).Value(), e.ip) {
			e.names = append(e.names, strings.ToLower(strings.TrimSuffix(name, ".")))
		}
	}
	return e.names
}

// isUnder tells whether name is domain or a name under it.
func isUnder(name, domain string) bool {
	name, domain = strings.ToLower(name), strings.ToLower(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// clientName is %{p}: the domain itself if the client has that name, else a name under
// it, else any, else "unknown" (§7.3). It counts to the ten.
func (e *evaluation) clientName(ctx context.Context, domain string) (string, error) {
	if !e.namesKnown {
		if err := e.count(); err != nil {
			return "", err
		}
	}
	names := e.clientNames(ctx)
	best := "unknown"
	for _, name := range names {
		switch {
		case strings.EqualFold(name, domain):
			return name, nil
		case best == "unknown" || isUnder(name, domain) && !isUnder(best, domain):
			best = name
		}
	}
	return best, nil
}
