package userfile

import (
	"strings"

	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

// nowhere is the domain of names that have none, while they are compared.
const nowhere = "x"

// keyOf is a name in the form that is compared: that of an address, or of a local part.
// false: no address has such a name.
func keyOf(name string) (string, bool) {
	if strings.Contains(name, "@") {
		a, err := address.Parse(name)
		return a.Key(), err == nil && a.Domain != ""
	}
	a, err := address.Parse(name + "@" + nowhere + ".invalid")
	if err != nil {
		return "", false
	}
	return localKey(a), true
}

// localKey is the key of a local part; it has no "@" outside of quotes.
func localKey(a address.Address) string {
	a.Domain = nowhere
	return strings.TrimSuffix(a.Key(), "@"+nowhere)
}

// table is accounts by their keys.
type table struct {
	records map[string]directory.Record
	// flawed are those whose line can't be used, and why: they have mail, which waits
	// until the line is right.
	flawed map[string]string
	names  []string // as they are written, in the order of the file
}
