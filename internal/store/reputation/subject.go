package reputation

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"facteur/internal/base/limit"
	"facteur/internal/mail/address"
)

// Kind is what a Subject is. Each kind has a table of its own in memory, so that a flood
// of one pushes nobody out of another.
type Kind uint8

// The kinds.
const (
	// OfClient is an IPv4 address or an IPv6 /64.
	OfClient Kind = iota
	// OfNetwork is a /24, or a /48 of IPv6.
	OfNetwork
	// OfDomain is a domain that proved that a letter is from it.
	OfDomain
	// OfSender is an address in such a domain.
	OfSender
	kinds
)

// String is the kind in the database and for people.
func (k Kind) String() string { return [...]string{"client", "network", "domain", "sender"}[k] }

// Subject is somebody who has a record. The zero Subject is nobody.
type Subject struct {
	kind Kind
	key  string
}

// Client is the subject that stands for the machine at an address.
func Client(a netip.Addr) Subject { return subjectOf(OfClient, limit.Client(a)) }

// Network is the network that a machine is in.
func Network(a netip.Addr) Subject {
	nets := limit.Networks(a)
	if nets == nil {
		return Subject{}
	}
	return subjectOf(OfNetwork, nets[len(nets)-1].Prefix)
}

func subjectOf(k Kind, p netip.Prefix) Subject {
	if !p.IsValid() {
		return Subject{}
	}
	return Subject{k, p.String()}
}

// Proven is a domain that proved that a letter is from it; in lower case and A-labels.
func Proven(domain string) Subject {
	if domain == "" || len(domain) > domainLength {
		return Subject{}
	}
	return Subject{OfDomain, domain}
}

// senderLength bounds an address, in bytes (RFC 5321 §4.5.3.1).
const senderLength = 64 + 1 + 255

// Sender is a sender whose domain is proven. What stands behind a "+" is his own business.
func Sender(a address.Address) Subject {
	key := a.Key()
	if a.IsNull() || a.Domain == "" || len(key) > senderLength {
		return Subject{}
	}
	if at := strings.LastIndexByte(key, '@'); at > 0 {
		if plus := strings.IndexByte(key[:at], '+'); plus > 0 {
			key = key[:plus] + key[at:]
		}
	}
	return Subject{OfSender, key}
}

// errSubject is about a text that names nobody.
var errSubject = errors.New(`expected an address of a host ("192.0.2.7", "2001:db8::1"), its network ("192.0.2.0/24", "2001:db8::/48"), a domain ("@example.net") or a sender ("user@example.net")`)

// ParseSubject reads a subject as String writes it, and as people do.
func ParseSubject(text string) (Subject, error) {
	text = strings.TrimSpace(text)
	if p, err := netip.ParsePrefix(text); err == nil {
		return prefixSubject(p)
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return Client(a), nil
	}
	local, domain, found := strings.Cut(text, "@")
	if !found {
		domain, local = text, ""
	}
	if local == "" {
		d, err := address.CanonicalDomain(domain)
		if err != nil || !strings.Contains(d, ".") {
			return Subject{}, errSubject
		}
		return Proven(d), nil
	}
	a, err := address.Parse(text)
	if err != nil || Sender(a) == (Subject{}) {
		return Subject{}, errSubject
	}
	return Sender(a), nil
}

// prefixSubject takes the widths that subjects have, and no others: nothing here is about
// whole providers.
func prefixSubject(p netip.Prefix) (Subject, error) {
	a := p.Addr().Unmap()
	for _, s := range []Subject{Client(a), Network(a)} {
		if w, err := netip.ParsePrefix(s.key); err == nil && w.Bits() == p.Bits() {
			return s, nil
		}
	}
	if p.Bits() == a.BitLen() {
		return Client(a), nil
	}
	return Subject{}, fmt.Errorf("%s: %w", p, errSubject)
}

// Kind is what the subject is.
func (s Subject) Kind() Kind { return s.kind }

// String is the subject for people: "192.0.2.7", "2001:db8::/64", "192.0.2.0/24",
// "@example.net", "user@example.net".
func (s Subject) String() string {
	switch s.kind {
	case OfClient:
		return strings.TrimSuffix(s.key, "/32")
	case OfDomain:
		return "@" + s.key
	}
	return s.key
}

// Prefix is the network of a client or network; zero for others.
func (s Subject) Prefix() netip.Prefix {
	if s.kind > OfNetwork {
		return netip.Prefix{}
	}
	p, _ := netip.ParsePrefix(s.key)
	return p
}

// MarshalText implements encoding.TextMarshaler.
func (s Subject) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Subject) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSubject(string(text))
	return err
}
