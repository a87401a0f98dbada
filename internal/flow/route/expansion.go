package route

import (
	"context"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// Question is an address, and all that the answer may depend on.
type Question struct {
	Recipient address.Address
	// Sender is the envelope's; the null path has no list's owner put in its place.
	Sender address.Address
	// Explain: the steps are wanted.
	Explain bool
}

// Expansion is where an address leads: at least one destination, none twice.
type Expansion struct {
	Destinations []Destination
	// Steps are how it was found; nil unless wanted.
	Steps []Step
}

// Step is one part of the road, for people.
type Step struct {
	// Rule is what was applied: "virtual_alias_maps", "catch_all", "account", ….
	Rule string `json:"rule"`
	// Source is the table that knew, "" for the server's own.
	Source string `json:"source,omitempty"`
	// From is what was looked up, To what it gave; "" for nothing.
	From string `json:"from"`
	To   string `json:"to,omitempty"`
}

// Expand follows an address to all its destinations. Not found means that the domain is
// ours and has no such address, TryAgain that a table that could know did not answer.
func (r *Router) Expand(ctx context.Context, q Question) lookup.Answer[Expansion] {
	a := r.Resolve(ctx, q.Recipient)
	switch a.State() {
	case lookup.TryAgain:
		return lookup.Later[Expansion](a.Err())
	case lookup.NotFound:
		return lookup.No[Expansion](a.Err())
	}
	return lookup.Yes(Expansion{Destinations: []Destination{a.Value()}})
}
