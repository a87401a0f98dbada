package sign

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/store/dkimkey"
	"facteur/internal/store/queue"
)

// Signer signs. It is safe for concurrent use. A nil Signer signs nothing.
type Signer struct {
	rules  func() *Rules
	keys   *dkimkey.Store
	events event.Sink
	warned warnings
}

// New makes a Signer; rules is asked for each letter.
func New(rules func() *Rules, keys *dkimkey.Store, events event.Sink) *Signer {
	return &Signer{rules: rules, keys: keys, events: events}
}

// Letter is a letter that may be signed, from the moment its header is known to that when
// its body was read.
type Letter struct {
	signer *Signer
	rules  *Rules
	body   *dkim.Body // nil: nothing was claimed of it
	digest dkim.Digest
}

// Open begins with a letter, and claims of b what its signature needs. It comes before the
// first byte of the body. Where nobody signs it, nothing is claimed.
func (s *Signer) Open(h message.Header, b *dkim.Body) Letter {
	l := Letter{signer: s}
	if s == nil {
		return l
	}
	l.rules = s.rules()
	if c := s.choose(l.rules, h); len(c.keys) > 0 {
		l.body, l.digest = b, l.rules.Form.Wants(b)
	}
	return l
}

// Signature is what came of a letter.
type Signature struct {
	// Fields are the DKIM-Signature fields, each with its CRLF, to stand above the letter;
	// nil without any.
	Fields []byte
	// By are the names of the keys that signed, in the DNS.
	By []string
	// Author is who was found to speak.
	Author address.Address
	// Why completes "The message leaves unsigned, as …"; "" if it is signed, or if there
	// is nothing to say.
	Why string
	// Ours: it should be signed, as it is of a domain that has keys. Trouble: the admin
	// has something to mend. Barred: who sent it has no right to it.
	Ours, Trouble, Barred bool
}

// Barred tells why who sent a letter may not have our word for its author, or "". The
// reason completes "The message leaves unsigned, as …". A nil Barred bars nobody.
type Barred func(author address.Address) (why string, err error)

// ask asks about the author of a letter for which there are keys.
func (b Barred) ask(c *choice) error {
	if b == nil || len(c.keys) == 0 {
		return nil
	}
	why, err := b(c.Author)
	if err != nil || why != "" {
		c.keys, c.Why, c.Barred = nil, why, why != ""
	}
	return err
}

// Sign signs a letter, whose header may have changed since Open. The body was written to
// that which Open had; if it has changed since, or if nobody was to sign it then, it is
// read again, from again. An error is that of barred, and there is no signature then.
func (l Letter) Sign(h message.Header, again func() io.Reader, barred Barred, now time.Time) (Signature, error) {
	if l.signer == nil {
		return Signature{}, nil
	}
	c := l.signer.choose(l.rules, h)
	if err := barred.ask(&c); err != nil || len(c.keys) == 0 {
		return c.Signature, err
	}
	if l.body == nil {
		l.body = dkim.NewBody()
		l.digest = l.rules.Form.Wants(l.body)
		if _, err := io.Copy(l.body, again()); err != nil {
			c.Trouble, c.Why = true, "its body can't be read: "+err.Error()
			return c.Signature, nil
		}
	}
	return c.sign(h, l.body.Sum(l.digest), l.rules.Form, now), nil
}

// Changed is the letter with another body.
func (l Letter) Changed() Letter {
	l.body = nil
	return l
}

// Required tells that the admin wants no letter of ours to leave without a signature.
func (l Letter) Required() bool { return l.rules != nil && l.rules.Require }

// choice is which keys sign a letter, or why none does.
type choice struct {
	Signature
	keys []dkim.Key
}

// choose finds the keys for a letter by its author.
func (s *Signer) choose(rules *Rules, h message.Header) (c choice) {
	if !rules.Enabled {
		return c
	}
	if c.Author, c.Why = Author(h); c.Why != "" {
		return c
	}
	var broken error
	if c.keys, broken = rules.own(c.Author); broken != nil {
		c.Ours, c.Trouble, c.Why = true, true, "a key for its author can't be used: "+broken.Error()
	}
	if len(c.keys) > 0 {
		c.Ours = true
		return c
	}
	if broken == nil {
		s.kept(&c)
	}
	return c
}

// kept finds keys in the store, of the author's domain or of the nearest above it.
func (s *Signer) kept(c *choice) {
	for domain := c.Author.Domain; ; {
		name, err := dkim.Domain(domain)
		if err != nil {
			return // a suffix that others register below, or no name at all
		}
		ring, err := s.keys.Ring(name)
		if err != nil {
			c.Ours, c.Trouble, c.Why = true, true, err.Error()
			return
		}
		if len(ring) > 0 {
			c.take(name, ring)
		}
		if len(c.keys) > 0 || c.Trouble {
			return
		}
		_, above, found := strings.Cut(domain, ".")
		if !found {
			return
		}
		domain = above
	}
}

// take takes the keys of a domain that sign, or says why none does.
func (c *choice) take(domain string, ring dkimkey.Ring) {
	for _, k := range ring.Signing() {
		c.keys = append(c.keys, dkim.Key{Domain: domain, Selector: k.Selector, Private: k.Private})
	}
	c.keys = c.keys[:min(len(c.keys), keysMax)]
	broken := slices.IndexFunc(ring, func(k dkimkey.Key) bool { return k.State == dkimkey.Active && k.Err != nil })
	switch waiting := ring.Waiting(); {
	case len(c.keys) > 0:
		c.Ours, c.Why = true, ""
	case broken >= 0:
		c.Ours, c.Trouble, c.Why = true, true, fmt.Sprintf("the key %s can't be read: %v", ring[broken].Name(), ring[broken].Err)
	case len(waiting) > 0 && c.Why == "":
		c.Ours = true
		c.Why = fmt.Sprintf("the key %s was not seen in the DNS yet (\"facteur dkim show %s\" prints the record to publish)", waiting[0].Name(), domain)
	}
}

// sign makes the fields, one for each key. One that fails does not keep the others.
func (c *choice) sign(h message.Header, bodyHash []byte, form dkim.Form, now time.Time) Signature {
	out := c.Signature
	for _, k := range c.keys {
		field, err := dkim.Sign(h, bodyHash, k, form, now)
		name, _ := k.Name()
		if err != nil {
			out.Trouble, out.Why = true, fmt.Sprintf("signing with %s failed: %v", name, err)
			continue
		}
		out.Fields, out.By = append(out.Fields, field...), append(out.By, name)
	}
	if len(out.By) > 0 && len(out.By) == len(c.keys) {
		out.Why = ""
	}
	return out
}

// Tell tells what came of a letter, in the log and in its journey.
func (s *Signer) Tell(id queue.ID, g Signature, now time.Time) {
	switch {
	case s == nil:
	case len(g.By) > 0 && g.Why == "":
		s.events.Emit(Signed{ID: id, By: g.By})
	case g.Why != "" && g.Ours:
		s.events.Emit(Unsigned{ID: id, Author: g.Author, By: g.By, Why: g.Why, Trouble: g.Trouble, First: s.warned.first(g.Author.Domain+" "+g.Why, now)})
	}
}
