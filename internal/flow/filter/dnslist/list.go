package dnslist

import (
	"strings"

	"facteur/internal/net/dns"
)

// Kind is what a list is asked about.
type Kind string

// The kinds.
const (
	Client Kind = "client" // the client's address
	Allow  Kind = "allow"  // the client's address; being there speaks for it
	Domain Kind = "domain" // domains of the sender, and of links
	Sender Kind = "sender" // domains of the sender only
	Link   Kind = "link"   // hosts of links only
)

// addresses tells that a list has addresses, and not domains.
func (k Kind) addresses() bool { return k == Client || k == Allow }

// List is a list as the settings have it.
type List struct {
	// Name stands in the names of its remarks: "zen" makes dnsbl_zen. Zone is the list's
	// place in the DNS, without the key.
	Name, Zone string
	// Key is what a subscriber puts before the zone: a secret.
	Key  string
	Kind Kind
	// Codes are what its answers weigh.
	Codes []Code
	// IPv4, IPv6: it has addresses of the family. Of domains neither counts.
	IPv4, IPv6 bool
	// Entry is the domain that the list has for tests. "": "test", as RFC 5782 wants.
	Entry string
	// TestOnly: what it says is told, and counts nothing.
	TestOnly bool
	// Daily is how many questions it gets in a day, those apart that the cache answers.
	Daily int
}

// NameOf is the name of a list that was not given one: its zone, as a word.
func NameOf(zone string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(zone))
}

// identity is what a list is known by when the settings change.
func (l *List) identity() string { return string(l.Kind) + " " + l.Zone + " " + l.Key }

func (l *List) block() dns.BlockList { return dns.BlockList{Zone: l.Zone, Key: l.Key} }

// serves tells whether a list has entries of the kind.
func (l *List) serves(kind Kind) bool {
	return l.Kind == kind || l.Kind == Domain && !kind.addresses()
}

// Names of the remarks begin with what Postfix and SpamAssassin call such lists.
func (l *List) remark(about Kind) string {
	switch about {
	case Allow:
		return "dnswl_" + l.Name
	case Sender:
		return "rhsbl_" + l.Name
	case Link:
		return "uribl_" + l.Name
	}
	return "dnsbl_" + l.Name
}
