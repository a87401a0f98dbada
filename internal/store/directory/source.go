package directory

import (
	"context"
	"errors"
	"net/netip"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// Source is a place outside of our tables where accounts are kept: a file, the users
// of this machine, a directory, a database, another server. It is only asked what the
// Place that it stands in serves, and may be asked from any goroutine.
//
// Each question has three answers and a deadline of the source's own, five seconds or
// less: a source that is down makes mail and log-ins wait, and nobody unknown.
type Source interface {
	// Account is the account that mail for an address belongs to.
	Account(ctx context.Context, a address.Address) lookup.Answer[Record]
	// Login is the account that a log-in name means. It is the address that the Place
	// made of what the client sent, so that the domain is never empty.
	Login(ctx context.Context, login address.Address) lookup.Answer[Record]
	// Domain tells whether the source itself says that mail for a domain (canonical)
	// is received here. Most say nothing: NotFound.
	Domain(ctx context.Context, name string) lookup.Answer[Domain]
	// List calls each for every account, in no particular order, until that fails; it
	// reads in portions. ErrNoList: the source can only be asked for single accounts.
	List(ctx context.Context, each func(Record) error) error
	// Close lets go of connections. Questions under way may fail.
	Close() error
}

// ErrNoList is what a Source says that does not know all its accounts.
var ErrNoList = errors.New("the directory can't list its accounts")

// Record is what a Source knows of an account.
type Record struct {
	// Address is the account's name and main address. The zero Address: the one that
	// was asked for. An account that is found by several addresses has the same here
	// each time, as its mailbox is found by it.
	Address address.Address
	// Password is what it has to be compared with, in a form that Verify reads. "": the
	// source does not tell, and only a Checker can say.
	Password string
	// Identity is who it is in the source (a distinguished name, a user's name), for
	// Checkers.
	Identity string
	// Home is its home directory in the source's opinion, and Maildir where its letters
	// are, both "" or absolute paths; templates of the Place are tried where they are "".
	Home, Maildir string
	// Unix is the user of this machine that it is; nil: none.
	Unix *Unix
	// Own is what it may keep.
	Own Allowance
	// Disabled accounts keep their mail and receive, but can not log in.
	Disabled bool
	// Nets are the only networks from which it may be logged in to; nil: from everywhere.
	Nets []netip.Prefix
	// Forward are the addresses that its mail goes to instead of its mailbox.
	Forward []address.Address
	// Host is the machine that has its mailbox, if not this one: its mail goes there, to
	// the same address.
	Host string
}

// Checker says whether a password is that of an account: Found if it is, NotFound if
// it is not. It is never asked about an empty password, as directories take that for
// "anonymous" and say yes (RFC 4513 §5.1.2). For log-in names that are no account here, it
// is asked about a Record that has only an Address, so that strangers cost as much; its
// local part is nobodyHere, as the service may know more people than have mail here: root
// above all (LOC-016).
type Checker func(ctx context.Context, r Record, password string) lookup.Answer[struct{}]

// Place is a Source as the settings have it. It is not changed once it is in use.
type Place struct {
	// Name is that of the settings, and Kind what people call it: "LDAP", "SQL".
	Name, Kind string
	Source     Source
	// Domains are those that it serves, canonical; they are ours by that. Without any it
	// serves all that are ours.
	Domains []string
	// DefaultDomain is that of log-in names without one; "": such names are nobody's.
	DefaultDomain string
	// Check says whether a password is right; nil: it is compared with Record.Password.
	Check Checker
	// Home and Maildir are templates for what records do not say themselves: %u is the
	// address, %n its local part, %d its domain, and a leading "~/" in Maildir the home.
	Home, Maildir Template
	// UnixUsers: letters belong to the user of this machine that the record names, and
	// are reached through the helper. Without it, they belong to the server's user.
	UnixUsers bool
	// MinUID is the least user number that is somebody's (LOC-010: root never is).
	MinUID uint32
}
