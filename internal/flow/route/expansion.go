package route

import (
	"context"
	"errors"

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
	// Ours: the address is in a domain of ours, and strangers may write to it.
	Ours bool
	// List: it has an owner, who stands as the sender on the way.
	List bool
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
// ours and has no such address, or that it can't be followed to an end; the reason is a
// *Refusal. TryAgain means that a table that could know did not answer.
//
// An address among several that an alias leads to may be unknown: the others get their
// mail, and what is for it fails at delivery. Whoever answers for the alias hears of it:
// the list's owner, else the postmaster; a stranger never does.
func (r *Router) Expand(ctx context.Context, q Question) lookup.Answer[Expansion] {
	e, err := r.expand(ctx, q)
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return lookup.No[Expansion](refusal)
	case err != nil:
		return lookup.Later[Expansion](err)
	}
	return lookup.Yes(e)
}

// Explain is Expand, and gives the steps also where nothing was found.
func (r *Router) Explain(ctx context.Context, q Question) (Expansion, error) {
	q.Explain = true
	return r.expand(ctx, q)
}

func (r *Router) expand(ctx context.Context, q Question) (Expansion, error) {
	w := &walk{ctx: ctx, router: r, rules: r.rules(), question: q, home: r.home()}
	start := point{at: q.Recipient, virtual: true}
	if own, err := r.isOwn(ctx, q.Recipient.Domain); err != nil {
		return Expansion{}, err
	} else if own {
		start.at.Domain, start.own = w.home, true
		w.step("own name", "", q.Recipient.String(), start.at.String())
	}
	domain, err := w.domain(start.at.Domain)
	if err != nil {
		return Expansion{}, err
	}
	w.ours = domain.Name != ""
	if err = w.follow(&start); err == nil && len(w.out) == 0 {
		err = errEmpty
	}
	e := Expansion{Destinations: w.out, Ours: w.ours, Steps: w.steps}
	for i := range e.Destinations {
		d := &e.Destinations[i]
		d.Ours = w.ours
		e.List = e.List || d.Owned && d.Kind != Refused
	}
	return e, err
}
