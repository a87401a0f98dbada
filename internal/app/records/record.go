// Package records is what a domain has to publish in the DNS so that mail finds us, and is
// believed to be ours: one list, which "facteur init", "facteur doctor" and "facteur domain
// records" print alike.
//
// It knows nothing of what is published: House says who we are, Of says what the world
// should find. What a record is for stands with it, in one sentence. Nothing here asks the
// network or the disk.
package records

import (
	"fmt"
	"io"
	"strings"
)

// Need is how much depends on a record.
type Need string

// The needs.
const (
	Must   Need = "must"   // without it, mail is lost or refused
	Should Need = "should" // without it, mail is trusted less
	May    Need = "may"    // good to have, where something else is there too
)

// Record is one record of the DNS.
type Record struct {
	// Name is the owner, without the dot at its end.
	Name string `json:"name"`
	// Type is "MX", "A", "AAAA", "PTR", "TXT", "TLSA", "SRV", "CAA" or "CNAME".
	Type string `json:"type"`
	// Value is what a zone file has, with dots at the end of names; of a TXT record the
	// text itself, without quotes and in one piece.
	Value string `json:"value"`
	Need  Need   `json:"need"`
	// Why is one sentence for the admin.
	Why string `json:"why"`
	// Where says that it is not published in the zone of the domain, but by whom; "".
	Where string `json:"where,omitempty"`
}

// stringMax is the most bytes in one string of a TXT record (RFC 1035 §3.3).
const stringMax = 255

// String is the record as a line of a zone file. A long text is in several strings, which
// readers put together again.
func (r Record) String() string {
	value := r.Value
	if r.Type == "TXT" {
		value = Quote(value)
	}
	return fmt.Sprintf("%s. IN %s %s", r.Name, r.Type, value)
}

// Quote is a text as a TXT record has it: in quotes, and in strings of at most 255 bytes.
func Quote(text string) string {
	var parts []string
	for len(text) > stringMax {
		parts = append(parts, quoted(text[:stringMax]))
		text = text[stringMax:]
	}
	return strings.Join(append(parts, quoted(text)), " ")
}

// quoted is one string in the form of RFC 1035 §5.1.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Write prints records, ready to paste: what they are for stands in comments, which zone
// files have, too. Those of somebody else's zone stand apart.
func Write(w io.Writer, list []Record) error {
	var b strings.Builder
	why := ""
	for _, r := range list {
		if r.Why != why {
			fmt.Fprintf(&b, "; %s%s\n", label(r), r.Why)
			why = r.Why
		}
		if r.Where != "" {
			fmt.Fprintf(&b, "; %s: ", r.Where)
		}
		b.WriteString(r.String() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func label(r Record) string {
	switch r.Need {
	case Must:
		return ""
	case Should:
		return "(recommended) "
	}
	return "(optional) "
}
