package policy

import (
	"fmt"
	"strings"

	"facteur/internal/mail/address"
)

// CanonicalMatch is whom a policy or a list is for, in the form that is compared: "." for
// everybody, "@.example.org", "@example.org", or the key of an address. "@." is amavis'
// name for everybody.
func CanonicalMatch(s string) (string, error) {
	switch {
	case s == "." || s == "@.":
		return ".", nil
	case strings.HasPrefix(s, "@"):
		return canonicalPlace(s)
	}
	a, err := address.Parse(s)
	if err != nil || a.Domain == "" {
		return "", fmt.Errorf(`%q: expected ".", "@domain", "@.domain" or an address`, s)
	}
	return a.Key(), nil
}

// canonicalPlace reads "@domain" or "@.domain".
func canonicalPlace(s string) (string, error) {
	name, below := strings.CutPrefix(s[1:], ".")
	domain, err := address.CanonicalDomain(name)
	if err != nil {
		return "", fmt.Errorf("%q: %w", s, err)
	}
	if below {
		return "@." + domain, nil
	}
	return "@" + domain, nil
}

// breadth orders matches: the fewer a match is for, the smaller.
func breadth(match string) int {
	switch {
	case match == "." || match == "":
		return 1 << 20
	case strings.HasPrefix(match, "@."):
		return 1<<10 - strings.Count(match, ".") // the deeper, the fewer
	case match[0] == '@':
		return 1
	}
	return 0
}

// matches are all that an address is meant by, those for fewer first.
func matches(a address.Address) []string {
	list := make([]string, 0, 8)
	if a.Local != "" || a.Domain != "" {
		list = append(list, a.Key())
	}
	if a.Domain != "" {
		domain := strings.ToLower(a.Domain)
		list = append(list, "@"+domain, "@."+domain)
		for levels := 0; levels < levelsMax; levels++ {
			_, parent, found := strings.Cut(domain, ".")
			if !found {
				break
			}
			domain = parent
			list = append(list, "@."+domain)
		}
	}
	return append(list, ".")
}

// levelsMax bounds how many parents of a domain are looked at: a name has 127 labels at
// most, and nobody has entries for that many.
const levelsMax = 32
