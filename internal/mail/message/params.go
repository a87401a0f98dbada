package message

import (
	"slices"
	"strings"
)

// maxParams is how many parameters of one field are read.
const maxParams = 200

// parseContentType reads the value of a Content-Type field: type and subtype in
// lower case, parameters as in Part.Params. ok is false when there is no
// readable type/subtype (RFC 2045 §5.2: treat it as text/plain); the parameters
// come all the same.
func parseContentType(value string) (typ, subtype string, params []Param, ok bool) {
	t := tokens{s: value}
	typ = t.token()
	t.skipCFWS()
	if t.take('/') {
		subtype = t.token()
	}
	ok = typ != "" && subtype != ""
	return strings.ToLower(typ), strings.ToLower(subtype), joinParams(t.params()), ok
}

// parseDisposition reads the value of a Content-Disposition field.
func parseDisposition(value string) (string, []Param) {
	t := tokens{s: value}
	disposition := strings.ToLower(t.token())
	return disposition, joinParams(t.params())
}

// parseToken reads a value that is one token, such as a transfer encoding.
func parseToken(value string) string {
	t := tokens{s: value}
	return strings.ToLower(t.token())
}

// parseLanguages reads Content-Language: tags between commas (RFC 3282).
func parseLanguages(value string) []string {
	var tags []string
	t := tokens{s: value}
	for t.at < len(t.s) && len(tags) < maxParams {
		if tag := t.token(); tag != "" {
			tags = append(tags, tag)
		} else if t.at < len(t.s) {
			t.at++
		}
	}
	return tags
}

// tokens reads the structured fields of RFC 2045, forgiving.
type tokens struct {
	s  string
	at int
}

// skipCFWS skips white space and comments; a comment that does not end takes
// the rest.
func (t *tokens) skipCFWS() {
	for t.at < len(t.s) {
		switch c := t.s[t.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			t.at++
		case c == '(':
			t.at = CommentEnd(t.s, t.at)
		default:
			return
		}
	}
}

// CommentEnd gives the offset after the comment of RFC 5322 §3.2.2 that starts at an
// offset; the length of s, if it does not end.
// Nesting is counted, not recursed into.
func CommentEnd(s string, at int) int {
	for depth := 0; at < len(s); at++ {
		switch s[at] {
		case '\\':
			at++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return len(s)
}

// take consumes c if it comes next.
func (t *tokens) take(c byte) bool {
	if t.at < len(t.s) && t.s[t.at] == c {
		t.at++
		return true
	}
	return false
}

// token reads a token of RFC 2045 §5.1, bytes over 127 allowed; "" if none comes.
func (t *tokens) token() string {
	t.skipCFWS()
	start := t.at
	for t.at < len(t.s) && isTokenByte(t.s[t.at]) {
		t.at++
	}
	return t.s[start:t.at]
}

func isTokenByte(c byte) bool {
	return c > ' ' && c != 127 && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

// params reads parameters up to the end. Between two of them stands a ";"; what
// else stands there is skipped.
func (t *tokens) params() []Param {
	var list []Param
	for len(list) < maxParams {
		for t.skipCFWS(); t.at < len(t.s) && t.s[t.at] != ';'; t.skipCFWS() {
			t.junk()
		}
		if !t.take(';') {
			break
		}
		name := strings.ToLower(t.token())
		t.skipCFWS()
		if name == "" || !t.take('=') {
			continue
		}
		list = append(list, Param{name, t.value()})
	}
	return list
}

// junk skips one thing that should not be there; a quoted string is one thing.
func (t *tokens) junk() {
	if t.s[t.at] == '"' {
		t.quoted()
		return
	}
	t.at++
}

// value reads a parameter's value. Without quotes it goes on to the next ";",
// for mailers that forget to quote names with spaces.
func (t *tokens) value() string {
	t.skipCFWS()
	if t.at < len(t.s) && t.s[t.at] == '"' {
		return t.quoted()
	}
	start := t.at
	for t.at < len(t.s) && t.s[t.at] != ';' {
		if t.s[t.at] == '(' && t.at > start && isWSP(t.s[t.at-1]) {
			break // a comment
		}
		t.at++
	}
	return strings.TrimRight(t.s[start:t.at], " \t\r\n")
}

// quoted reads a quoted string; one that does not end takes the rest.
func (t *tokens) quoted() string {
	t.at++ // the quote
	start := t.at
	end := start
	for end < len(t.s) && t.s[end] != '"' && t.s[end] != '\\' {
		end++
	}
	if end == len(t.s) || t.s[end] == '"' {
		t.at = min(end+1, len(t.s))
		return t.s[start:end]
	}
	out := []byte(t.s[start:end])
	for t.at = end; t.at < len(t.s); t.at++ {
		c := t.s[t.at]
		if c == '"' {
			t.at++
			break
		}
		if c == '\\' && t.at+1 < len(t.s) {
			t.at++
			c = t.s[t.at]
		}
		out = append(out, c)
	}
	return string(out)
}

// duplicates reports a repeated parameter.
func duplicates(params []Param) Oddity {
	for i, p := range params {
		for _, q := range params[:i] {
			if p.Name == q.Name {
				return DuplicateParam
			}
		}
	}
	return 0
}

// joinParams joins the pieces of RFC 2231 §3: name*0, name*1*, …, in the order
// of their numbers, at the place of the first. A gap ends the value. If a
// piece is extended, so is the whole: its name keeps the star, and plain pieces
// are percent-encoded.
func joinParams(list []Param) []Param {
	if !slices.ContainsFunc(list, func(p Param) bool { return strings.Contains(p.Name, "*") }) {
		return list
	}
	var joined []Param
	sections := make(map[string]map[int]section)
	for _, p := range list {
		base, number, extended, ok := splitSection(p.Name)
		if !ok {
			joined = append(joined, p)
			continue
		}
		if sections[base] == nil {
			sections[base] = make(map[int]section)
			joined = append(joined, Param{Name: base + "*0"}) // filled in below
		}
		if _, twice := sections[base][number]; !twice {
			sections[base][number] = section{p.Value, extended}
		}
	}
	for i, p := range joined {
		if base, isSection := strings.CutSuffix(p.Name, "*0"); isSection {
			joined[i] = joinSections(base, sections[base])
		}
	}
	return joined
}

// section is one piece of a continued parameter.
type section struct {
	value    string
	extended bool
}

// splitSection takes name*7* apart. "name*" alone is no section.
func splitSection(name string) (base string, number int, extended, ok bool) {
	rest, extended := strings.CutSuffix(name, "*")
	base, digits, found := strings.Cut(rest, "*")
	if !found || base == "" || digits == "" || len(digits) > 3 {
		return "", 0, false, false
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return "", 0, false, false
		}
		number = number*10 + int(c-'0')
	}
	return base, number, extended, true
}

func joinSections(base string, pieces map[int]section) Param {
	extended := false
	n := 0
	for ; n <= maxParams; n++ {
		piece, ok := pieces[n]
		if !ok {
			break
		}
		extended = extended || piece.extended
	}
	var value strings.Builder
	for i := range n {
		switch piece := pieces[i]; {
		case !extended || piece.extended:
			value.WriteString(piece.value)
		default:
			if i == 0 {
				value.WriteString("''") // no charset was said
			}
			percentEncode(&value, piece.value)
		}
	}
	if extended {
		base += "*"
	}
	return Param{base, value.String()}
}

func percentEncode(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; isTokenByte(c) && c < 128 && c != '%' && c != '*' && c != '\'' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
		}
	}
}

// paramValue looks a parameter up and decodes it to UTF-8: the extended form
// first (RFC 2231 §4), then the plain one.
func paramValue(params []Param, name string) string {
	for _, p := range params {
		if base, extended := strings.CutSuffix(p.Name, "*"); extended && base == name {
			return decodeExtended(p.Value)
		}
	}
	for _, p := range params {
		if p.Name == name {
			return cleanText([]byte(p.Value))
		}
	}
	return ""
}

// decodeExtended decodes charset'language'percent-encoded.
func decodeExtended(value string) string {
	charset, rest, found := strings.Cut(value, "'")
	if found {
		_, rest, found = strings.Cut(rest, "'")
	}
	if !found {
		charset, rest = "", value
	}
	raw := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		if rest[i] == '%' && i+2 < len(rest) {
			hi, lo := unhex(rest[i+1]), unhex(rest[i+2])
			if hi >= 0 && lo >= 0 {
				raw = append(raw, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		raw = append(raw, rest[i])
	}
	text, _ := decodeCharset(charset, raw)
	return cleanText(text)
}

// unhex gives the value of a hex digit of either case, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
