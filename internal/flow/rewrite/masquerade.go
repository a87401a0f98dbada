package rewrite

import (
	"slices"
	"strings"

	"facteur/internal/mail/address"
)

// Masquerade cuts subdomains off, so that the machines of a domain do not show.
type Masquerade struct {
	// Domains are in canonical form, perhaps with "!" in front; the first that an address
	// is in, or below, counts.
	Domains []string
	// Exceptions are local parts, in lower case, that stay.
	Exceptions []string
	In         Class
}

func (m *Masquerade) address(a address.Address) address.Address {
	if a.Domain == "" || slices.Contains(m.Exceptions, strings.ToLower(a.Local)) {
		return a
	}
	for _, text := range m.Domains {
		domain := strings.TrimLeft(text, "!")
		keep := (len(text)-len(domain))%2 == 1
		switch {
		case a.Domain == domain:
			return a
		case strings.HasSuffix(a.Domain, "."+domain):
			if !keep {
				a.Domain = domain
			}
			return a
		}
	}
	return a
}
