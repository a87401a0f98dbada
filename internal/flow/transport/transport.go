// Package transport holds the ways by which mail leaves, as the admin named them: what
// kind of way each is, how fast mail may go over it, and which mail takes which.
//
// A recipient's route, kept in the queue, says only whose mail it is: a mailbox here, or
// a domain elsewhere. Which transport it takes is decided anew at each attempt, so that
// a reload swaps a blocked relay for all that waits, too.
package transport

import (
	"net/netip"
	"time"
)

// Kind is what a transport does with mail.
type Kind uint8

// The kinds.
const (
	// SMTP hands it to another mail server.
	SMTP Kind = iota
	// LMTP hands it to a mail store, which answers for each recipient (RFC 2033).
	LMTP
	// Pipe gives it to a program on its standard input.
	Pipe
	// Discard throws it away, as delivered.
	Discard
	// Error refuses it with a text.
	Error
	// Hold sets it aside for a person.
	Hold
	// Mailbox puts it into the recipient's Maildir here.
	Mailbox
)

// Transport is one named way. It is not changed once it is in use.
type Transport struct {
	// Name is what the settings and the log call it: "smtp", "slow".
	Name string
	Kind Kind
	// Relays take all mail of the transport; without any, the next hop's MX hosts do.
	Relays []Relay
	// Text is what Error answers, a reply of 4yz or 5yz, and why Hold holds.
	Text string
	// Command is the program of Pipe and its arguments; User the account it runs as,
	// "" for the server's own.
	Command []string
	User    string
	Pace    Pace
	Source  Source
	// Port is where the hosts listen; 0 is 25.
	Port uint16
}

// Relay is a machine that sends our mail on, or a mail store.
type Relay struct {
	// Host is a name or an address; Socket the path of a Unix socket in its place.
	Host, Socket string
	Port         uint16
	// Weight is its share of the mail, relative to the others'; those with 0 are tried
	// only when no other takes it.
	Weight int
	// User and Password log in there; "" without.
	User, Password string
	// Implicit TLS from the first byte (port 465).
	Implicit bool
}

// Pace is how fast mail goes to one destination. 0 is never "unlimited": zero fields
// take the defaults in brackets.
type Pace struct {
	// InitialConcurrency is how many connections a destination gets at first (5), and
	// Concurrency the most (20).
	InitialConcurrency, Concurrency int
	// FailedCohort is how many times in a row as many connections as are open now may
	// fail before the destination is taken for dead (1); negative: it never is.
	FailedCohort int
	// RateDelay is waited between two messages to the same destination (none).
	RateDelay time.Duration
	// Recipients is the most of one message in one transaction (50).
	Recipients int
}

// WithDefaults is the pace with its zero fields filled in. The first window is never
// wider than the widest.
func (p Pace) WithDefaults() Pace {
	p.Concurrency = orDefault(p.Concurrency, 20)
	p.InitialConcurrency = min(orDefault(p.InitialConcurrency, 5), p.Concurrency)
	p.Recipients = orDefault(p.Recipients, 50)
	if p.FailedCohort == 0 {
		p.FailedCohort = 1
	}
	return p
}

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Source is where connections come from.
type Source struct {
	// Bind are the local addresses, at most one of each family.
	Bind []netip.Addr
	Helo string
	// IPv4 and IPv6 are the families that may be used; PreferIPv4 tries that first.
	IPv4, IPv6, PreferIPv4 bool
}
