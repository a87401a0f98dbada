package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gate "facteur/internal/flow/greylist"
	"facteur/internal/mail/address"
	"facteur/internal/store/greylist"
)

// GreylistQuery picks strangers: of a State, for an account, of a key. What is empty picks
// all.
type GreylistQuery struct {
	State   string `json:"state,omitempty"`
	Account string `json:"account,omitempty"`
	Key     string `json:"key,omitempty"`
}

// GreylistOrder lets strangers in the next time that they come ("release"), or makes them
// unknown ("forget"): those of Keys, or all that Query picks.
type GreylistOrder struct {
	Do    string        `json:"do"`
	Keys  []string      `json:"keys,omitempty"`
	All   bool          `json:"all,omitempty"`
	Query GreylistQuery `json:"query"`
}

// GreylistSubject is a network, a domain or an address that never waits; Remove takes that
// back.
type GreylistSubject struct {
	Subject string `json:"subject"`
	Remove  bool   `json:"remove,omitempty"`
}

// Greylisting says which table of strangers the server has.
func (s *Stores) Greylisting(kept *greylist.Store) *Stores {
	s.greylist = func(context.Context) (*greylist.Store, error) { return kept, nil }
	return s
}

// Greylist implements Office.
func (s *Stores) Greylist(ctx context.Context, q GreylistQuery, fn func(greylist.Entry) error) error {
	kept, err := s.greylist(ctx)
	if err != nil {
		return err
	}
	picked, err := q.picks(kept)
	if err != nil {
		return err
	}
	for i := range picked {
		if err := fn(picked[i]); err != nil {
			return err
		}
	}
	return nil
}

// picks are the strangers that are picked.
func (q GreylistQuery) picks(kept *greylist.Store) ([]greylist.Entry, error) {
	if q.Key != "" {
		e, ok := kept.Entry(q.Key)
		if !ok {
			return nil, fmt.Errorf("%s: nobody of that key waits or has passed, or several begin with it", q.Key)
		}
		return []greylist.Entry{e}, nil
	}
	account := ""
	if q.Account != "" {
		a, err := address.Parse(q.Account)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address: %w", q.Account, err)
		}
		account = a.Key()
	}
	return slices.DeleteFunc(kept.Entries(), func(e greylist.Entry) bool {
		return q.State != "" && string(e.State) != q.State || account != "" && !slices.ContainsFunc(e.People, func(p string) bool { return strings.EqualFold(p, account) })
	}), nil
}

// ChangeGreylist implements Office.
func (s *Stores) ChangeGreylist(ctx context.Context, o GreylistOrder) ([]greylist.Entry, error) {
	kept, err := s.greylist(ctx)
	if err != nil {
		return nil, err
	}
	do := map[string]func(string) bool{"release": kept.Release, "forget": kept.Forget}[o.Do]
	if do == nil {
		return nil, fmt.Errorf("there is no %q; expected release or forget", o.Do)
	}
	picked, problem := o.picks(kept)
	done := slices.DeleteFunc(picked, func(e greylist.Entry) bool { return !do(e.ID) })
	return done, errors.Join(problem, kept.Write(ctx))
}

// picks are those of an order; the error tells of keys that nobody has.
func (o GreylistOrder) picks(kept *greylist.Store) (picked []greylist.Entry, problem error) {
	if o.All {
		return o.Query.picks(kept)
	}
	for _, key := range o.Keys {
		one, err := GreylistQuery{Key: key}.picks(kept)
		picked, problem = append(picked, one...), errors.Join(problem, err)
	}
	if problem != nil { // all or nothing
		return nil, problem
	}
	return picked, nil
}

// GreylistAllowed implements Office.
func (s *Stores) GreylistAllowed(ctx context.Context) ([]greylist.Allowed, error) {
	kept, err := s.greylist(ctx)
	if err != nil {
		return nil, err
	}
	return kept.Allowances(), nil
}

// AllowGreylist implements Office.
func (s *Stores) AllowGreylist(ctx context.Context, a GreylistSubject) error {
	kept, err := s.greylist(ctx)
	if err != nil {
		return err
	}
	subject, err := gate.Subject(a.Subject)
	if err != nil {
		return fmt.Errorf("%q is no network, domain or address: %w", a.Subject, err)
	}
	if !a.Remove {
		return kept.Allow(ctx, subject)
	}
	if there, err := kept.Disallow(ctx, subject); err != nil || there {
		return err
	}
	return fmt.Errorf("%s was not allowed by this command; what facteur.toml allows stands in [greylist] there", subject)
}

// GreylistDays implements Office.
func (s *Stores) GreylistDays(ctx context.Context) ([]greylist.Day, error) {
	kept, err := s.greylist(ctx)
	if err != nil {
		return nil, err
	}
	return kept.Days(), nil
}

// Greylist implements Office.
func (c *client) Greylist(ctx context.Context, q GreylistQuery, fn func(greylist.Entry) error) error {
	return readStream(ctx, c, "/greylist", q, fn)
}

// ChangeGreylist implements Office.
func (c *client) ChangeGreylist(ctx context.Context, o GreylistOrder) (done []greylist.Entry, err error) {
	err = c.call(ctx, "/greylist/change", o, &done)
	return done, err
}

// GreylistAllowed implements Office.
func (c *client) GreylistAllowed(ctx context.Context) (list []greylist.Allowed, err error) {
	err = c.call(ctx, "/greylist/allowed", struct{}{}, &list)
	return list, err
}

// AllowGreylist implements Office.
func (c *client) AllowGreylist(ctx context.Context, a GreylistSubject) error {
	return c.call(ctx, "/greylist/allow", a, nil)
}

// GreylistDays implements Office.
func (c *client) GreylistDays(ctx context.Context) (days []greylist.Day, err error) {
	err = c.call(ctx, "/greylist/days", struct{}{}, &days)
	return days, err
}
