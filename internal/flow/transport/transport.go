// Package transport holds the ways by which mail leaves, as the admin named them: what
// kind of way each is, how fast mail may go over it, and which mail takes which.
//
// A recipient's route, kept in the queue, says only whose mail it is: a mailbox here, or
// a domain elsewhere. Which transport it takes is decided anew at each attempt, so that
// a reload swaps a blocked relay for all that waits, too.
//
// # How a way is chosen
//
// The first that says something decides:
//
//  1. an entry for the recipient: user+extension@domain, user@domain, domain, .parent
//     (subdomains, the nearest first), * (Postfix's transport(5)). For each of these
//     keys the entries are asked in their order. "*" is not for mailboxes of ours.
//  2. a mailbox of ours is local
//  3. an entry for the sender: user@domain, @domain, <> for notices
//  4. the usual transport, with its relays if it has any
//  5. where 4 means the MX hosts of the domain: an entry for the best of them, then a
//     preset for it
//
// What then takes a transport that diverts a share of its mail goes another way with
// that share; the item's ID decides, the same at each attempt (see Mail.Attempts).
//
// # Tables elsewhere
//
// Entries of the settings and of files of lines are in the Table. What other tables say
// (directories, databases, patterns) is asked for each recipient before the choice is made
// (Tables.Ask), and goes into it as Mail.Found: for each key it comes behind the entries of
// the Table. A table that can't tell now, or that says what can't be done, makes the mail
// wait: the choice is then to put it off, never to refuse it.
//
// Nothing is kept on disk, and nothing here waits but Tables.Ask: a choice is a few
// look-ups in maps.
package transport

import (
	"net/netip"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/net/tlspolicy"
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

// String is the kind as the settings name it.
func (k Kind) String() string {
	names := [...]string{"smtp", "lmtp", "pipe", "discard", "error", "hold", "mailbox"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Dials tells the kinds that connect to hosts.
func (k Kind) Dials() bool { return k == SMTP || k == LMTP }

// Transport is one named way. It is not changed once it is in a Table.
type Transport struct {
	// Name is what the settings call it: "smtp", "slow".
	Name string
	// LogName stands before the "/" of the program in log lines, "postfix-slow"; "" is
	// the usual one.
	LogName string
	Kind    Kind
	// Relays take all mail of the transport; without any, the next hop's MX hosts do.
	Relays []Relay
	// Smarthost: the relays are those of the house, for what no entry for a recipient names
	// the transport for. Such an entry means the MX hosts, as in transport(5).
	Smarthost bool
	// Text is what Error answers, a reply of 4yz or 5yz, and why Hold holds.
	Text string
	// Command is the program of Pipe and its arguments; User the account it runs as,
	// "" for the server's own.
	Command []string
	User    string
	// Flags and NullSender are those of Postfix's pipe(8), TimeLimit the most time that
	// the program gets; see net/program for what they are when empty.
	Flags, NullSender string
	TimeLimit         time.Duration
	Pace              Pace
	Source            Source
	// Port is where MX hosts listen; 0 is the usual one.
	Port uint16
	// TLS is what connections have to have where the admin has no rule for the destination;
	// Auto is the house's default, and for a preset that of the usual transport.
	TLS tlspolicy.Level
	// Divert names the transport that DivertPercent of the mail takes instead; "" none.
	Divert        string
	DivertPercent int

	divert *Transport
	orders orders
}

// Relay is a machine that sends our mail on, or a mail store.
type Relay struct {
	// Host is a name or an address; Socket the path of a Unix socket in its place.
	Host, Socket string
	Port         uint16
	// Weight is its share of the mail, relative to the others'; those with 0 are tried
	// only when no other takes it. Where all have 0, they are tried in their order.
	Weight int
	// User and Password log in there; "" without.
	User     string
	Password conf.Secret
	// Implicit: TLS from the first byte (port 465).
	Implicit bool
	// Verify: its certificate has to be good, and for Host. Encrypt: TLS, whoever it
	// proves to be. Neither: TLS when it is offered; with a User as Verify, and as Encrypt
	// where Host is this machine.
	Verify, Encrypt bool
}

// Pace is how fast mail goes to one destination. 0 is never "unlimited": zero fields
// take the defaults in brackets.
type Pace struct {
	// InitialConcurrency is how many connections a destination gets at first (5), and
	// Concurrency the most (20).
	InitialConcurrency, Concurrency int
	// Total is the most connections of the transport to all destinations together;
	// 0: only what all transports share bounds it.
	Total int
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
	return p.Or(Pace{InitialConcurrency: 5, Concurrency: 20, FailedCohort: 1, Recipients: 50})
}

// Or is the pace with its zero fields taken from another.
func (p Pace) Or(other Pace) Pace {
	p.Total = orElse(p.Total, other.Total)
	p.Concurrency = orElse(p.Concurrency, other.Concurrency)
	p.InitialConcurrency = orElse(p.InitialConcurrency, other.InitialConcurrency)
	if p.Concurrency > 0 {
		p.InitialConcurrency = min(p.InitialConcurrency, p.Concurrency)
	}
	p.Recipients = orElse(p.Recipients, other.Recipients)
	p.RateDelay = orElse(p.RateDelay, other.RateDelay)
	if p.FailedCohort == 0 {
		p.FailedCohort = other.FailedCohort
	}
	return p
}

func orElse[T int | time.Duration](n, otherwise T) T {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Source is where connections come from. The zero Source is the house's usual one.
type Source struct {
	// Bind are the local addresses, at most one of each family.
	Bind []netip.Addr
	Helo string
	// IPv4 and IPv6 are the families that may be used; neither: what the house uses.
	// PreferIPv4 and PreferIPv6 try that first; neither: by turns, as the name service
	// has them.
	IPv4, IPv6, PreferIPv4, PreferIPv6 bool
}

// or is the source with what it does not say taken from another.
func (s Source) or(other Source) Source {
	if len(s.Bind) == 0 {
		s.Bind = other.Bind
	}
	if s.Helo == "" {
		s.Helo = other.Helo
	}
	if !s.IPv4 && !s.IPv6 {
		s.IPv4, s.IPv6 = other.IPv4, other.IPv6
	}
	if !s.PreferIPv4 && !s.PreferIPv6 {
		s.PreferIPv4, s.PreferIPv6 = other.PreferIPv4, other.PreferIPv6
	}
	return s
}
