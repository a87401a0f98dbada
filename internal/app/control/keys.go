package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/flow/sign"
	"facteur/internal/mail/dkim"
	"facteur/internal/store/dkimkey"
)

// SigningKey is a DKIM key as an admin sees it: all but what is secret.
type SigningKey struct {
	Domain    string            `json:"domain"`
	Selector  string            `json:"selector"`
	Algorithm dkimkey.Algorithm `json:"algorithm"`
	Bits      int               `json:"bits,omitempty"`
	State     dkimkey.State     `json:"state"`
	Since     time.Time         `json:"since"`
	// Name is where the record stands, Record its text; empty if the key can't be read.
	Name   string `json:"name"`
	Record string `json:"record"`
	// Problem is why the private key can't be read.
	Problem string `json:"problem,omitempty"`
}

func signingKey(k dkimkey.Key) SigningKey {
	s := SigningKey{Domain: k.Domain, Selector: k.Selector, Algorithm: k.Algorithm, Bits: k.Bits(), State: k.State, Since: k.Since, Name: k.Name(), Record: k.Record()}
	if k.Err != nil {
		s.Problem = k.Err.Error()
	}
	return s
}

// Key is the key without what is secret: enough to compare it with the DNS.
func (s SigningKey) Key() dkimkey.Key {
	k := dkimkey.Key{Domain: s.Domain, Selector: s.Selector, Algorithm: s.Algorithm, State: s.State, Since: s.Since}
	if s.Problem != "" {
		k.Err = errors.New(s.Problem)
	}
	if r, err := dkim.ParseRecord(s.Record); err == nil {
		k.Public = r.Public
	}
	return k
}

// KeyAction is what is done to keys.
type KeyAction string

// The actions.
const (
	// EnsureKeys makes the first keys of a domain, NextKeys those that follow.
	EnsureKeys KeyAction = "ensure"
	NextKeys   KeyAction = "next"
	// StepKeys moves keys on, by what was seen in the DNS.
	StepKeys KeyAction = "step"
	// ActivateKey lets a key sign whose record was not seen; RetireKey ends one.
	ActivateKey KeyAction = "activate"
	RetireKey   KeyAction = "retire"
	// ImportKey takes over a key that was made elsewhere.
	ImportKey KeyAction = "import"
)

// KeyOrder is something to be done to keys of a domain.
type KeyOrder struct {
	Domain string    `json:"domain"`
	Action KeyAction `json:"action"`
	// Selector is of ActivateKey, RetireKey and ImportKey.
	Selector string `json:"selector,omitempty"`
	// Seen is what the DNS shows by selectors, for StepKeys.
	Seen map[string]dkimkey.Sight `json:"seen,omitempty"`
	// PEM is the private key, for ImportKey, and State what becomes of it.
	PEM   string        `json:"pem,omitempty"`
	State dkimkey.State `json:"state,omitempty"`
}

// KeyAnswer is what there is after an order, and which keys it changed.
type KeyAnswer struct {
	Keys    []SigningKey `json:"keys"`
	Changed []SigningKey `json:"changed,omitempty"`
}

// Signing says where the keys are, and how they are made.
func (s *Stores) Signing(keys *dkimkey.Store, rules func() *sign.Rules) *Stores {
	s.keys, s.signing = keys, rules
	return s
}

// Keys implements Office.
func (s *Stores) Keys(_ context.Context, n DomainName) (list []SigningKey, err error) {
	domains := []string{n.Name}
	if n.Name == "" {
		if domains, err = s.keys.Domains(); err != nil {
			return nil, err
		}
	}
	for _, domain := range domains {
		ring, err := s.keys.Ring(domain)
		if err != nil {
			return nil, err
		}
		list = append(list, signingKeys(ring)...)
	}
	return list, nil
}

func signingKeys(keys []dkimkey.Key) []SigningKey {
	list := make([]SigningKey, len(keys))
	for i, k := range keys {
		list[i] = signingKey(k)
	}
	return list
}

// ChangeKeys implements Office.
func (s *Stores) ChangeKeys(_ context.Context, o KeyOrder) (answer KeyAnswer, err error) {
	changed, err := s.changeKeys(o)
	if err != nil {
		return answer, err
	}
	for _, c := range changed {
		s.events.Emit(sign.Turned{Key: c.Key, From: c.From})
		answer.Changed = append(answer.Changed, signingKey(c.Key))
	}
	ring, err := s.keys.Ring(o.Domain)
	answer.Keys = signingKeys(ring)
	return answer, err
}

func (s *Stores) changeKeys(o KeyOrder) (changed []dkimkey.Change, err error) {
	rules, now := s.signing(), time.Now()
	switch o.Action {
	case EnsureKeys:
		made, err := s.keys.Ensure(o.Domain, rules.Plan, now)
		return newKeys(made), err
	case NextKeys:
		made, err := s.keys.Next(o.Domain, rules.Plan, now)
		return newKeys(made), err
	case StepKeys:
		return s.keys.Step(o.Domain, o.Seen, rules.Times, now)
	case ActivateKey:
		return s.keys.Activate(o.Domain, o.Selector, now)
	case RetireKey:
		return s.keys.Retire(o.Domain, o.Selector, now)
	case ImportKey:
		private, _, err := dkimkey.ParsePrivate([]byte(o.PEM))
		if err != nil {
			return nil, err
		}
		k, err := s.keys.Import(o.Domain, o.Selector, private, o.State, now)
		return newKeys([]dkimkey.Key{k}), err
	}
	return nil, fmt.Errorf("nothing is known that is called %q and done to keys", o.Action)
}

func newKeys(made []dkimkey.Key) []dkimkey.Change {
	list := make([]dkimkey.Change, len(made))
	for i, k := range made {
		list[i].Key = k
	}
	return list
}

// Keys implements Office.
func (c *client) Keys(ctx context.Context, n DomainName) (list []SigningKey, err error) {
	err = c.call(ctx, "/keys", n, &list)
	return list, err
}

// ChangeKeys implements Office.
func (c *client) ChangeKeys(ctx context.Context, o KeyOrder) (a KeyAnswer, err error) {
	err = c.call(ctx, "/keys/change", o, &a)
	return a, err
}
