package records

import (
	"fmt"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/base/vfs"
	"facteur/internal/store/dkimkey"
)

// Keys are the records of the DKIM keys of a domain, as the data directory has them now:
// those that are to be in the DNS, and those that are to be emptied there.
func Keys(c *config.Config, domain string) []Record {
	ring, err := dkimkey.New(vfs.OS{}, c.KeyDir()).Ring(domain)
	if err != nil {
		return nil // who looks after keys tells of it
	}
	var list []Record
	for _, k := range ring {
		if text := k.Record(); text != "" {
			list = append(list, Key(c, k, text))
		}
	}
	return append(list, Aliases(c, domain)...)
}

// Key is the record of one key, whose text is given: where everybody looks for it, or in
// the zone that holds the keys of all domains.
func Key(c *config.Config, k dkimkey.Key, text string) Record {
	r := Record{Name: k.Name(), Type: "TXT", Value: text, Need: keyNeed(k.State), Why: keyWhy(k)}
	if c.DKIM.CNAMEZone != "" {
		r.Name, r.Where = inZone(c, r.Name, k.Domain), "in your own zone"
	}
	return r
}

// Aliases are the CNAMEs that a domain publishes once where another zone holds its keys:
// both selectors of each algorithm, so that a change of keys changes nothing in it.
func Aliases(c *config.Config, domain string) (list []Record) {
	if c.DKIM.CNAMEZone == "" {
		return nil
	}
	plan := c.KeyPlan()
	for _, a := range plan.Algorithms {
		for _, s := range plan.Selectors {
			name := dkimkey.Key{Domain: domain, Selector: plan.Named(a, s)}.Name()
			list = append(list, Record{Name: name, Type: "CNAME", Value: inZone(c, name, domain) + ".", Need: Must,
				Why: "Where the keys of the domain are; published once."})
		}
	}
	return list
}

// inZone is the name of a key in the zone that holds all: "facteur1.example.org.dkim.example.net".
func inZone(c *config.Config, name, domain string) string {
	selector, _, _ := strings.Cut(name, "._domainkey.")
	return selector + "." + domain + "." + strings.Trim(strings.ToLower(c.DKIM.CNAMEZone), ".")
}

func keyNeed(s dkimkey.State) Need {
	if s == dkimkey.Retired {
		return May
	}
	return Must
}

func keyWhy(k dkimkey.Key) string {
	switch k.State {
	case dkimkey.Retiring:
		return "An older key, which signs no more: leave it for letters on their way."
	case dkimkey.Retired:
		return "An older key, which is withdrawn."
	}
	return fmt.Sprintf("Letters of the domain are signed with this key (DKIM, RFC 6376): %s.", k.State)
}
