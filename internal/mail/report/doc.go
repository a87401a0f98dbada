// Package report is the language of the reports that mail servers send each other: what
// was seen of a domain's mail (DMARC aggregate reports, RFC 9990 and the older RFC 7489),
// how connections came to their TLS (RFC 8460), and what people complained about (ARF,
// RFC 5965, and Microsoft's JMRP).
//
// Read takes any file or letter that may hold some, in whatever it is packed: gzip, zip,
// plain XML or JSON, a letter with them attached under any type and name.
//
// # Invariants
//
// Strangers write these files. Limits bound what is unpacked, how much larger than its
// packing it may be, how many entries and how deep they nest, and how many records come
// out; time is linear in what is unpacked. No entity of an XML document is expanded, and
// one that declares any is refused. Text that comes out is printable, of one line, and
// short; domains are canonical where they are domains at all.
//
// What is written can be read again and is the same then. The package has no clock, no
// disk and no socket.
package report

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/address"
)

// What a text of a report keeps, in bytes.
const (
	textMax   = 512
	domainMax = 255
)

// text makes what a stranger wrote one printable line, trimmed and short.
func text(s string, most int) string {
	s = strings.TrimSpace(s)
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	if len(clean) > most {
		clean = strings.ToValidUTF8(clean[:most], "")
	}
	return strings.TrimSpace(clean)
}

// word is a text that is one of a few words.
func word(s string) string { return strings.ToLower(text(s, 64)) }

// domain is a domain in its canonical form, or the text where it is none.
func domain(s string) string {
	s = text(s, domainMax)
	if name, err := address.CanonicalDomain(strings.TrimSuffix(s, ".")); err == nil {
		return name
	}
	return strings.ToLower(s)
}
