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
	"cmp"
	"context"
	"slices"
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
	// Refused: an alias names somebody who is not there, or what is not allowed. Delivery
	// fails, with Text, and who answers for the alias hears of it.
	Refused
)

// postmaster is the mailbox that every domain has (RFC 5321 §4.5.1). What the machine
// itself writes to root is his, unless there is an account of that name.
const (
	postmaster = "postmaster"
	root       = "root"
)

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
	// Plain: the user's ~/.forward has no say ("\\user" in aliases(5)).
	Plain bool
	// Sender is the reverse-path on the way there, where it is not the message's; Owned
	// tells that it is the owner of a list. See queue.Recipient.
	Sender *address.Address
	Owned  bool
	// Ours: strangers may write to it, for they wrote to an address of ours.
	Ours bool
	// Forwarded: it leaves this server though it was for somebody here.
	Forwarded bool
	// CatchAll is the domain's entry for whoever is nobody else that led here,
	// "@example.org"; "" where the address has a way of its own.
	CatchAll string
}

// Router answers for one server. It is safe for concurrent use.
type Router struct {
	directory *directory.Directory
	hostname  string
	// home is the domain that the bare "postmaster" belongs to, and hostname, too.
	home  func() string
	rules func() *Rules
}

// New makes a Router. hostname is the server's own name, in A-labels; home tells the
// domain of addresses at it, and of the bare postmaster.
func New(d *directory.Directory, hostname string, home func() string) *Router {
	return &Router{directory: d, hostname: hostname, home: home, rules: func() *Rules { return &standard }}
}

// Configure says where to ask for the rules, at each look-up; nil are those of a server
// whose admin set none.
func (r *Router) Configure(rules func() *Rules) {
	r.rules = func() *Rules {
		if r := rules(); r != nil {
			return r
		}
		return &standard
	}
}

// Origin is the domain of names without one (myorigin).
func (r *Router) Origin() string { return cmp.Or(r.rules().Origin, r.home()) }

// Resolve finds whether an address is known, and whose it is: of several destinations,
// the first mailbox, else the first. Not found means that the domain is ours and has no
// such address.
func (r *Router) Resolve(ctx context.Context, a address.Address) lookup.Answer[Destination] {
	answer := r.Expand(ctx, Question{Recipient: a})
	switch answer.State() {
	case lookup.TryAgain:
		return lookup.Later[Destination](answer.Err())
	case lookup.NotFound:
		return lookup.No[Destination](answer.Err())
	}
	to := answer.Value().Destinations
	if i := slices.IndexFunc(to, func(d Destination) bool { return d.Kind == Mailbox }); i > 0 {
		return lookup.Yes(to[i])
	}
	return lookup.Yes(to[0])
}

// isOwn tells that a domain stands for the home domain: none at all, or the server's
// name where that is no domain of its own. To be below a relay domain makes it none.
func (r *Router) isOwn(ctx context.Context, domain string) (bool, error) {
	if domain == "" {
		return true, nil
	}
	if !strings.EqualFold(strings.TrimSuffix(domain, "."), r.hostname) {
		return false, nil
	}
	hosted := r.directory.Domain(ctx, domain)
	switch hosted.State() {
	case lookup.TryAgain:
		return false, hosted.Err()
	case lookup.Found:
		found := hosted.Value()
		return found.Subdomains && !strings.EqualFold(found.Name, strings.TrimSuffix(domain, ".")), nil
	}
	return true, nil
}

// Hosts tells whether mail for a domain is ours to receive.
func (r *Router) Hosts(ctx context.Context, domain string) lookup.Answer[directory.Domain] {
	if domain != "" {
		own, err := r.isOwn(ctx, domain)
		if err != nil {
			return lookup.Later[directory.Domain](err)
		}
		if own {
			domain = r.home()
		}
	}
	return r.directory.Domain(ctx, domain)
}

// Refuse is a destination that an alias names and that can't have the letter: delivery
// fails, and who answers for the alias hears why (RFC 3463 and text). sender is the
// envelope's: of a notice nobody hears.
func (r *Router) Refuse(d Destination, sender address.Address, why string) Destination {
	d.Kind, d.Text = Refused, why
	if d.Sender == nil && !sender.IsNull() {
		d.Sender, d.Owned = &address.Address{Local: postmaster, Domain: r.home()}, true
	}
	return d
}

// Name is the destination for people.
func (d Destination) Name() string {
	switch d.Kind {
	case Program:
		return "the command \"" + d.Text + "\""
	case File:
		return "the file " + d.Text
	case Discard:
		return "/dev/null"
	case Refused:
		return "<" + d.Address.String() + "> (" + d.Text + ")"
	case Mailbox:
		if d.Account.Address != d.Address.String() {
			return "the mailbox of <" + d.Account.Address + ">"
		}
	}
	return "<" + d.Address.String() + ">"
}
