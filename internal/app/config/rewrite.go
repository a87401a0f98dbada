package config

import (
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/mail/address"
)

// Rewrite is which addresses are replaced by which, before it is decided where a message
// goes: as Postfix's cleanup does, in its order. See docs/ADDRESSES.md.
type Rewrite struct {
	// Tables that replace addresses everywhere, in envelope and header:
	// "jdoe@example.org John.Doe@example.org", "@old.example @new.example". Postfix calls
	// this canonical_maps.
	CanonicalMaps Maps `toml:"canonical_maps"`
	// The same for senders alone; asked before canonical_maps. Postfix calls this
	// sender_canonical_maps.
	SenderCanonicalMaps Maps `toml:"sender_canonical_maps"`
	// The same for recipients alone; asked before canonical_maps. Postfix calls this
	// recipient_canonical_maps.
	RecipientCanonicalMaps Maps `toml:"recipient_canonical_maps"`
	// Where canonical_maps count: some of "envelope_sender", "envelope_recipient",
	// "header_sender" and "header_recipient". Postfix calls this canonical_classes.
	CanonicalClasses []AddressClass `toml:"canonical_classes"`
	// Where sender_canonical_maps count. Postfix calls this sender_canonical_classes.
	SenderCanonicalClasses []AddressClass `toml:"sender_canonical_classes"`
	// Where recipient_canonical_maps count. Postfix calls this
	// recipient_canonical_classes.
	RecipientCanonicalClasses []AddressClass `toml:"recipient_canonical_classes"`
	// Domains whose subdomains are cut off: with "example.org", user@pc7.example.org
	// becomes user@example.org. "!pc.example.org" keeps those of pc.example.org as they
	// are; the first entry that fits counts. Postfix calls this masquerade_domains.
	MasqueradeDomains conf.Strings `toml:"masquerade_domains"`
	// Users whose addresses are kept as they are, such as "root". Postfix calls this
	// masquerade_exceptions.
	MasqueradeExceptions conf.Strings `toml:"masquerade_exceptions"`
	// Where masquerade_domains counts. Postfix calls this masquerade_classes.
	MasqueradeClasses []AddressClass `toml:"masquerade_classes"`
	// Tables that replace addresses in mail that leaves for other machines, in envelope
	// and header: for hosts whose own names mean nothing to the world. A signature of
	// what is changed so breaks. Postfix calls this smtp_generic_maps.
	GenericMaps Maps `toml:"generic_maps"`
	// An address that gets a copy of each message that comes in. Postfix calls this
	// always_bcc.
	AlwaysBCC string `toml:"always_bcc"`
	// Tables of senders: what they send is copied to the address that stands there.
	// Postfix calls this sender_bcc_maps.
	SenderBCCMaps Maps `toml:"sender_bcc_maps"`
	// Tables of recipients: what they get is copied to the address that stands there.
	// Postfix calls this recipient_bcc_maps.
	RecipientBCCMaps Maps `toml:"recipient_bcc_maps"`
	// Whether a domain without a dot gets ours behind it: user@pc7 becomes
	// user@pc7.example.org. Of mail of our own users only. Postfix calls this
	// append_dot_mydomain.
	AppendDotMydomain bool `toml:"append_dot_mydomain"`
	// Whose headers may be changed: "own" (users who logged in, trusted networks and
	// programs of this machine), "everybody" or "nobody". A signature of what is changed
	// breaks, which is why strangers' headers stay as they are. The envelope is always
	// rewritten. Postfix calls this local_header_rewrite_clients.
	HeadersOf HeadersOf `toml:"headers_of"`
}

func defaultRewrite() Rewrite {
	return Rewrite{
		CanonicalClasses:          []AddressClass{EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient},
		SenderCanonicalClasses:    []AddressClass{EnvelopeSender, HeaderSender},
		RecipientCanonicalClasses: []AddressClass{EnvelopeRecipient, HeaderRecipient},
		MasqueradeClasses:         []AddressClass{EnvelopeSender, HeaderSender, HeaderRecipient},
		HeadersOf:                 HeadersOwn,
	}
}

// AddressClass is a place where addresses stand.
type AddressClass string

// The classes, by Postfix's names.
const (
	EnvelopeSender    AddressClass = "envelope_sender"
	EnvelopeRecipient AddressClass = "envelope_recipient"
	HeaderSender      AddressClass = "header_sender"
	HeaderRecipient   AddressClass = "header_recipient"
)

// Form says what may be written.
func (AddressClass) Form() string {
	return oneOf(EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient)
}

// UnmarshalText takes a choice.
func (c *AddressClass) UnmarshalText(text []byte) error {
	return choose(c, text, EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient)
}

// HeadersOf is whose headers are rewritten.
type HeadersOf string

// The choices.
const (
	HeadersOwn       HeadersOf = "own"
	HeadersEverybody HeadersOf = "everybody"
	HeadersNobody    HeadersOf = "nobody"
)

// Form says what may be written.
func (HeadersOf) Form() string { return oneOf(HeadersOwn, HeadersEverybody, HeadersNobody) }

// UnmarshalText takes a choice.
func (h *HeadersOf) UnmarshalText(text []byte) error {
	return choose(h, text, HeadersOwn, HeadersEverybody, HeadersNobody)
}

func (k *checker) rewrite() {
	w := k.c.Rewrite
	if w.AlwaysBCC != "" {
		if _, err := address.Parse(w.AlwaysBCC); err != nil {
			k.failf("rewrite.always_bcc", `%q is no address (%v); expected one such as "archive@example.org"`, w.AlwaysBCC, err)
		}
	}
	for i, d := range w.MasqueradeDomains {
		if _, err := canonicalName(strings.TrimLeft(d, "!")); err != nil {
			k.failf(fmt.Sprintf("rewrite.masquerade_domains[%d]", i), `%v; expected a domain such as "example.org" or "!pc.example.org"`, err)
		}
	}
	for i, user := range w.MasqueradeExceptions {
		if user == "" || strings.ContainsAny(user, "@ \t") {
			k.failf(fmt.Sprintf("rewrite.masquerade_exceptions[%d]", i), `expected a user's name without a domain, such as "root", found %q`, user)
		}
	}
}

// warnings are what is allowed and may be a mistake.
func (w Rewrite) warnings() []string {
	if len(w.MasqueradeDomains) > 0 && slices.Contains(w.MasqueradeClasses, EnvelopeRecipient) {
		return []string{"rewrite.masquerade_classes: with envelope_recipient, mail can't reach single machines of the masqueraded domains any more"}
	}
	return nil
}

// OriginDomain is the domain of addresses without one, in canonical form: addresses.origin,
// else the home domain.
func (c *Config) OriginDomain() string {
	origin := c.Addresses.Origin
	if origin == "" {
		origin = c.Home()
	}
	if name, err := canonicalName(origin); err == nil {
		return name
	}
	return origin
}
