package list

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// reference is the name of an entry, or the URL of a search (RFC 4516), as it stands
// in a directory. A URL is a search in the same directory; its host does not count.
type reference struct{ text string }

func (r reference) parse() (base string, scope int, filter string, err error) {
	const any = "(objectClass=*)"
	lower := strings.ToLower(r.text)
	if !strings.HasPrefix(lower, "ldap://") && !strings.HasPrefix(lower, "ldaps://") && !strings.HasPrefix(lower, "ldapi://") {
		return r.text, ldap.ScopeBaseObject, any, nil
	}
	_, rest, _ := strings.Cut(r.text, "://")
	_, rest, _ = strings.Cut(rest, "/")
	parts := strings.Split(rest, "?")
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return "", 0, "", fmt.Errorf("an entry refers to %.100q: %w", r.text, err)
		}
	}
	parts = append(parts, make([]string, 4)...)
	base, scope, filter = parts[0], ldap.ScopeBaseObject, any
	if parts[2] != "" {
		if scope, err = parseScope(parts[2]); err != nil {
			return "", 0, "", err
		}
	}
	if parts[3] != "" {
		filter = parts[3]
	}
	return base, scope, filter, nil
}
