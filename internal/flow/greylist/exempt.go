package greylist

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/mail/address"
)

// Why somebody does not wait, in the words of postgrey's log where it has them.
const (
	clientListed    = "client whitelist"
	recipientListed = "recipient whitelist"
	allowed         = "allowed"
	operator        = "operator"
	reputable       = "reputation"
	correspondent   = "correspondent"
	seen            = "seen before"
)

// sentences are the same for people.
var sentences = map[string]string{
	clientListed:    "the settings name its network, its host or its domain",
	recipientListed: "it is for somebody who wants nobody to wait",
	allowed:         "the admin has allowed its sender or its host",
	operator:        "it comes from a large provider, which tries again in any case",
	reputable:       "good things are known of its host",
	correspondent:   "a recipient has written to its sender, who is proven",
	seen:            "its sender, who is proven, has brought a clean letter before",
}

// exempt says why a letter does not wait though it is suspicious; "" if it does.
func (g *Gate) exempt(ctx context.Context, l *Letter, rules *Rules) string {
	if why := g.spared(l, rules); why != "" {
		return why
	}
	if slices.ContainsFunc(l.Recipients, rules.spares) {
		return recipientListed
	}
	if g.known.Reputable != nil && g.known.Reputable(l.Client, l.Proven) {
		return reputable
	}
	if l.Authentic && l.Aligned && !l.Sender.IsNull() && g.store.Seen(Plain(l.Sender)) {
		return seen
	}
	for _, r := range l.Recipients {
		switch {
		case g.known.Spared != nil && g.known.Spared(ctx, r):
			return recipientListed
		case r.Account != "" && l.Authentic && g.known.Correspondent != nil && g.known.Correspondent(ctx, r.Account, l.Sender):
			return correspondent
		}
	}
	return ""
}

// spared says why a client does not wait; it waits for nothing.
func (g *Gate) spared(l *Letter, rules *Rules) string {
	name := ""
	if named(l.Name) {
		name = fold(l.Name)
	}
	switch {
	case contains(rules.Networks, l.Client),
		name != "" && isBelow(name, rules.Names),
		slices.ContainsFunc(l.Proven, func(d string) bool { return isBelow(fold(d), rules.Domains) }):
		return clientListed
	case g.known.Operator != nil && g.known.Operator(l.Client):
		return operator
	case g.store.HasAllowed() && g.store.IsAllowed(l.subjects(name)...):
		return allowed
	}
	return ""
}

// spares tells that nobody is to wait for the sake of a recipient.
func (r *Rules) spares(to Recipient) bool {
	return r.Recipients[to.Address.Key()] || r.Recipients[to.Address.Domain] || to.Account != "" && r.Recipients[to.Account]
}

// subjects are what an admin may have allowed: networks around the client, its name and its
// sender with their domains, a recipient and his. He knows what he does: none of it has to
// be proven.
func (l *Letter) subjects(name string) (out []string) {
	a := l.Client.Unmap().WithZone("")
	for bits := a.BitLen(); bits >= 8; bits-- {
		if p, err := a.Prefix(bits); err == nil {
			out = append(out, p.String())
		}
	}
	out = append(above(out, name), l.Sender.Key())
	out = above(out, fold(l.Sender.Domain))
	for _, d := range l.Proven {
		out = above(out, fold(d))
	}
	for _, r := range l.Recipients {
		out = append(out, r.Address.Key(), r.Address.Domain)
	}
	return out
}

// above appends a domain and those above it.
func above(out []string, domain string) []string {
	for domain != "" {
		out = append(out, domain)
		_, domain, _ = strings.Cut(domain, ".")
	}
	return out
}

// Subject is what an admin wrote, as it is kept among the allowed: a network, an address, a
// domain.
func Subject(text string) (string, error) {
	if n, ok := networkOf(text); ok {
		return n.String(), nil
	}
	if a, err := address.Parse(text); err == nil && a.Domain != "" {
		return a.Key(), nil
	}
	return address.CanonicalDomain(text)
}

func networkOf(text string) (netip.Prefix, bool) {
	if n, err := netip.ParsePrefix(text); err == nil {
		return n.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}
