package imap

import (
	"math"
	"strings"
	"unicode/utf8"
)

// The character classes of RFC 9051 §9.
func isAtomChar(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`(){%*"\]`, c) < 0
}

func isAstringChar(c byte) bool { return isAtomChar(c) || c == ']' }

func isListChar(c byte) bool { return isAstringChar(c) || c == '%' || c == '*' }

func isTagChar(c byte) bool { return isAstringChar(c) && c != '+' }

// peek is the next octet of the line, 0 at its end or after an error.
func (d *Decoder) peek() byte {
	if d.err != nil || d.pos >= len(d.line) {
		return 0
	}
	return d.line[d.pos]
}

// accept takes c if it is next.
func (d *Decoder) accept(c byte) bool {
	if d.peek() != c {
		return false
	}
	d.pos++
	return true
}

func (d *Decoder) expect(c byte) {
	if !d.accept(c) {
		d.fail("Expected %q", c)
	}
}

func (d *Decoder) space() {
	if !d.accept(' ') {
		d.fail("Missing argument")
	}
}

// end wants the end of the command. A blank at the end is forgiven: several
// clients send one.
func (d *Decoder) end() {
	for d.accept(' ') {
	}
	if d.err == nil && d.pos < len(d.line) {
		d.fail("Too many arguments, or a bad character")
	}
}

// run takes one or more octets of a class.
func (d *Decoder) run(what string, class func(byte) bool) string {
	if d.err != nil {
		return ""
	}
	start := d.pos
	for d.pos < len(d.line) && class(d.line[d.pos]) {
		d.pos++
	}
	if d.pos == start {
		d.fail("Expected %s", what)
	}
	return string(d.line[start:d.pos])
}

func (d *Decoder) tag() string { return d.run("a tag", isTagChar) }

func (d *Decoder) atom() string { return d.run("an atom", isAtomChar) }

// word is an atom in upper case: a name that the grammar knows.
func (d *Decoder) word() string { return strings.ToUpper(d.atom()) }

// acceptWord takes w, in any case, if it is the whole next atom.
func (d *Decoder) acceptWord(w string) bool {
	if d.err != nil || !d.ahead(w) {
		return false
	}
	if after := d.pos + len(w); after < len(d.line) && isAtomChar(d.line[after]) {
		return false
	}
	d.pos += len(w)
	return true
}

// ahead says whether the line goes on with w in any case.
func (d *Decoder) ahead(w string) bool {
	return d.err == nil && len(d.line)-d.pos >= len(w) && strings.EqualFold(string(d.line[d.pos:d.pos+len(w)]), w)
}

// str is a string: quoted or literal.
func (d *Decoder) str() string {
	switch d.peek() {
	case '"':
		return d.quoted()
	case '{':
		return d.literal()
	}
	d.fail("Expected a string")
	return ""
}

// quoted takes UTF-8 as RFC 9051 does, which RFC 3501 did not allow.
func (d *Decoder) quoted() string {
	d.expect('"')
	var b strings.Builder
	for d.err == nil {
		c := d.peek()
		if c == 0 || c == '\r' {
			d.fail("Unfinished or bad quoted string")
			break
		}
		d.pos++
		if c == '"' {
			break
		}
		if c == '\\' {
			if c = d.peek(); c != '"' && c != '\\' {
				d.fail("Bad escape in a quoted string")
				break
			}
			d.pos++
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (d *Decoder) astring() string {
	if c := d.peek(); c == '"' || c == '{' {
		return d.str()
	}
	return d.run("an atom or a string", isAstringChar)
}

// nstring is a string or NIL; NIL gives "".
func (d *Decoder) nstring() string {
	if d.acceptWord("NIL") {
		return ""
	}
	return d.str()
}

// number is an unsigned number of at most 63 bits (number64).
func (d *Decoder) number() int64 {
	text := d.run("a number", func(c byte) bool { return c >= '0' && c <= '9' })
	n, ok := parseNumber([]byte(text))
	if !ok {
		d.fail("Number too large")
	}
	return n
}

// number32 is an unsigned number of at most 32 bits.
func (d *Decoder) number32() uint32 {
	n := d.number()
	if n > math.MaxUint32 {
		d.fail("Number too large")
		return 0
	}
	return uint32(n)
}

// positive is a number from 1 to 2^32-1 without leading zeros (nz-number).
func (d *Decoder) positive() uint32 {
	if d.peek() == '0' {
		d.fail("Zero is not allowed here")
	}
	return d.number32()
}

// list reads "(" item *(SP item) ")"; an empty list is taken too.
func (d *Decoder) list(item func()) {
	d.expect('(')
	d.enter()
	for d.err == nil && d.peek() != ')' {
		item()
		if !d.accept(' ') {
			break
		}
	}
	d.leave()
	d.expect(')')
}

// mailbox reads a mailbox name and gives it in UTF-8. INBOX is upper-case
// whatever the client wrote.
func (d *Decoder) mailbox() string {
	raw := d.astring()
	if d.err != nil {
		return ""
	}
	name, ok := d.decodeName(raw)
	switch {
	case ok:
	case d.utf8:
		d.fail("Mailbox name is not in UTF-8")
	default:
		d.fail("Mailbox name is not in modified UTF-7")
	}
	return CanonicalInbox(name)
}

// decodeName is a mailbox name, or a piece of one, in UTF-8; false for what is
// not in the encoding that holds in this session.
func (d *Decoder) decodeName(raw string) (name string, ok bool) {
	// What is not ASCII was never modified UTF-7. go-imap's client writes UTF-8 to
	// every server that has IMAP4rev2, whether it was enabled or not.
	if d.utf8 || strings.IndexFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return raw, utf8.ValidString(raw)
	}
	name, err := DecodeUTF7(raw)
	return name, err == nil
}

// CanonicalInbox writes the first level of a name as INBOX if it is that in any
// case (RFC 9051 §5.1).
func CanonicalInbox(name string) string {
	if len(name) < 5 || !strings.EqualFold(name[:5], "INBOX") || len(name) > 5 && name[5] != '/' {
		return name
	}
	return "INBOX" + name[5:]
}
