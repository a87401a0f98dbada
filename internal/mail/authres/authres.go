// Package authres reads and writes Authentication-Results (RFC 8601) and the
// payload that ARC-Authentication-Results shares with it (RFC 8617 §4.1.1).
//
// # On the wire
//
//	Authentication-Results: mail.example.org;
//		dmarc=pass (p=none dis=none) header.from=example.com
//
// One field is the word of one authority, its authserv-id, about one message.
// Anybody can write such a field: it is worth what the way is worth that it came
// by. A house therefore removes all that came from outside under its own name
// (WithoutID) before it writes its own on top, and believes no other names but
// those that its admin trusts (Of).
//
// # Reading
//
// Parse puts up with comments at every place where the grammar has them, nested
// ones too, with quoting, folding, versions, and with the fields that large
// providers write against the grammar (no authserv-id, properties without a
// type). It gives what can be read, and an error that tells what could not.
//
// # Invariants
//
// What Field wrote, Parse reads back the same. Nothing that a peer sent gets out
// of its place in a field: no line end, no comment, no quote, no further method.
// All functions take time linear in the length, and memory within the bounds
// below whatever stands in the field.
package authres

import (
	"strings"
	"unicode"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// FieldName is the name of the field; it stands in no other place.
const FieldName = "Authentication-Results"

// Bounds of what is read of one field, and of one message.
const (
	maxMethods    = 64
	maxProperties = 32
	maxFields     = 64
	maxBytes      = 64 << 10
)

// Results is one field: what one authority says about a message.
type Results struct {
	// ID is the authserv-id, unquoted; "" where the field has none.
	ID string `json:"id"`
	// Version is the version after the id; 0 where none stands, and means 1.
	Version int `json:"version,omitempty"`
	// Methods are the results in order. None at all: "none", nothing was checked.
	Methods []Method `json:"methods"`
}

// Method is the result of one check.
type Method struct {
	// Name and Result are keywords in lower case: "dkim", "pass".
	Name   string `json:"name"`
	Result string `json:"result"`
	// Reason is the reason= of the method, "" for none.
	Reason string `json:"reason,omitempty"`
	// Comment is what stood in parentheses after the result, unescaped.
	Comment string `json:"comment,omitempty"`
	// Properties say what was checked.
	Properties []Property `json:"properties,omitempty"`
}

// Property is a ptype.property=value: header.from=example.com. Type is "" where
// the writer had none ("action=none").
type Property struct {
	Type  string `json:"type,omitempty"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Find gives the methods of a name, in order.
func (r Results) Find(name string) []Method {
	var found []Method
	for _, m := range r.Methods {
		if m.Name == name {
			found = append(found, m)
		}
	}
	return found
}

// Property gives the first value of a property; "" if absent.
func (m Method) Property(ptype, name string) string {
	for _, p := range m.Properties {
		if p.Type == ptype && p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Of gives what the authorities of these names say in a header, top first. It
// says nothing about who wrote the fields: only what stands above the first
// field of a foreign host, or came after WithoutID, is worth anything.
func Of(h message.Header, ids ...string) []Results {
	var all []Results
	for f := range h.Fields() {
		if !f.Is(FieldName) || len(all) == maxFields {
			continue
		}
		if r, _ := Parse(f.Text()); r.ID != "" && isOneOf(r.ID, ids) {
			all = append(all, r)
		}
	}
	return all
}

// WithoutID gives the header without the fields that claim to be from one of
// these names, and without those whose name can not be read: somebody after us
// might take them for ours (RFC 8601 §5). It is h itself when there is none.
func WithoutID(h message.Header, ids ...string) message.Header {
	var kept message.Header
	from := 0
	for f := range h.Fields() {
		if Claims(f, ids...) {
			kept = append(kept, h[from:f.Start]...)
			from = f.End
		}
	}
	if from == 0 {
		return h
	}
	return append(kept, h[from:]...)
}

// Claims tells whether a field is an Authentication-Results that WithoutID would
// remove.
func Claims(f message.Field, ids ...string) bool {
	if !isNamed(f.Name) {
		return false
	}
	id := readID(f.Text())
	return id == "" || isOneOf(id, ids)
}

// isNamed takes control characters and spaces around the name as some readers
// do, which then see our name.
func isNamed(name []byte) bool {
	return strings.EqualFold(strings.TrimFunc(string(name), isBlank), FieldName)
}

func isOneOf(id string, ids []string) bool {
	id = canonical(id)
	for _, other := range ids {
		if id == canonical(other) {
			return true
		}
	}
	return false
}

// isBlank tells what some readers take off the ends of a name.
func isBlank(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == '\ufeff' }

// canonical makes one of the spellings of a name: case, a trailing dot, U-labels, blanks
// around it.
func canonical(id string) string {
	id = strings.TrimFunc(id, isBlank)
	if domain, err := address.CanonicalDomain(id); err == nil {
		return domain
	}
	return strings.ToLower(strings.TrimSuffix(id, "."))
}

// readID reads no more than the authserv-id; "" where it can't be read for sure.
func readID(value string) string {
	p := parser{s: clip(value, maxBytes)}
	id, ok := p.id()
	if !ok {
		return ""
	}
	return id
}
