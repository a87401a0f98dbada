// Package address reads and writes the mailbox of the SMTP envelope
// (RFC 5321 §4.1.2, RFC 6531 §3.3) in one canonical form.
//
// There is one canonicalisation, and everybody uses it: look-up, relay check,
// quota, limits. Domain is lower-case A-labels without a trailing dot, or an
// address literal in brackets; Local is the local part with quoting removed,
// its case kept (Key folds it). A quoted "@" in Local is data, never routing.
//
// The grammar is that of the envelope and not of the header: no comments, no
// folding white space, no "a".b mixtures, no control characters, not even
// quoted. Sizes are those of RFC 5321 §4.5.3.1: 64 octets of local part as
// written, 255 of domain, 63 of a label, 254 of the whole mailbox.
//
// For every Address a that Parse returned, Parse(a.String()) returns a again.
package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Address is a mailbox. The zero value is the null reverse-path "<>".
type Address struct {
	// Local is the local part, dequoted, at most 64 octets, valid UTF-8.
	Local string
	// Domain is the canonical domain: lower-case ASCII A-labels, or a literal
	// such as "[192.0.2.1]" or "[IPv6:2001:db8::1]"; empty only for the null
	// path, for the bare "postmaster" of RFC 5321 §4.5.1, and, until it is known
	// which domain is meant, for what was read as Bare.
	Domain string
}

// IsNull tells the null reverse-path. The mailbox ""@example.org is not it.
func (a Address) IsNull() bool { return a == Address{} }

// IsASCII tells whether the mailbox can go to a peer without SMTPUTF8
// (RFC 6531 §3.2). The domain always can, being A-labels.
func (a Address) IsASCII() bool { return isASCII(a.Local) }

// String is the mailbox in the envelope's grammar without angle brackets,
// quoted exactly when it has to be; "" for the null path.
func (a Address) String() string {
	if a.Domain == "" {
		return a.Local
	}
	if isDotString(a.Local) {
		return a.Local + "@" + a.Domain
	}
	return quote(a.Local) + "@" + a.Domain
}

// Key is the form for comparing and looking up: String of the folded mailbox.
// Two spellings of one mailbox, in case or in Unicode normal form, have one
// Key; a homograph in another script has another.
func (a Address) Key() string {
	return Address{Local: fold(a.Local), Domain: a.Domain}.String()
}

// fold lowers case and composes (NFC). A letter outside ASCII never folds onto
// one inside (U+0130 would onto "i"): looking alike is not being the same.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	lower := func(r rune) rune {
		if l := unicode.ToLower(r); l >= utf8.RuneSelf || r < utf8.RuneSelf {
			return l
		}
		return r
	}
	return norm.NFC.String(strings.Map(lower, norm.NFC.String(s)))
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isDotString tells Dot-string = Atom *("." Atom), widened by RFC 6531 §3.3.
func isDotString(s string) bool {
	atom := false
	for i := 0; i < len(s); i++ {
		switch {
		case isAtext(s[i]):
			atom = true
		case s[i] == '.' && atom:
			atom = false
		default:
			return false
		}
	}
	return atom
}

// isAtext tells a byte of atext (RFC 5322 §3.2.3) or of a UTF-8 sequence.
func isAtext(c byte) bool {
	switch {
	case c >= utf8.RuneSelf, 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c > ' ' && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}
