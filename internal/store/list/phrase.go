package list

import (
	"fmt"
	"strings"
)

// phrase is a text with places for parts of a key, as Postfix writes them in its
// tables of servers (ldap_table(5), mysql_table(5)):
//
//	%s  the key                            %%  "%"
//	%u  what stands before its last "@"; all of it where there is none
//	%d  what stands behind that "@"
//	%1 … %9  the labels of that domain, from the right
//
// It is filled in one pass: what comes of a key is never looked at again (MAP-005).
type phrase []piece

// piece is text, or the place of a part.
type piece struct {
	text string
	slot byte // 0 for text; else the letter behind "%"
}

// slots are the letters that may stand behind "%".
const slots = "sudSUD123456789"

func parsePhrase(s string) (p phrase, err error) {
	var text strings.Builder
	for {
		before, after, found := strings.Cut(s, "%")
		text.WriteString(before)
		if !found {
			break
		}
		switch {
		case after == "":
			return nil, fmt.Errorf("a %q at the end; expected %%%% for a percent sign", "%")
		case after[0] == '%':
			text.WriteByte('%')
		case strings.IndexByte(slots, after[0]) < 0:
			return nil, fmt.Errorf("unknown %q; expected one of %%s, %%u, %%d, %%1 to %%9, or %%%%", "%"+after[:1])
		default:
			p = p.text(text.String())
			text.Reset()
			p = append(p, piece{slot: after[0]})
		}
		s = after[1:]
	}
	return p.text(text.String()), nil
}

// text appends text.
func (p phrase) text(s string) phrase {
	if s == "" {
		return p
	}
	return append(p, piece{text: s})
}

// wants are the places of a phrase.
func (p phrase) wants() (out []byte) {
	for _, x := range p {
		if x.slot != 0 {
			out = append(out, x.slot)
		}
	}
	return out
}

// fill makes the text. Keys that do not have all parts were refused before.
func (p phrase) fill(k keyed) string {
	var b strings.Builder
	for _, x := range p {
		b.WriteString(x.text)
		if x.slot != 0 {
			part, _ := k.part(x.slot)
			b.WriteString(part)
		}
	}
	return b.String()
}

// keyed is a key, or a value, in its parts.
type keyed struct {
	all, user, domain string
	qualified         bool
	labels            []string
}

func cutParts(s string) keyed {
	k := keyed{all: s, user: s}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		k.user, k.domain, k.qualified = s[:i], s[i+1:], true
		k.labels = strings.FieldsFunc(k.domain, func(r rune) bool { return r == '.' })
	}
	return k
}

// part is what stands in a place, and whether there is any.
func (k keyed) part(slot byte) (string, bool) {
	switch slot {
	case 's', 'S':
		return k.all, true
	case 'u', 'U':
		return k.user, k.user != "" || !k.qualified
	case 'd', 'D':
		return k.domain, k.domain != ""
	}
	if n := len(k.labels) - int(slot-'0'); n >= 0 {
		return k.labels[n], true
	}
	return "", false
}

// has tells whether there is something for each of these places.
func (k keyed) has(slots []byte) bool {
	for _, slot := range slots {
		if _, ok := k.part(slot); !ok {
			return false
		}
	}
	return true
}
