package directory

import (
	"context"
	"errors"
	"fmt"
)

// listMax is how many accounts of one source are listed; more can be asked for one by
// one, and are told to be left out.
const listMax = 100_000

// Elsewhere calls each for every account that is kept outside of our tables, in the
// order of the places. Accounts that an earlier place or our own tables have too are
// left out, as nobody ever asks for them. The error tells of places that could not be
// listed, after all others were.
func (d *Directory) Elsewhere(ctx context.Context, own []Account, each func(Account) error) error {
	seen := make(map[string]bool, len(own))
	for _, a := range own {
		seen[keyOf(a.Address)] = true
	}
	var errs []error
	for _, p := range d.attached() {
		if err := d.listPlace(ctx, p, seen, each); err != nil && !errors.Is(err, ErrNoList) {
			errs = append(errs, fmt.Errorf("directory %q: %w", p.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Directory) listPlace(ctx context.Context, p *place, seen map[string]bool, each func(Account) error) error {
	n := 0
	return p.Source.List(ctx, func(rec Record) error {
		if rec.Address.IsNull() || !p.serves(rec.Address.Domain) || seen[rec.Address.Key()] {
			return nil
		}
		r, err := d.rowOf(p, rec.Address, rec)
		if err != nil {
			return nil // whoever writes to it is told what is wrong
		}
		if n++; n > listMax {
			return fmt.Errorf("it has more than %d accounts; the rest is not listed", listMax)
		}
		seen[r.key] = true
		return each(r.Account)
	})
}
