package transport

import (
	"fmt"
	"iter"
	"strings"

	"facteur/internal/mail/address"
)

const (
	anybody = "*"
	nobody  = "<>" // the sender of notices
)

// addressKeys are what an address is looked up by, with and without its extension.
func (t *Table) addressKeys(a address.Address) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(a.Key()) {
			return
		}
		if at := strings.IndexAny(a.Local, t.delimiters); at > 0 {
			yield(address.Address{Local: a.Local[:at], Domain: a.Domain}.Key())
		}
	}
}

// domainKeys are a domain and its parents, "a.b.org", ".b.org", ".org".
func domainKeys(domain string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(domain) || strings.HasPrefix(domain, "[") {
			return
		}
		for i := range len(domain) {
			if domain[i] == '.' && !yield(domain[i:]) {
				return
			}
		}
	}
}

// recipientKeys are what a recipient is looked up by; without addresses, domains only.
func (t *Table) recipientKeys(m Mail, addresses bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		if addresses {
			for key := range t.addressKeys(m.Recipient) {
				if !yield(key) {
					return
				}
			}
		}
		for key := range domainKeys(m.Recipient.Domain) {
			if !yield(key) {
				return
			}
		}
		if !m.Here {
			yield(anybody)
		}
	}
}

// hostKeys are a host and the domains it is in, "mx.b.org", ".b.org", ".org".
func hostKeys(host string) iter.Seq[string] { return domainKeys(strings.TrimSuffix(host, ".")) }

// senderKeys are what a sender is looked up by.
func (t *Table) senderKeys(a address.Address) iter.Seq[string] {
	return func(yield func(string) bool) {
		if a.IsNull() {
			_ = yield(nobody) && yield(anybody)
			return
		}
		for key := range t.addressKeys(a) {
			if !yield(key) {
				return
			}
		}
		_ = yield("@"+a.Domain) && yield(anybody)
	}
}

// recipientKey reads the left side of an entry.
func recipientKey(s string) (string, error) {
	switch {
	case s == anybody:
		return s, nil
	case strings.HasPrefix(s, "@"):
		return "", fmt.Errorf("%q: a domain stands without \"@\" here", s)
	case strings.Contains(s, "@"):
		return addressKey(s)
	}
	return domainKey(s)
}

// senderKey reads whose mail an entry is for.
func senderKey(s string) (string, error) {
	switch {
	case s == anybody || s == nobody:
		return s, nil
	case strings.HasPrefix(s, "@"):
		key, err := domainKey(s[1:])
		return "@" + key, err
	case strings.Contains(s, "@"):
		return addressKey(s)
	}
	key, err := domainKey(s)
	return "@" + key, err
}

func addressKey(s string) (string, error) {
	a, err := address.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%q is no address: %w", s, err)
	}
	return a.Key(), nil
}

// domainKey reads a domain, ".parent" for subdomains, or an address literal.
func domainKey(s string) (string, error) {
	rest, below := strings.CutPrefix(s, ".")
	domain, err := address.CanonicalDomain(rest)
	if err != nil {
		return "", fmt.Errorf("%q is neither a domain nor an address: %w", s, err)
	}
	if below {
		domain = "." + domain
	}
	return domain, nil
}

// mxKeys read a pattern of mail hosts: "*.example.net" and ".example.net" are the hosts
// in a domain, "example.net" is those and the host of that name.
func mxKeys(s string) ([]string, error) {
	rest := strings.TrimPrefix(strings.TrimPrefix(s, "*"), ".")
	domain, err := address.CanonicalDomain(rest)
	if err != nil || strings.HasPrefix(domain, "[") {
		return nil, fmt.Errorf("%q is no pattern of mail hosts; expected one such as \"*.example.net\"", s)
	}
	if rest != s {
		return []string{"." + domain}, nil
	}
	return []string{domain, "." + domain}, nil
}
