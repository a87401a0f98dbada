package dsn

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"facteur/internal/mail/address"
)

// Limits on a delivery status that is read.
const (
	MaxStatusSize   = 1 << 20 // bytes
	MaxStatusFields = 20_000
)

// What can be wrong with a delivery status.
var (
	ErrTooBig      = errors.New("delivery status too big")
	ErrNoRecipient = errors.New("delivery status tells of no recipient")
)

// Status is a body of type message/delivery-status (RFC 3464 §2.1).
type Status struct {
	// Message is the fields about the message, Recipients one group for each.
	Message    Fields
	Recipients []Fields
}

// Fields is a group of fields, in order.
type Fields []Field

// Field is one field, unfolded; Name as it was written.
type Field struct{ Name, Value string }

// Get is the value of the first field of that name, whatever its case, or "".
func (f Fields) Get(name string) string {
	for _, field := range f {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// Typed is the value of a field "type; value" without its type.
func (f Fields) Typed(name string) string {
	_, value, found := strings.Cut(f.Get(name), ";")
	if !found {
		return ""
	}
	return strings.TrimSpace(value)
}

// Address is the address in Final-Recipient or Original-Recipient.
func (f Fields) Address(name string) (address.Address, error) {
	kind, value, _ := strings.Cut(f.Get(name), ";")
	value = strings.TrimSpace(value)
	if strings.EqualFold(strings.TrimSpace(kind), "utf-8") {
		value = decodeUTF8Address(value)
	}
	return address.Parse(strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">"))
}

// ParseStatus reads a delivery status. Lines may end with CRLF or LF; a line that
// is no field is passed over. It fails when there is no group for a recipient, or
// more than the limits allow.
func ParseStatus(body []byte) (Status, error) {
	if len(body) > MaxStatusSize {
		return Status{}, ErrTooBig
	}
	var groups []Fields
	var p statusParser
	for text := range strings.SplitSeq(string(body), "\n") {
		if p.line(strings.TrimRight(text, "\r \t")) {
			groups = p.end(groups)
		}
		if p.count > MaxStatusFields {
			return Status{}, ErrTooBig
		}
	}
	groups = p.end(groups)
	if len(groups) < 2 {
		return Status{}, ErrNoRecipient
	}
	return Status{Message: groups[0], Recipients: groups[1:]}, nil
}

// statusParser collects the lines of a group.
type statusParser struct {
	group Fields
	name  string
	value []string // the lines of the value so far
	count int
}

// line takes a line and tells whether it ends the group.
func (p *statusParser) line(text string) (ends bool) {
	switch {
	case text == "":
		return true
	case text[0] == ' ' || text[0] == '\t':
		if p.name != "" {
			p.value = append(p.value, strings.TrimLeft(text, " \t"))
		}
		return false
	}
	p.endField()
	if name, value, found := strings.Cut(text, ":"); found {
		p.name = strings.TrimRight(name, " \t")
		p.value = append(p.value[:0], strings.TrimLeft(value, " \t"))
	}
	return false
}

func (p *statusParser) endField() {
	if p.name != "" {
		p.count++
		p.group = append(p.group, Field{p.name, strings.Join(p.value, " ")})
	}
	p.name = ""
}

func (p *statusParser) end(groups []Fields) []Fields {
	p.endField()
	if len(p.group) > 0 {
		groups = append(groups, p.group)
	}
	p.group = nil
	return groups
}

// decodeUTF8Address undoes the 7-bit form of RFC 6533 §3; what is not in that
// form stays.
func decodeUTF8Address(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		digits, _, closed := strings.Cut(rest[:min(len(rest), 7)], "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !closed || err != nil || !utf8.ValidRune(rune(n)) {
			b.WriteString(`\x{`)
			s = rest
			continue
		}
		b.WriteRune(rune(n))
		s = rest[len(digits)+1:]
	}
}
