package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// later is why an expression has no value: a look-up had no answer.
type later struct {
	what string
	err  error
}

func (e *later) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }
func (e *later) Unwrap() error { return e.err }

var errNoSource = errors.New("nothing to look up in")

func (f *Facts) inList(list string, key any) (bool, error) {
	entry, err := f.find(list, key)
	if err != nil || entry.list == "" {
		return false, err
	}
	f.listed = entry
	return true, nil
}

func (f *Facts) listValue(list string, key any) (string, error) {
	found, err := f.inList(list, key)
	if !found {
		return "", err
	}
	return f.listed.value, nil
}

// find looks up each form of a key until the list has one.
func (f *Facts) find(list string, key any) (listed, error) {
	if f.sources.List == nil {
		return listed{}, &later{"list " + list, errNoSource}
	}
	keys := forms
	if f.sources.Whole != nil && f.sources.Whole(list) {
		keys = wholes
	}
	for _, k := range keys(key) {
		answer := f.sources.List(f.ctx, list, k)
		switch answer.State() {
		case lookup.Found:
			return listed{list, k, answer.Value()}, nil
		case lookup.TryAgain:
			return listed{}, &later{"list " + list, answer.Err()}
		}
	}
	return listed{}, nil
}

func (f *Facts) resolves(name string) (bool, error) {
	if literal(name) {
		return true, nil
	}
	domain, err := address.CanonicalDomain(name)
	if err != nil {
		return false, nil
	}
	if f.sources.Resolves == nil {
		return false, &later{"resolves", errNoSource}
	}
	return truth("DNS of "+domain, f.sources.Resolves(f.ctx, domain))
}

func (f *Facts) hosted(domain string) (bool, error) {
	if f.sources.Hosted == nil {
		return false, &later{"hosted", errNoSource}
	}
	return truth("directory", f.sources.Hosted(f.ctx, domain))
}

func (f *Facts) known(key any) (bool, error) {
	text := keyText(key)
	if m, ok := key.(*Mailbox); ok {
		text = m.Address
	}
	a, err := address.Parse(text)
	if err != nil {
		return text == "" || strings.EqualFold(text, "postmaster"), nil
	}
	if f.sources.Known == nil {
		return false, &later{"known", errNoSource}
	}
	return truth("directory", f.sources.Known(f.ctx, a))
}

// truth makes two answers of three, and an error of the third.
func truth(what string, a lookup.Answer[bool]) (bool, error) {
	switch a.State() {
	case lookup.Found:
		return a.Value(), nil
	case lookup.NotFound:
		return false, nil
	}
	return false, &later{what, a.Err()}
}

// inNet tells whether an address is in one of the networks, which were checked when
// the rules were loaded.
func inNet(ip string, nets ...string) (bool, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return false, nil // no address is in no network
	}
	a = a.Unmap()
	for _, n := range nets {
		p, err := parseNet(n)
		if err != nil {
			return false, err
		}
		if p.Contains(a) {
			return true, nil
		}
	}
	return false, nil
}

// parseNet reads a network, or one address.
func parseNet(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf(`expected a network such as "192.0.2.0/24" or an address, found %q`, s)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// literal tells an address literal, "[192.0.2.1]".
func literal(name string) bool {
	domain, err := address.ParseDomain(name)
	return err == nil && domain[0] == '['
}

// ValidHostname tells that a HELO has the form of a host name or of an address
// literal (RFC 5321 §4.1.2). An underscore is let pass, as there are such hosts.
func ValidHostname(name string) bool {
	domain, err := address.CanonicalDomain(name)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(domain)
	return err != nil // an address without its brackets is neither
}

// FQDN tells a valid host name of two labels or more, or an address literal.
func FQDN(name string) bool {
	return ValidHostname(name) && (name[0] == '[' || strings.Contains(strings.TrimSuffix(name, "."), "."))
}
