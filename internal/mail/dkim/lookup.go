package dkim

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// TXT asks the DNS for the texts of a name.
type TXT func(ctx context.Context, name string) lookup.Answer[[]string]

// What can be wrong with who says that he signed.
var (
	errDomain   = errors.New("the signing domain (d=) is no domain")
	errSuffix   = errors.New("the signing domain (d=) is nobody's own: others register names below it")
	errSelector = errors.New("the selector (s=) can not stand in the DNS")
)

// Domain is the canonical form of a domain that may sign: a name that somebody can
// have, in A-labels. "com" and "co.uk" are none (RFC 6376 §6.1.1).
func Domain(d string) (string, error) {
	name, err := address.ParseDomain(d)
	if err != nil || strings.HasPrefix(name, "[") {
		return "", errDomain
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	if name == suffix && (icann || !strings.Contains(name, ".")) {
		return "", errSuffix
	}
	return name, nil
}

// Name is where the key of a selector and a domain stands in the DNS. Both are
// checked: what no name can be is never asked for.
func Name(selector, domain string) (string, error) {
	d, err := Domain(domain)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(selector, "[") {
		if name, err := address.ParseDomain(selector + "._domainkey." + d); err == nil {
			return name, nil
		}
	}
	return "", errSelector
}

// Lookup finds the record of a key. The answer is NotFound, with the reason, where
// there is none that can be used, more than one, or no name to ask for.
func Lookup(ctx context.Context, txt TXT, selector, domain string) lookup.Answer[*Record] {
	name, err := Name(selector, domain)
	if err != nil {
		return lookup.No[*Record](err)
	}
	answer := txt(ctx, name)
	switch answer.State() {
	case lookup.TryAgain:
		return lookup.Later[*Record](answer.Err())
	case lookup.NotFound:
		return lookup.No[*Record](fmt.Errorf("there is no key at %s", name))
	}
	return choose(name, answer.Value())
}

// choose takes the one record that is a key. Texts that are something else (a
// wildcard's) do not count; two keys under a name say nothing (RFC 6376 §3.6.2.2).
func choose(name string, texts []string) lookup.Answer[*Record] {
	var keys []string
	for _, text := range texts {
		if looksLikeKey(text) {
			keys = append(keys, text)
		}
	}
	switch len(keys) {
	case 0:
		return lookup.No[*Record](fmt.Errorf("what stands at %s is no key", name))
	case 1:
	default:
		return lookup.No[*Record](fmt.Errorf("there are %d keys at %s", len(keys), name))
	}
	r, err := ParseRecord(keys[0])
	if err != nil {
		return lookup.No[*Record](err)
	}
	return lookup.Yes(r)
}

func looksLikeKey(text string) bool {
	start := strings.ToLower(solid(text[:min(len(text), 64)]))
	if strings.HasPrefix(start, "v=") {
		return strings.HasPrefix(start, "v=dkim")
	}
	return strings.Contains(text, "p=")
}
