package sasl

import (
	"strings"

	"github.com/xdg-go/stringprep"
)

// Prep brings a name or a password into the form in which it is compared:
// SASLprep (RFC 4013), so that the same letters typed on two keyboards are the same
// password. What SASLprep refuses, characters younger than 2002 among them, stays as
// it is: most clients send it so, and a password with an emoji is no worse than
// one without.
func Prep(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s // the usual case, and the same
	}
	prepared, err := stringprep.SASLprep.Prepare(s)
	if err != nil || prepared == "" {
		return s
	}
	return prepared
}
