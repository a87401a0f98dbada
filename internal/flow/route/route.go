// Package route says where an address leads: to a mailbox of ours, or to another
// machine. It decides nothing about who may send there.
//
// The server's own name is one more name of its home domain, unless it is hosted as a
// domain of its own: programs of this machine write to root@mail.example.org.
//
// Its answer is three-valued like the directory's: a directory that does not
// answer never makes an address unknown.
package route

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// Kind is what sort of place a destination is.
type Kind uint8

// The kinds.
const (
	// Mailbox is an account of this server.
	Mailbox Kind = iota + 1
	// Remote is a domain of somebody else.
	Remote
)

// Prefix is how the routes of the kind begin in the queue.
func (k Kind) Prefix() string {
	if k == Mailbox {
		return mailboxPrefix
	}
	return remotePrefix
}

// postmaster is the mailbox that every domain has (RFC 5321 §4.5.1). What the machine
// itself writes to root is his, unless there is an account of that name.
const (
	postmaster = "postmaster"
	root       = "root"
)

// ErrUnknownUser is why an address in a domain of ours is not found.
var ErrUnknownUser = errors.New("User unknown in virtual mailbox table")

// Destination is where an address leads.
type Destination struct {
	Kind Kind
	// Address is the recipient after routing.
	Address address.Address
	// Account is whose mailbox it is; only for Mailbox.
	Account directory.Account
}

// Router answers for one server. It is safe for concurrent use.
type Router struct {
	directory *directory.Directory
	hostname  string
	// home is the domain that the bare "postmaster" belongs to, and hostname, too.
	home func() string
}

// New makes a Router. hostname is the server's own name, in A-labels; home tells the
// domain of addresses at it, and of the bare postmaster.
func New(d *directory.Directory, hostname string, home func() string) *Router {
	return &Router{directory: d, hostname: hostname, home: home}
}

// Resolve follows an address to its destination. Not found means that the domain
// is ours and has no such user.
func (r *Router) Resolve(ctx context.Context, a address.Address) lookup.Answer[Destination] {
	own := r.isOwn(ctx, a.Domain)
	if own {
		a.Domain = r.home()
	}
	domain := r.directory.Domain(ctx, a.Domain)
	switch domain.State() {
	case lookup.TryAgain:
		return lookup.Later[Destination](domain.Err())
	case lookup.NotFound:
		return lookup.Yes(Destination{Kind: Remote, Address: a})
	}
	account := r.directory.Account(ctx, a)
	if account.State() == lookup.NotFound && (strings.EqualFold(a.Local, postmaster) || own && a.Local == root) {
		// RFC 5321 §4.5.1: it is never unknown. One of them serves all domains.
		account = r.directory.Account(ctx, address.Address{Local: postmaster, Domain: r.home()})
	}
	switch account.State() {
	case lookup.TryAgain:
		return lookup.Later[Destination](account.Err())
	case lookup.NotFound:
		return lookup.No[Destination](ErrUnknownUser)
	}
	return lookup.Yes(Destination{Kind: Mailbox, Address: a, Account: account.Value()})
}

// isOwn tells that a domain stands for the home domain: none at all, or the server's
// name where that is no domain of its own. While the directory does not answer, it is
// not; nor does the next look-up get an answer then.
func (r *Router) isOwn(ctx context.Context, domain string) bool {
	if domain == "" {
		return true
	}
	return strings.EqualFold(strings.TrimSuffix(domain, "."), r.hostname) && r.directory.Domain(ctx, domain).State() == lookup.NotFound
}

// Hosts tells whether mail for a domain is ours to receive.
func (r *Router) Hosts(ctx context.Context, domain string) lookup.Answer[directory.Domain] {
	if domain != "" && r.isOwn(ctx, domain) {
		domain = r.home()
	}
	return r.directory.Domain(ctx, domain)
}

// The forms of a destination in the queue: what it is grouped and shown by.
const (
	mailboxPrefix = "mailbox:" // and the account's name
	remotePrefix  = "smtp:"    // and the recipient's domain
)

// String is the form that the queue keeps.
func (d Destination) String() string {
	if d.Kind == Mailbox {
		return mailboxPrefix + d.Account.Address
	}
	return remotePrefix + d.Address.Domain
}

// Hop is a destination as the queue kept it.
type Hop struct {
	Kind Kind
	// Name is the account or the domain.
	Name string
}

// ParseHop reads what Destination.String wrote.
func ParseHop(s string) (Hop, error) {
	if name, ok := strings.CutPrefix(s, mailboxPrefix); ok {
		return Hop{Mailbox, name}, nil
	}
	if name, ok := strings.CutPrefix(s, remotePrefix); ok {
		return Hop{Remote, name}, nil
	}
	return Hop{}, fmt.Errorf("%q is no route", s)
}
