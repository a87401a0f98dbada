package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/policy"
)

// PolicyQuery asks for all policies of the filter, or what holds for an account.
type PolicyQuery struct {
	// Address is the account's, or one that leads to it; "": all policies.
	Address string `json:"address,omitempty"`
}

// PolicyAnswer is the policies, or what holds for an account.
type PolicyAnswer struct {
	Policies []FilterPolicy `json:"policies,omitempty"`
	// Account is whom Values are for.
	Account string        `json:"account,omitempty"`
	Values  []PolicyValue `json:"values,omitempty"`
}

// FilterPolicy is a policy of the filter, as text.
type FilterPolicy struct {
	Match    string        `json:"match"`
	Priority int           `json:"priority"`
	Source   policy.Source `json:"source"`
	// Values are what it says, by key.
	Values map[string]string `json:"values"`
}

// PolicyValue is a value that holds, and where it comes from.
type PolicyValue struct {
	Key    string        `json:"key"`
	Value  string        `json:"value"`
	Origin policy.Origin `json:"origin"`
}

// PolicyChange has a policy of the database say something else.
type PolicyChange struct {
	Match    string            `json:"match"`
	Priority *int              `json:"priority,omitempty"`
	Set      map[string]string `json:"set,omitempty"`
	// Unset are keys that it no longer says; Remove: all of them.
	Unset  []string `json:"unset,omitempty"`
	Remove bool     `json:"remove,omitempty"`
}

// Policies says what accounts want of the filter.
func (s *Stores) Policies(p *policy.Store) *Stores {
	s.policies = p
	return s
}

// FilterPolicies implements Office.
func (s *Stores) FilterPolicies(ctx context.Context, q PolicyQuery) (out PolicyAnswer, err error) {
	if q.Address == "" {
		for _, p := range s.policies.Policies() {
			out.Policies = append(out.Policies, FilterPolicy{p.Match, p.Priority, p.Source, p.Said()})
		}
		return out, nil
	}
	a, err := s.accountOf(ctx, q.Address)
	if err != nil {
		return out, err
	}
	answer := s.policies.Effective(ctx, a)
	if answer.State() != lookup.Found {
		return out, fmt.Errorf("what holds for %s can't be told now: %w", q.Address, answer.Err())
	}
	e := answer.Value()
	out.Account = a.String()
	for _, key := range policy.Keys() {
		out.Values = append(out.Values, PolicyValue{key, e.Text(key), e.Origins[key]})
	}
	return out, nil
}

// accountOf is the account that an address leads to, by its canonical name; the address
// itself where it leads elsewhere, or nowhere yet.
func (s *Stores) accountOf(ctx context.Context, text string) (address.Address, error) {
	a, err := accountAddress(text)
	if err != nil {
		return a, err
	}
	m, err := s.meaning(ctx, a, nil)
	if err != nil {
		return a, err
	}
	switch d := s.router.Resolve(ctx, m.address); d.State() {
	case lookup.TryAgain:
		return a, d.Err()
	case lookup.Found:
		if d.Value().Kind == route.Mailbox {
			return address.Parse(d.Value().Account.Address)
		}
	}
	return a, nil
}

// matchOf is a match of policies; one account is meant by any address of it.
func (s *Stores) matchOf(ctx context.Context, text string) (string, error) {
	if text == "" || text[0] == '@' || text == "." {
		return policy.CanonicalMatch(text)
	}
	a, err := s.accountOf(ctx, text)
	return a.Key(), err
}

// ChangeFilterPolicy implements Office.
func (s *Stores) ChangeFilterPolicy(ctx context.Context, c PolicyChange) error {
	match, err := s.matchOf(ctx, c.Match)
	if err != nil {
		return err
	}
	if c.Remove {
		return s.policies.Remove(ctx, match)
	}
	_, err = s.policies.Change(ctx, match, func(p *policy.Policy) error {
		if c.Priority != nil {
			p.Priority = *c.Priority
		}
		for key, value := range c.Set {
			if err := p.Set(key, value); err != nil {
				return err
			}
		}
		for _, key := range c.Unset {
			if err := p.Unset(key); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// ListQuery asks for the senders on a list.
type ListQuery struct {
	// Match is whose list; "" for all.
	Match string `json:"match,omitempty"`
	// Kind, unless empty, is the only one: "allow", "block" or "score".
	Kind policy.Kind `json:"kind,omitempty"`
}

// ListEntry is a sender on a list.
type ListEntry struct {
	Match    string        `json:"match"`
	Kind     policy.Kind   `json:"kind"`
	Sender   string        `json:"sender"`
	Score    float64       `json:"score,omitempty"`
	Priority int           `json:"priority"`
	Until    time.Time     `json:"until,omitzero"`
	Note     string        `json:"note,omitempty"`
	Added    time.Time     `json:"added,omitzero"`
	Source   policy.Source `json:"source"`
}

// ListChange adds senders to a list, or removes them.
type ListChange struct {
	Match   string      `json:"match"`
	Kind    policy.Kind `json:"kind"`
	Senders []string    `json:"senders"`
	Remove  bool        `json:"remove,omitempty"`
	// What follows is for what is added.
	Score    float64   `json:"score,omitempty"`
	Priority int       `json:"priority,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Note     string    `json:"note,omitempty"`
}

func (c ListChange) what() string {
	did := string(c.Kind)
	if c.Remove {
		did = "no longer " + did
	}
	return c.Match + ": " + did + " " + strings.Join(c.Senders, " ")
}

// FilterList implements Office.
func (s *Stores) FilterList(ctx context.Context, q ListQuery) (list []ListEntry, err error) {
	if q.Match != "" {
		if q.Match, err = s.matchOf(ctx, q.Match); err != nil {
			return nil, err
		}
	}
	entries, err := s.policies.Entries(q.Match)
	for _, e := range entries {
		if q.Kind == "" || e.Kind == q.Kind {
			list = append(list, ListEntry{e.Match, e.Kind, e.What(), e.Score, e.Priority, e.Until, e.Note, e.Added, e.Source})
		}
	}
	return list, err
}

// ChangeFilterList implements Office. What was done before an error stays done.
func (s *Stores) ChangeFilterList(ctx context.Context, c ListChange) error {
	match, err := s.matchOf(ctx, c.Match)
	if err != nil {
		return err
	}
	for _, word := range c.Senders {
		e := policy.Entry{Match: match, Kind: c.Kind, Score: c.Score, Priority: c.Priority, Until: c.Until, Note: c.Note}
		if e.Sender, e.Network, err = policy.ParseSender(word); err != nil {
			return err
		}
		if c.Remove {
			err = s.policies.Take(ctx, e)
		} else {
			_, err = s.policies.Add(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FilterPolicies implements Office.
func (c *client) FilterPolicies(ctx context.Context, q PolicyQuery) (a PolicyAnswer, err error) {
	err = c.call(ctx, "/filter/policies", q, &a)
	return a, err
}

// ChangeFilterPolicy implements Office.
func (c *client) ChangeFilterPolicy(ctx context.Context, p PolicyChange) error {
	return c.call(ctx, "/filter/policies/change", p, nil)
}

// FilterList implements Office.
func (c *client) FilterList(ctx context.Context, q ListQuery) (list []ListEntry, err error) {
	err = c.call(ctx, "/filter/list", q, &list)
	return list, err
}

// ChangeFilterList implements Office.
func (c *client) ChangeFilterList(ctx context.Context, l ListChange) error {
	return c.call(ctx, "/filter/list/change", l, nil)
}
