package route

import (
	"fmt"
	"strings"
)

// prefixes are how the routes of each kind begin in the queue; what follows says where
// to, and is what mail is grouped and shown by.
var prefixes = map[Kind]string{
	Mailbox:  "mailbox:",  // and the account's name
	Remote:   "smtp:",     // and the recipient's domain
	Program:  "program:",  // and the user, ":", the command
	File:     "file:",     // and the user, ":", the path
	Discard:  "discard:",  // and nothing
	Expanded: "expanded:", // and nothing
	Refused:  "error:",    // and why, "5.1.1 no such user"
}

// plain stands before an account whose ~/.forward has no say. No account begins so: a
// local part with a backslash stands in quotes.
const plain = `\`

// Prefix is how the routes of the kind begin in the queue.
func (k Kind) Prefix() string { return prefixes[k] }

// String is the form that the queue keeps.
func (d Destination) String() string {
	switch d.Kind {
	case Mailbox:
		if d.Plain {
			return d.Kind.Prefix() + plain + d.Account.Address
		}
		return d.Kind.Prefix() + d.Account.Address
	case Remote:
		return d.Kind.Prefix() + d.Address.Domain
	case Program, File:
		return d.Kind.Prefix() + d.User + ":" + d.Text
	case Refused:
		return d.Kind.Prefix() + d.Text
	}
	return d.Kind.Prefix()
}

// Hop is a destination as the queue kept it.
type Hop struct {
	Kind Kind
	// Name is the account, the domain, the command or the path.
	Name string
	// User is who runs the command or owns the file; "" is default_user.
	User string
	// Plain: an account whose ~/.forward has no say.
	Plain bool
}

// ParseHop reads what Destination.String wrote.
func ParseHop(s string) (Hop, error) {
	for kind, prefix := range prefixes {
		name, ok := strings.CutPrefix(s, prefix)
		switch {
		case !ok:
			continue
		case kind == Program || kind == File:
			user, text, _ := strings.Cut(name, ":")
			return Hop{Kind: kind, Name: text, User: user}, nil
		case kind == Mailbox:
			name, is := strings.CutPrefix(name, plain)
			return Hop{Kind: kind, Name: name, Plain: is}, nil
		}
		return Hop{Kind: kind, Name: name}, nil
	}
	return Hop{}, fmt.Errorf("%q is no route", s)
}
