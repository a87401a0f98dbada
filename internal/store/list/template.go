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
	template
	inDN []bool // for each place: the value is a distinguished name
}

// template is text around places for parts of a key.
type template struct {
	parts []string
	slots []byte // for each place: which part, see phrase
}

// cutKeys cuts a text of ours, where the key is written {key}.
func cutKeys(s string) (t template) {
	t.parts = strings.Split(s, placeholder)
	for range t.parts[1:] {
		t.slots = append(t.slots, 's')
	}
	return t
}

// cutPlaces cuts a text of Postfix's, where the key is written %s, %u, %d, %1 …
func cutPlaces(s string) (t template, err error) {
	p, err := parsePhrase(s)
	t.parts = []string{""}
	for _, x := range p {
		t.parts[len(t.parts)-1] += x.text
		if x.slot != 0 {
			t.parts, t.slots = append(t.parts, ""), append(t.slots, x.slot)
		}
	}
	return t, err
}

func (t template) hasKey() bool { return len(t.slots) > 0 }

// sampled is the text with samples in the places.
func (t template) sampled() string { return strings.Join(t.parts, sample) }

// parseFilter refuses a template that is no filter, or in which a key could be
// anything but (a part of) an assertion value.
func parseFilter(text template) (t filterTemplate, err error) {
	t.template = text
	for _, before := range t.parts[:len(t.parts)-1] {
		t.inDN = append(t.inDN, valueIsDN(before))
	}
	tree, err := ldap.CompileFilter(t.sampled())
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

// fill makes the filter for a key.
func (t filterTemplate) fill(k keyed) string {
	var b strings.Builder
	for i, part := range t.parts {
		b.WriteString(part)
		if i == len(t.slots) {
			break
		}
		value, _ := k.part(t.slots[i])
		if t.inDN[i] {
			value = ldap.EscapeDN(value)
		}
		b.WriteString(ldap.EscapeFilter(value))
	}
	return b.String()
}

// nameTemplate is a distinguished name (RFC 4514) with places for the key.
type nameTemplate struct{ template }

// parseName refuses a template in which a key could be anything but a value.
func parseName(text template) (t nameTemplate, err error) {
	t.template = text
	name, err := ldap.ParseDN(t.sampled())
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

// fill makes the name for a key.
func (t nameTemplate) fill(k keyed) string {
	var b strings.Builder
	for i, part := range t.parts {
		b.WriteString(part)
		if i < len(t.slots) {
			value, _ := k.part(t.slots[i])
			b.WriteString(ldap.EscapeDN(value))
		}
	}
	return b.String()
}
