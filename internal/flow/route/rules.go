package route

import (
	"context"

	"facteur/internal/mail/address"
	"facteur/internal/store/list"
)

// Rules are what an admin set about addresses. A Rules is not changed once it is in use.
type Rules struct {
	// Delimiters are the characters that an extension can begin with.
	Delimiters string
	// Virtual are tables of virtual(5), Aliases of aliases(5), Relocated of relocated(5).
	Virtual, Aliases, Relocated list.Maps
	// LocalRecipients and RelayRecipients tell who is there beside.
	LocalRecipients, RelayRecipients list.Maps
	// Propagate: an extension that no virtual alias has goes on to what the alias leads to.
	Propagate bool
	// LuserRelay gets what is for unknown users of local domains; "" for nobody.
	LuserRelay string
	// Roles are local parts, in lower case, that every domain has; RoleRecipient reads
	// what is for them. The null address is postmaster in the home domain.
	Roles         []string
	RoleRecipient address.Address
	// Origin is the domain of addresses without one; "" is the home domain.
	Origin string
	// ExpansionLimit is how many destinations an address may lead to, RecursionLimit how
	// long the chain to one may be. Both are positive.
	ExpansionLimit, RecursionLimit int
	// OwnerRequest: owner-LIST answers for LIST, and "-" splits neither it nor
	// LIST-request. ExpandOwner: not owner-LIST itself does, but whom it leads to.
	OwnerRequest, ExpandOwner bool
	// Commands and Files say where those may stand.
	Commands, Files Where
	// Include reads an :include: file; nil where there is nobody to read it.
	Include func(ctx context.Context, path string) (Included, error)
}

// Where are the places in which something is allowed.
type Where struct{ Alias, Include bool }

// Included is an :include: file.
type Included struct {
	Text string
	// User owns the file, and runs its commands; "" is default_user.
	User string
}

// standard are the rules of a server whose admin set none.
var standard = Rules{Delimiters: "+", Propagate: true, Roles: []string{postmaster}, ExpansionLimit: 1000, RecursionLimit: 50, OwnerRequest: true}
