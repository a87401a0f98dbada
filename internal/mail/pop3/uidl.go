package pop3

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxUIDL is the longest unique-id, in octets (RFC 1939 §7).
const MaxUIDL = 70

// Format makes unique-ids of numbers. It is written as Dovecot's pop3_uidl_format:
// %u is the UID and %v the UIDVALIDITY, in decimal; %08Xu is the UID in hexadecimal,
// filled with zeros to eight digits.
type Format struct{ parts []part }

// part is text, or a number in some form.
type part struct {
	text   string
	letter byte // 'u', 'v'; 0: text
	hex    bool
	zeros  bool
	width  int
}

// maxWidth bounds how far a number is filled up, in digits.
const maxWidth = 20

// ParseFormat understands a format. It must tell messages of one mailbox apart.
func ParseFormat(text string) (f Format, err error) {
	unique, rest := false, text
	for rest != "" {
		var p part
		if rest[0] != '%' {
			p.text, _, _ = strings.Cut(rest, "%")
			rest = rest[len(p.text):]
		} else if p, rest, err = parsePart(rest[1:]); err != nil {
			return Format{}, fmt.Errorf("%q: %w", text, err)
		}
		unique = unique || p.letter == 'u'
		f.parts = append(f.parts, p)
	}
	if !unique {
		return Format{}, fmt.Errorf("%q: expected %%u in it, else all messages look the same", text)
	}
	for _, n := range []uint32{1, 1<<32 - 1} {
		if id := f.Append(nil, n, n); !Valid(id) {
			return Format{}, fmt.Errorf("%q: it makes ids such as %q; expected at most %d printable characters", text, id, MaxUIDL)
		}
	}
	return f, nil
}

// parsePart reads what follows a "%".
func parsePart(s string) (p part, rest string, err error) {
	if strings.HasPrefix(s, "0") {
		p.zeros, s = true, s[1:]
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits > 0 {
		if p.width, err = strconv.Atoi(s[:digits]); err != nil || p.width > maxWidth {
			return p, "", fmt.Errorf("expected at most %d digits", maxWidth)
		}
		s = s[digits:]
	}
	if strings.HasPrefix(s, "X") || strings.HasPrefix(s, "x") {
		p.hex, s = true, s[1:]
	}
	if s == "" || s[0] != 'u' && s[0] != 'v' {
		return p, "", fmt.Errorf("after %%, expected u or v, with a width and X before it if it is to be hexadecimal")
	}
	p.letter = s[0]
	return p, s[1:], nil
}

// Append appends a unique-id.
func (f Format) Append(to []byte, uid, validity uint32) []byte {
	for _, p := range f.parts {
		n := uid
		switch p.letter {
		case 0:
			to = append(to, p.text...)
			continue
		case 'v':
			n = validity
		}
		base, fill := 10, byte(' ')
		if p.hex {
			base = 16
		}
		if p.zeros {
			fill = '0'
		}
		var room [16]byte
		digits := strconv.AppendUint(room[:0], uint64(n), base)
		for range p.width - len(digits) {
			to = append(to, fill)
		}
		to = append(to, digits...)
	}
	return to
}

// Valid tells whether a unique-id may be told: 1 to 70 characters from ! to ~.
func Valid(id []byte) bool {
	for _, c := range id {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(id) > 0 && len(id) <= MaxUIDL
}
