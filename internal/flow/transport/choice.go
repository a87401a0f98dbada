package transport

import "facteur/internal/mail/address"

// Mail is what a way is chosen for: one recipient of an item.
type Mail struct {
	// ID is the item's: it decides who is diverted, the same at each attempt.
	ID                int64
	Sender, Recipient address.Address
	// Domain is where it goes by its route: the recipient's domain, or an address
	// literal in brackets.
	Domain string
	// Here: the recipient is a mailbox of ours.
	Here bool
	// Attempts is how often it was tried before.
	Attempts int
}

// Choice is the way that one recipient takes.
type Choice struct {
	Transport *Transport
	// NextHop is the domain that it is for, or what a map put in its place.
	NextHop string
	// Relays take it, the first that does; without any, the MX hosts of NextHop do.
	Relays []Relay
	// Port is where the MX hosts listen; 0 is the transport's.
	Port uint16
	// Named: the admin wrote the next hop. Its hosts may be in private networks.
	Named bool
	// Text is what Error answers and why Hold holds.
	Text string
	// Why says who decided: "facteur.toml:12:1", "/etc/postfix/transport:3"; "" for the
	// usual way.
	Why string
	// Fixed: the choice does not depend on the MX hosts (see Table.ForMX).
	Fixed bool
}
