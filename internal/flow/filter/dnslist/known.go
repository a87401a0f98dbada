package dnslist

import (
	"strings"

	"facteur/internal/flow/filter"
)

// Known are the remarks that a list can make: by its Kind, which is none for one that may be
// of any.
func (l *List) Known() (out []filter.Known) {
	for _, k := range [...]Kind{Client, Allow, Sender, Link} {
		family := FamilyClients
		if k == Sender || k == Link {
			family = FamilyDomains
		}
		if l.Kind == k || l.Kind == "" || l.Kind == Domain && family == FamilyDomains {
			out = append(out, filter.Known{Check: family, Name: l.remark(k)})
		}
	}
	return out
}

// IsNamed tells names that remarks of lists have, of whichever list.
func IsNamed(name string) bool {
	for _, k := range (&List{}).Known() {
		if strings.HasPrefix(name, k.Name) {
			return true
		}
	}
	return false
}
