package rewrite

import (
	"context"
	"fmt"
	"slices"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/list"
)

// Copies tells that somebody may get copies.
func (r *Rules) Copies() bool {
	return r != nil && (!r.AlwaysBCC.IsNull() || !r.SenderBCC.Empty() || !r.RecipientBCC.Empty())
}

// CopiesFor are who gets a copy of a message beside its recipients: addresses after
// rewriting, none twice. What comes from nobody has no sender to be copied for.
func (r *Rules) CopiesFor(ctx context.Context, sender address.Address, recipients []address.Address) ([]address.Address, error) {
	var out []address.Address
	add := func(a address.Address) error {
		answer := r.Address(ctx, EnvelopeRecipient, a)
		if answer.State() != lookup.Found {
			return answer.Err()
		}
		if a = answer.Value(); !a.IsNull() && !slices.Contains(out, a) {
			out = append(out, a)
		}
		return nil
	}
	if err := add(r.AlwaysBCC); err != nil {
		return nil, err
	}
	if !sender.IsNull() {
		if err := r.copyOf(ctx, r.SenderBCC, sender, add); err != nil {
			return nil, err
		}
	}
	for _, a := range recipients {
		if err := r.copyOf(ctx, r.RecipientBCC, a, add); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Rules) copyOf(ctx context.Context, maps list.Maps, of address.Address, add func(address.Address) error) error {
	if maps.Empty() {
		return nil
	}
	text, _, err := r.search(ctx, maps, of)
	if err != nil || text == "" {
		return err
	}
	to, err := r.result(text, of, "")
	if err != nil {
		return fmt.Errorf("a copy for <%s>: %w", of, err)
	}
	return add(to)
}
