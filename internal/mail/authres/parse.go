package authres

import (
	"errors"
	"strconv"
	"strings"
)

// What can be wrong with a field. What could be read comes with the error.
var (
	ErrNoID     = errors.New("no authserv-id")
	ErrVersion  = errors.New("unknown version")
	ErrSyntax   = errors.New("a result that can't be read")
	ErrTooMany  = errors.New("too many results")
	ErrInstance = errors.New("no instance i=1 to 50")
)

// Parse reads the unfolded value of a field. Results that can't be read are
// left out; of several errors it gives the first.
func Parse(value string) (Results, error) {
	p := parser{s: clip(value, maxBytes)}
	return p.results()
}

// ParseARC reads the unfolded value of an ARC-Authentication-Results field:
// "i=1; " and then what Parse reads. The instance is 0 when it can't be read.
func ParseARC(value string) (instance int, r Results, err error) {
	p := parser{s: clip(value, maxBytes)}
	if instance = p.instance(); instance == 0 {
		return 0, Results{}, ErrInstance
	}
	r, err = p.results()
	return instance, r, err
}

// parser walks over a value once.
type parser struct {
	s   string
	at  int
	err error
	// comment gathers the text of comments since it was last emptied.
	comment []byte
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// instance reads i=N and its semicolon.
func (p *parser) instance() int {
	p.space()
	if key := p.keyword(); key != "i" {
		return 0
	}
	if p.space(); !p.take('=') {
		return 0
	}
	p.space()
	n, err := strconv.Atoi(p.token())
	if p.space(); err != nil || n < 1 || n > 50 || !p.take(';') {
		return 0
	}
	return n
}

// results reads all of the payload.
func (p *parser) results() (Results, error) {
	r := Results{}
	id, ok := p.id()
	if r.ID = id; ok {
		r.Version = p.version()
		p.skipTo(';')
		p.take(';')
	} else {
		r.ID = ""
		p.fail(ErrNoID)
	}
	for p.at < len(p.s) {
		if len(r.Methods) == maxMethods {
			p.fail(ErrTooMany)
			break
		}
		if m, ok := p.method(); ok {
			r.Methods = append(r.Methods, m)
		}
		p.take(';')
	}
	return r, p.err
}

// id reads the authserv-id. A word before "=" is no id but a method: there are
// large providers who write none. Then the parser stands before that word.
func (p *parser) id() (string, bool) {
	start := p.at
	p.space()
	id, ok := p.value()
	p.space()
	if !ok || id == "" || p.at < len(p.s) && p.s[p.at] != ';' && !isDigit(p.s[p.at]) {
		p.at = start
		return "", false
	}
	return id, true
}

// version reads the number after the id.
func (p *parser) version() int {
	p.space()
	digits := p.token()
	if digits == "" {
		return 0
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n != 1 {
		p.fail(ErrVersion)
	}
	return n
}

// method reads one resinfo up to its semicolon, which it leaves.
func (p *parser) method() (m Method, ok bool) {
	p.space()
	m.Name = p.keyword()
	if m.Name == "" && (p.at == len(p.s) || p.s[p.at] == ';') {
		return m, false // nothing between two semicolons
	}
	p.space()
	if m.Name == "none" && (p.at == len(p.s) || p.s[p.at] == ';') {
		return m, false
	}
	if p.take('/') {
		p.space()
		p.token() // the version of the method
		p.space()
	}
	if m.Name == "" || !p.take('=') {
		return m, p.broken()
	}
	p.space()
	if m.Result = p.keyword(); m.Result == "" {
		return m, p.broken()
	}
	p.comment = p.comment[:0]
	p.space()
	m.Comment = strings.TrimSpace(string(p.comment))
	p.details(&m)
	return m, true
}

// broken notes a result that can't be read and skips it.
func (p *parser) broken() bool {
	p.fail(ErrSyntax)
	p.skipTo(';')
	return false
}

// details reads reason and properties up to the semicolon.
func (p *parser) details(m *Method) {
	for p.space(); p.at < len(p.s) && p.s[p.at] != ';'; p.space() {
		prop, ok := p.property()
		switch {
		case !ok:
			p.broken()
		case prop.Type == "" && prop.Name == "reason" && m.Reason == "":
			m.Reason = prop.Value
		case len(m.Properties) < maxProperties:
			m.Properties = append(m.Properties, prop)
		default:
			p.fail(ErrTooMany)
		}
	}
}

// property reads [ptype "."] name "=" value.
func (p *parser) property() (Property, bool) {
	var prop Property
	if prop.Name = p.keyword(); prop.Name == "" {
		return prop, false
	}
	if p.space(); p.take('.') {
		p.space()
		prop.Type, prop.Name = prop.Name, p.keyword()
		p.space()
	}
	if prop.Name == "" || !p.take('=') {
		return prop, false
	}
	p.space()
	value, ok := p.propertyValue()
	prop.Value = value
	return prop, ok
}

// propertyValue reads a quoted string, or all up to the next space, comment or
// semicolon: addresses and, against the grammar, "/", "=" and ":" too. A quoted
// local part may stand in front of "@".
func (p *parser) propertyValue() (string, bool) {
	start := p.at
	if p.at < len(p.s) && p.s[p.at] == '"' {
		text, ok := p.quoted()
		if !ok || p.at == len(p.s) || p.s[p.at] != '@' {
			return text, ok
		}
	}
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n;(\"", p.s[p.at]) < 0 {
		p.at++
	}
	return p.s[start:p.at], true
}

// value reads a token or a quoted string.
func (p *parser) value() (string, bool) {
	if p.at < len(p.s) && p.s[p.at] == '"' {
		return p.quoted()
	}
	token := p.token()
	return token, token != ""
}

// token reads a token of RFC 2045, and bytes outside ASCII (RFC 8616 §3).
func (p *parser) token() string {
	start := p.at
	for p.at < len(p.s) && isToken(p.s[p.at]) {
		p.at++
	}
	return p.s[start:p.at]
}

// keyword reads letters, digits, hyphens and low lines, and gives them in lower case.
func (p *parser) keyword() string {
	start := p.at
	for p.at < len(p.s) && isKeyword(p.s[p.at]) {
		p.at++
	}
	return strings.ToLower(p.s[start:p.at])
}

// quoted reads a quoted string; false when it does not end.
func (p *parser) quoted() (string, bool) {
	var text []byte
	for p.at++; p.at < len(p.s); p.at++ {
		switch c := p.s[p.at]; {
		case c == '"':
			p.at++
			return string(text), true
		case c == '\\' && p.at+1 < len(p.s):
			p.at++
			text = append(text, p.s[p.at])
		default:
			text = append(text, c)
		}
	}
	return string(text), false
}

// space skips white space and comments, and gathers what the comments say.
func (p *parser) space() {
	for p.at < len(p.s) {
		switch p.s[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		case '(':
			p.skipComment()
		default:
			return
		}
	}
}

// skipComment reads a comment with those inside it; one without an end takes
// the rest.
func (p *parser) skipComment() {
	if len(p.comment) > 0 {
		p.comment = append(p.comment, ' ')
	}
	depth := 0
	for ; p.at < len(p.s); p.at++ {
		c := p.s[p.at]
		switch {
		case c == '\\' && p.at+1 < len(p.s):
			p.at++
			c = p.s[p.at]
		case c == '(':
			if depth++; depth == 1 {
				continue
			}
		case c == ')':
			if depth--; depth == 0 {
				p.at++
				return
			}
		}
		p.comment = append(p.comment, c)
	}
}

// skipTo goes to a byte outside of comments and quotes, or to the end.
func (p *parser) skipTo(c byte) {
	for p.at < len(p.s) && p.s[p.at] != c {
		switch p.s[p.at] {
		case '(':
			p.skipComment()
		case '"':
			p.quoted()
		default:
			p.at++
		}
	}
}

func (p *parser) take(c byte) bool {
	if p.at < len(p.s) && p.s[p.at] == c {
		p.at++
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isKeyword(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '_'
}

// isToken tells a byte of a token (RFC 2045 §5.1) or of a UTF-8 sequence.
func isToken(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

func clip(s string, n int) string { return s[:min(len(s), n)] }
