package route

import (
	"strings"

	"facteur/internal/mail/address"
)

// splitsMax is how many extensions are tried of one local part.
const splitsMax = 4

// stems are the local parts that a local part may be an extension of, the longest
// first, each with its extension, which begins with the delimiter. Postfix tries the
// shortest alone; with several delimiters, that takes mary-jane+x for an extension of
// mary.
func (r *Rules) stems(local string) (out []stem) {
	if r.Delimiters == "" || r.isWhole(local) {
		return nil
	}
	for at := len(local) - 1; at > 0 && len(out) < splitsMax; at-- {
		if strings.IndexByte(r.Delimiters, local[at]) >= 0 {
			out = append(out, stem{local[:at], local[at:]})
		}
	}
	return out
}

// stem is a local part without its extension.
type stem struct{ local, extension string }

// isWhole tells local parts that are never split (split_addr(3) of Postfix).
func (r *Rules) isWhole(local string) bool {
	lower := strings.ToLower(local)
	if lower == "mailer-daemon" || lower == "double-bounce" {
		return true
	}
	return r.OwnerRequest && strings.Contains(r.Delimiters, "-") && (strings.HasPrefix(lower, ownerPrefix) || strings.HasSuffix(lower, "-request"))
}

const ownerPrefix = "owner-"

// Stems are the addresses that an address may be an extension of, the longest first:
// alice@ for alice+news@.
func (r *Router) Stems(a address.Address) []address.Address {
	var out []address.Address
	for _, s := range r.rules().stems(a.Local) {
		out = append(out, address.Address{Local: s.local, Domain: a.Domain})
	}
	return out
}
