// Package rewrite replaces addresses by others, before it is decided where a message goes
// (canonical, masquerade), beside that (copies), and when it leaves (generic): what
// Postfix's cleanup(8) and smtp(8) do, in their order and by their tables.
//
//	sender:     sender_canonical → canonical → masquerade
//	recipient:  recipient_canonical → canonical → masquerade → (virtual aliases: flow/route)
//	header:     as for senders in From, Sender, Reply-To, …; as for recipients in To, Cc, …
//	on the way out: generic
//
// Each table is asked for user+ext@domain, user@domain, user+ext and user (where the
// domain is local), and @domain; an extension that was not asked for is put to what a user
// was found to be. Tables of canonical are asked again with what they gave, until nothing changes,
// up to ten times.
//
// A table that does not answer makes the mail wait. Nothing is asked where no table is.
package rewrite

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/list"
)

// Class is where an address stands.
type Class uint8

// The classes, which add up.
const (
	EnvelopeSender Class = 1 << iota
	EnvelopeRecipient
	HeaderSender
	HeaderRecipient
)

func (c Class) isSender() bool { return c&(EnvelopeSender|HeaderSender) != 0 }

// Table is tables, and for which classes they are asked.
type Table struct {
	Maps list.Maps
	In   Class
}

// Rules is what the admin set. A Rules is not changed once it is in use; nil replaces
// nothing.
type Rules struct {
	// Sender and Recipient are asked before Canonical.
	Sender, Recipient, Canonical Table
	Masquerade                   Masquerade
	Generic                      list.Maps
	// AlwaysBCC gets a copy of each message; the null address: nobody.
	AlwaysBCC               address.Address
	SenderBCC, RecipientBCC list.Maps
	// Own and Others: the headers of mail from our users, and from strangers, may be
	// changed.
	Own, Others bool
	// Origin is the domain of addresses without one; Parent, unless "", goes behind domains
	// without a dot.
	Origin, Parent string
	// IsLocal tells a domain whose users tables may name without it.
	IsLocal func(ctx context.Context, domain string) bool
	// Delimiters begin an extension.
	Delimiters string
}

// rounds is how often an address is looked up again with what came of it.
const rounds = 10

// Address is what an address becomes that stands in a place; itself where nothing is to
// be done. It is never not found.
func (r *Rules) Address(ctx context.Context, in Class, a address.Address) lookup.Answer[address.Address] {
	return r.Explain(ctx, in, a, func(string, address.Address, address.Address) {})
}

// Explain is Address, and tells of each setting that replaced the address.
func (r *Rules) Explain(ctx context.Context, in Class, a address.Address, tell func(setting string, from, to address.Address)) lookup.Answer[address.Address] {
	if r == nil || a.IsNull() {
		return lookup.Yes(a)
	}
	first, name := r.Recipient, "recipient_canonical_maps"
	if in.isSender() {
		first, name = r.Sender, "sender_canonical_maps"
	}
	become := func(setting string, to address.Address) {
		if to != a {
			tell(setting, a, to)
		}
		a = to
	}
	for i, t := range []Table{first, r.Canonical} {
		if t.In&in == 0 || t.Maps.Empty() {
			continue
		}
		answer := r.follow(ctx, t.Maps, a)
		if answer.State() != lookup.Found {
			return answer
		}
		become([]string{name, "canonical_maps"}[i], answer.Value())
	}
	if r.Masquerade.In&in != 0 {
		become("masquerade_domains", r.Masquerade.address(a))
	}
	return lookup.Yes(a)
}

// follow looks an address up until nothing changes.
func (r *Rules) follow(ctx context.Context, maps list.Maps, a address.Address) lookup.Answer[address.Address] {
	for range rounds {
		answer := r.find(ctx, maps, a)
		switch {
		case answer.State() == lookup.NotFound:
			return lookup.Yes(a)
		case answer.State() == lookup.TryAgain:
			return answer
		case answer.Value().Key() == a.Key():
			return answer
		}
		a = answer.Value()
	}
	return lookup.Yes(a)
}

// Leaving is what an address becomes in mail that goes to another machine.
func (r *Rules) Leaving(ctx context.Context, a address.Address) lookup.Answer[address.Address] {
	if r == nil || r.Generic.Empty() || a.IsNull() {
		return lookup.Yes(a)
	}
	if answer := r.find(ctx, r.Generic, a); answer.State() != lookup.NotFound {
		return answer
	}
	return lookup.Yes(a)
}

// find looks one address up, once.
func (r *Rules) find(ctx context.Context, maps list.Maps, a address.Address) lookup.Answer[address.Address] {
	text, ext, err := r.search(ctx, maps, a)
	switch {
	case err != nil:
		return lookup.Later[address.Address](err)
	case text == "":
		return lookup.No[address.Address](nil)
	}
	to, err := r.result(text, a, ext)
	if err != nil {
		return lookup.Later[address.Address](err)
	}
	return lookup.Yes(to)
}

// search asks for the forms of an address, the longest first. ext is the extension that
// was not asked for, with its delimiter.
func (r *Rules) search(ctx context.Context, maps list.Maps, a address.Address) (text, ext string, err error) {
	bare, extension := r.split(a)
	for _, try := range r.forms(ctx, a, bare, extension) {
		ask := maps.FindPart
		if try.whole {
			ask = maps.Find
		}
		switch answer := ask(ctx, try.key); answer.State() {
		case lookup.TryAgain:
			return "", "", answer.Err()
		case lookup.Found:
			return strings.TrimSpace(answer.Value()), try.ext, nil
		}
	}
	return "", "", nil
}

// form is one thing to look up.
type form struct {
	key   string
	ext   string // what is left out of it
	whole bool   // it is the whole address
}

func (r *Rules) forms(ctx context.Context, a, bare address.Address, ext string) []form {
	out := append(make([]form, 0, 5), form{key: a.Key(), whole: true})
	if ext != "" {
		out = append(out, form{key: bare.Key(), ext: ext})
	}
	if r.IsLocal != nil && r.IsLocal(ctx, a.Domain) {
		out = append(out, form{key: address.Address{Local: a.Local}.Key()})
		if ext != "" {
			out = append(out, form{key: address.Address{Local: bare.Local}.Key(), ext: ext})
		}
	}
	return append(out, form{key: "@" + a.Domain})
}

// split takes the extension off, with its delimiter.
func (r *Rules) split(a address.Address) (bare address.Address, ext string) {
	i := strings.IndexAny(a.Local, r.Delimiters)
	if i <= 0 || r.isSpecial(a.Local) {
		return a, ""
	}
	return address.Address{Local: a.Local[:i], Domain: a.Domain}, a.Local[i:]
}

// isSpecial tells local parts that are never split: those of the system, and of a list's
// owner where "-" is a delimiter.
func (r *Rules) isSpecial(local string) bool {
	local = strings.ToLower(local)
	switch local {
	case "mailer-daemon", "double-bounce", "postmaster":
		return true
	}
	return strings.Contains(r.Delimiters, "-") && (strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request"))
}

// result is the address that a table gave for another: "user@domain", "@domain" for the
// same user there, or "user" at our origin.
func (r *Rules) result(text string, a address.Address, ext string) (address.Address, error) {
	text = strings.TrimSuffix(strings.Fields(text)[0], ",")
	if strings.HasPrefix(text, "@") {
		domain, err := address.CanonicalDomain(text[1:])
		if err != nil {
			return a, fmt.Errorf("a table has %q for <%s>: %w", text, a, err)
		}
		return address.Address{Local: a.Local, Domain: domain}, nil
	}
	if !strings.Contains(text, "@") {
		text += "@" + r.Origin
	}
	to, err := address.Parse(text)
	if err != nil {
		return a, fmt.Errorf("a table has %q for <%s>: %w", text, a, err)
	}
	to.Local += ext
	if _, err := address.Parse(to.String()); err != nil {
		return a, fmt.Errorf("a table has %q for <%s>: with %q, %w", text, a, ext, err)
	}
	return to, nil
}
