package rewrite

import (
	"context"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// The fields that have addresses, by Postfix's classes.
var (
	senderFields    = []string{"From", "Sender", "Reply-To", "Errors-To", "Return-Receipt-To", "Disposition-Notification-To", "Mail-Followup-To", "Mail-Reply-To", "Resent-From", "Resent-Sender", "Resent-Reply-To"}
	recipientFields = []string{"To", "Cc", "Bcc", "Apparently-To", "Resent-To", "Resent-Cc", "Resent-Bcc"}
)

// headerMax is how many different addresses of one header are looked up. More stay as
// they are.
const headerMax = 1000

// fieldClass is the class of a field; 0 for one without addresses.
func fieldClass(f message.Field) Class {
	for _, name := range senderFields {
		if f.Is(name) {
			return HeaderSender
		}
	}
	for _, name := range recipientFields {
		if f.Is(name) {
			return HeaderRecipient
		}
	}
	return 0
}

// Changes tells whether headers may be changed: those of our users, or strangers'.
func (r *Rules) Changes(own bool) bool { return r != nil && (own && r.Own || !own && r.Others) }

// Header is what a header becomes; own tells that our own user wrote it. The result is the
// one that was given where nothing changes.
func (r *Rules) Header(ctx context.Context, h message.Header, own bool) (message.Header, error) {
	if !r.Changes(own) {
		return h, nil
	}
	return EachAddress(h, func(in Class, a address.Address) lookup.Answer[address.Address] {
		if own {
			a = r.complete(a)
		}
		return r.Address(ctx, in, a)
	})
}

// HeaderLeaving is what a header becomes in mail that goes to another machine.
func (r *Rules) HeaderLeaving(ctx context.Context, h message.Header) (message.Header, error) {
	if r == nil || r.Generic.Empty() {
		return h, nil
	}
	return EachAddress(h, func(_ Class, a address.Address) lookup.Answer[address.Address] { return r.Leaving(ctx, a) })
}

// Complete gives an address of our own user its domain: all of it, or the end of it.
func (r *Rules) Complete(a address.Address) address.Address {
	if r == nil {
		return a
	}
	return r.complete(a)
}

func (r *Rules) complete(a address.Address) address.Address {
	switch {
	case a.IsNull():
	case a.Domain == "":
		a.Domain = r.Origin
	case r.Parent != "" && !strings.ContainsAny(a.Domain, ".["):
		a.Domain += "." + r.Parent
	}
	return a
}

// EachAddress puts what become says in the place of each address of a header. All else
// stays byte for byte; the result is h itself where nothing changes.
func EachAddress(h message.Header, become func(Class, address.Address) lookup.Answer[address.Address]) (message.Header, error) {
	e := editor{become: become}
	out, at := message.Header(nil), 0
	for f := range h.Fields() {
		in := fieldClass(f)
		if in == 0 {
			continue
		}
		value := string(f.Value)
		changed := message.RewriteAddresses(value, func(a address.Address) (address.Address, bool) { return e.replace(in, a) })
		if e.err != nil {
			return h, e.err
		}
		if changed != value {
			out = append(append(out, h[at:f.End-len(f.Value)]...), changed...)
			at = f.End
		}
	}
	if at == 0 {
		return h, nil
	}
	return slices.Concat(out, h[at:]), nil
}

// editor asks once for each address of a header.
type editor struct {
	become func(Class, address.Address) lookup.Answer[address.Address]
	known  map[place]address.Address
	err    error
}

type place struct {
	in Class
	a  address.Address
}

func (e *editor) replace(in Class, a address.Address) (address.Address, bool) {
	if to, ok := e.known[place{in, a}]; ok {
		return to, to != a
	}
	if e.err != nil || len(e.known) >= headerMax {
		return a, false
	}
	answer := e.become(in, a)
	if answer.State() != lookup.Found {
		e.err = answer.Err()
		return a, false
	}
	if e.known == nil {
		e.known = make(map[place]address.Address)
	}
	e.known[place{in, a}] = answer.Value()
	return answer.Value(), answer.Value() != a
}
