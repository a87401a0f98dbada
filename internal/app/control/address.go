package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// AddressQuestion asks where an address leads, for mail from a sender.
type AddressQuestion struct {
	Address string `json:"address"`
	Sender  string `json:"sender,omitempty"`
}

// AddressAnswer is the road of an address.
type AddressAnswer struct {
	Address string `json:"address"`
	// Ours: strangers may write to it.
	Ours  bool         `json:"ours"`
	Steps []route.Step `json:"steps"`
	// Destinations are where it leads; none where Reply says what a client is told.
	Destinations []AddressEnd `json:"destinations"`
	Reply        string       `json:"reply,omitempty"`
}

// AddressEnd is one place where mail for an address goes.
type AddressEnd struct {
	// Name is it for people, Route as the queue has it.
	Name  string `json:"name"`
	Route string `json:"route"`
	// Address is the recipient then, Sender the reverse-path where it is not the
	// message's.
	Address string `json:"address"`
	Sender  string `json:"sender,omitempty"`
	// Remote and Mailbox mail takes a transport; Here is that it is a mailbox.
	Transport bool `json:"transport"`
	Here      bool `json:"here"`
}

// Address implements Office.
func (s *Stores) Address(ctx context.Context, q AddressQuestion) (AddressAnswer, error) {
	a, err := address.Parse(q.Address)
	if err != nil && route.IsBare(q.Address) {
		a, err = address.Address{Local: q.Address}, nil // a user of this machine
	}
	if err != nil {
		return AddressAnswer{}, fmt.Errorf("%q is not an address: %w", q.Address, err)
	}
	question, sender := route.Question{Sender: address.Address{Local: "sender", Domain: "example.com"}}, (*address.Address)(nil)
	switch {
	case q.Sender == "<>":
		question.Sender, sender = address.Address{}, &address.Address{}
	case q.Sender != "":
		if question.Sender, err = accountAddress(q.Sender); err != nil {
			return AddressAnswer{}, err
		}
		sender = &question.Sender
	}
	m, err := s.meaning(ctx, a, sender)
	if err != nil {
		return AddressAnswer{}, err
	}
	out := AddressAnswer{Address: q.Address, Steps: m.steps, Ours: m.ours}
	if m.reply != nil {
		out.Reply = m.reply.Error()
		return out, nil
	}
	question.Recipient = m.address
	e, err := s.router.Explain(ctx, question)
	out.Ours, out.Steps = (e.Ours || m.ours) && !m.foreign, append(out.Steps, e.Steps...)
	if err != nil {
		out.Reply = replyTo(a, err)
		return out, nil
	}
	for _, d := range e.Destinations {
		out.Destinations = append(out.Destinations, endOf(d))
	}
	return out, nil
}

func endOf(d route.Destination) AddressEnd {
	e := AddressEnd{Name: d.Name(), Route: d.String(), Address: d.Address.String(), Here: d.Kind == route.Mailbox}
	e.Transport = e.Here || d.Kind == route.Remote
	if d.Sender != nil {
		e.Sender = d.Sender.String()
	}
	return e
}

// replyTo is what a client is told who names an address that leads nowhere.
func replyTo(a address.Address, err error) string {
	var r *route.Refusal
	if errors.As(err, &r) {
		return r.Reply(a.String()).Error()
	}
	return "451 4.3.0 Temporary lookup failure (" + err.Error() + ")"
}

// NewAlias is an alias to be.
type NewAlias struct {
	Address string    `json:"address"`
	Targets []string  `json:"targets"`
	Owner   string    `json:"owner,omitempty"`
	Until   time.Time `json:"until,omitzero"`
}

// AliasName is an alias by its address.
type AliasName struct {
	Address string `json:"address"`
}

// Aliases implements Office.
func (s *Stores) Aliases(ctx context.Context) ([]directory.Alias, error) {
	return s.directory.Aliases(ctx)
}

// AddAlias implements Office.
func (s *Stores) AddAlias(ctx context.Context, n NewAlias) error {
	return about(n.Address, s.directory.AddAlias(ctx, directory.Alias{Address: n.Address, Targets: n.Targets, Owner: n.Owner, Until: n.Until}))
}

// RemoveAlias implements Office.
func (s *Stores) RemoveAlias(ctx context.Context, n AliasName) error {
	return about(n.Address, s.directory.RemoveAlias(ctx, n.Address))
}

// Address implements Office.
func (c *client) Address(ctx context.Context, q AddressQuestion) (a AddressAnswer, err error) {
	err = c.call(ctx, "/address", q, &a)
	return a, err
}

// Aliases implements Office.
func (c *client) Aliases(ctx context.Context) (list []directory.Alias, err error) {
	err = c.call(ctx, "/aliases", struct{}{}, &list)
	return list, err
}

// AddAlias implements Office.
func (c *client) AddAlias(ctx context.Context, n NewAlias) error {
	return c.call(ctx, "/aliases/add", n, nil)
}

// RemoveAlias implements Office.
func (c *client) RemoveAlias(ctx context.Context, n AliasName) error {
	return c.call(ctx, "/aliases/remove", n, nil)
}
