package sign

import (
	"crypto"
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/store/dkimkey"
)

// Rules are what the admin set. They are not changed once in use.
type Rules struct {
	// Enabled: mail of ours is signed.
	Enabled bool
	// Require: a letter of a user that should be signed and can't be is not taken.
	Require bool
	// Form is what signatures cover.
	Form dkim.Form
	// Own are keys that the admin keeps himself, in his order.
	Own []Own
	// Sealing is how mail of strangers is sealed that goes on; nil: it is not.
	Sealing *Sealing
	// Plan is how keys of domains are made, Times how long they live.
	Plan  dkimkey.Plan
	Times dkimkey.Times
}

// Own is a key of the admin's, and whose letters it signs.
type Own struct {
	// For are patterns of authors; see Pattern.
	For []Pattern
	// Domain is d=; "%" is that of the author (opendkim's KeyTable).
	Domain, Selector string
	// Private is nil, and Err says why, where the file can't be read.
	Private crypto.Signer
	Err     error
}

// Pattern is an author, or many: "alice@example.org", "example.org", ".example.org" (all
// below it), "*@example.org", "news-*@example.org", "*". As opendkim's SigningTable has
// them, with "refile:" and without.
type Pattern string

// matches tells whether an author is meant.
func (p Pattern) matches(a address.Address) bool {
	pattern := strings.ToLower(string(p))
	whole, domain := a.Key(), strings.ToLower(a.Domain)
	switch {
	case pattern == "*":
		return true
	case strings.Contains(pattern, "@"):
		return glob(pattern, whole)
	case strings.HasPrefix(pattern, "."):
		return strings.HasSuffix(domain, pattern)
	}
	return glob(pattern, domain)
}

// glob compares a text with a pattern, in which "*" is any text. It goes back only to the
// last star, so that its time is the product of the lengths at most.
func glob(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// own are the keys of the admin's for an author.
func (r *Rules) own(a address.Address) (keys []dkim.Key, trouble error) {
	for _, o := range r.Own {
		if !o.isFor(a) {
			continue
		}
		if o.Err != nil {
			trouble = o.Err
			continue
		}
		domain := o.Domain
		if domain == "%" {
			domain = a.Domain
		}
		keys = append(keys, dkim.Key{Domain: domain, Selector: o.Selector, Private: o.Private})
	}
	return keys[:min(len(keys), keysMax)], trouble
}

// keysMax is how many signatures a letter gets. Verifiers look at so many, and more.
const keysMax = 4

func (o *Own) isFor(a address.Address) bool {
	for _, p := range o.For {
		if p.matches(a) {
			return true
		}
	}
	return false
}
