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
	// Remote is a domain of somebody else, or one that we pass mail on to.
	Remote
	// Program is a command that gets the letter.
	Program
	// File is a file that the letter is added to.
	File
	// Discard is nowhere: /dev/null.
	Discard
	// Expanded is an address that led to several others: nothing is delivered there, but
	// a sender who asked to hear of success hears that (RFC 3461 §5.2.7.3).
	Expanded
)

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
	// Text is the command of a Program, the path of a File; User is who runs it or owns
	// it, "" for default_user.
	Text, User string
	// Sender is the reverse-path on the way there, where it is not the message's; Owned
	// tells that it is the owner of a list. See queue.Recipient.
	Sender *address.Address
	Owned  bool
	// Ours: strangers may write to it, for they wrote to an address of ours.
	Ours bool
	// Forwarded: it leaves this server though it was for somebody here.
	Forwarded bool
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
	return lookup.Yes(Destination{Kind: Mailbox, Address: a, Account: account.Value(), Ours: true})
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
