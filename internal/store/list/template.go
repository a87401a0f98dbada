package list

import (
	"errors"
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// placeholder is where the key goes, in the filter and in the base of a search.
const placeholder = "{key}"

// sample stands for a key while a template is looked at. It is a name, a value and
// part of a DN without any escape.
const sample = "sAmPlEkEy"

// filterTemplate is a search filter (RFC 4515) with places for the key, and the only
// way to make a filter of one (MAP-001). Whatever the key is, the filter is the same
// but for the values in these places.
type filterTemplate struct {
	parts []string // the text around the places
	inDN  []bool   // for each place: the value is a distinguished name
}

// parseFilter refuses a template that is no filter, or in which a key could be
// anything but (a part of) an assertion value.
func parseFilter(s string) (t filterTemplate, err error) {
	t.parts = strings.Split(s, placeholder)
	for _, before := range t.parts[:len(t.parts)-1] {
		t.inDN = append(t.inDN, valueIsDN(before))
	}
	tree, err := ldap.CompileFilter(strings.Join(t.parts, sample))
	if err != nil {
		return t, fmt.Errorf("the filter can't be read: %w; expected one such as \"(mail={key})\" (RFC 4515)", err)
	}
	values := 0
	eachLeaf(tree, func(text string, isValue bool) {
		if isValue {
			values += strings.Count(text, sample)
		}
	})
	if values != len(t.inDN) {
		return t, errors.New("{key} stands in the name of an attribute or of a rule; expected it as a value, such as \"(mail={key})\"")
	}
	return t, nil
}

// valueIsDN tells whether a key after this text is part of a distinguished name, as
// in "(member=uid={key},ou=people)": there, a comma in it would begin another part.
func valueIsDN(before string) bool {
	_, value, found := strings.Cut(before[strings.LastIndexByte(before, '(')+1:], "=")
	return found && strings.Contains(value, "=")
}

// eachLeaf walks over the texts of a compiled filter and tells which of them are
// assertion values, and no names.
func eachLeaf(p *ber.Packet, visit func(text string, isValue bool)) {
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		for _, child := range p.Children {
			eachLeaf(child, visit)
		}
	case ldap.FilterPresent:
		visit(leaf(p), false)
	case ldap.FilterExtensibleMatch:
		for _, child := range p.Children {
			visit(leaf(child), child.Tag == ldap.MatchingRuleAssertionMatchValue)
		}
	default: // a name, and a value or the pieces of one
		visit(leaf(p.Children[0]), false)
		value := p.Children[1]
		if len(value.Children) == 0 {
			visit(leaf(value), true)
		}
		for _, piece := range value.Children {
			visit(leaf(piece), true)
		}
	}
}

func leaf(p *ber.Packet) string { return p.Data.String() }

func (t filterTemplate) hasKey() bool { return len(t.inDN) > 0 }

// fill makes the filter for a key.
func (t filterTemplate) fill(key string) string {
	plain, name := ldap.EscapeFilter(key), ""
	var b strings.Builder
	for i, part := range t.parts {
		b.WriteString(part)
		switch {
		case i == len(t.inDN):
		case t.inDN[i]:
			if name == "" {
				name = ldap.EscapeFilter(ldap.EscapeDN(key))
			}
			b.WriteString(name)
		default:
			b.WriteString(plain)
		}
	}
	return b.String()
}

// nameTemplate is a distinguished name (RFC 4514) with places for the key.
type nameTemplate struct{ parts []string }

// parseName refuses a template in which a key could be anything but a value.
func parseName(s string) (t nameTemplate, err error) {
	t.parts = strings.Split(s, placeholder)
	name, err := ldap.ParseDN(t.fill(sample))
	if err != nil {
		return t, fmt.Errorf("the base can't be read: %w; expected a name such as \"ou=people,dc=example,dc=org\" (RFC 4514)", err)
	}
	values := 0
	for _, rdn := range name.RDNs {
		for _, a := range rdn.Attributes {
			// Only a whole value: what has to be escaped depends on what is beside it.
			if a.Value == sample {
				values++
			}
		}
	}
	if values != len(t.parts)-1 {
		return t, errors.New("{key} in the base has to be a whole value, such as \"uid={key},ou=people,dc=example,dc=org\"")
	}
	return t, nil
}

func (t nameTemplate) hasKey() bool { return len(t.parts) > 1 }

// fill makes the name for a key.
func (t nameTemplate) fill(key string) string { return strings.Join(t.parts, ldap.EscapeDN(key)) }
