package authres

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/address"
)

// What we write: lines up to lineWidth columns where words allow, words no longer
// than keeps a line within the 998 octets of RFC 5322 §2.1.1.
const (
	lineWidth  = 78
	maxValue   = 512
	maxQuoted  = 900 // what is escaped counts twice
	maxComment = 200
)

// Field is the whole field, folded, with its last line end. What is no keyword
// where one has to stand is left out; texts are quoted as they need it, and
// shortened where they are too long for a line.
func (r Results) Field() []byte {
	w := writer{out: make([]byte, 0, 512)} // most are shorter
	w.word(FieldName + ":")
	r.payload(&w)
	return w.end()
}

// ARCField is the ARC-Authentication-Results of an instance (RFC 8617 §4.1.1).
func (r Results) ARCField(instance int) []byte {
	w := writer{}
	w.word("ARC-" + FieldName + ":")
	w.word("i=" + strconv.Itoa(instance) + ";")
	r.payload(&w)
	return w.end()
}

func (r Results) payload(w *writer) {
	w.word(word(clean(r.ID)))
	if r.Version > 0 {
		w.word(strconv.Itoa(r.Version))
	}
	written := false
	for _, m := range r.Methods {
		if keyword(m.Name) != "" && keyword(m.Result) != "" {
			w.method(m)
			written = true
		}
	}
	if !written {
		w.glue(";")
		w.word("none")
	}
}

// What ends a comment, and a quoted string, is escaped in them.
var (
	inComment = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`)
	inQuotes  = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
)

// writer puts words one after the other and folds between them.
type writer struct {
	out    []byte
	column int
}

func (w *writer) end() []byte { return append(w.out, '\r', '\n') }

// word writes a word after a space, or in a new line when it would not fit.
func (w *writer) word(s string) {
	switch {
	case w.column == 0:
	case w.column+1+len(s) > lineWidth && w.column > 1:
		w.fold()
	default:
		w.glue(" ")
	}
	w.glue(s)
}

// glue writes right behind what stands there.
func (w *writer) glue(s string) {
	w.out = append(w.out, s...)
	w.column += len(s)
}

// fold begins a line, one tab in.
func (w *writer) fold() {
	w.out = append(w.out, "\r\n\t"...)
	w.column = 1
}

// method begins a line of its own: a person finds it there.
func (w *writer) method(m Method) {
	w.glue(";")
	w.fold()
	w.glue(keyword(m.Name) + "=" + keyword(m.Result))
	if text := comment(m.Comment); text != "" {
		for _, word := range strings.Fields(text) {
			w.word(word)
		}
	}
	if m.Reason != "" {
		w.word("reason=" + quote(ascii(m.Reason)))
	}
	for _, p := range m.Properties {
		w.property(p)
	}
}

func (w *writer) property(p Property) {
	name := keyword(p.Name)
	if name == "" || p.Type == "" && name == "reason" {
		return
	}
	if t := keyword(p.Type); t != "" {
		name = t + "." + name
	}
	w.word(name + "=" + value(p.Value))
}

// keyword gives a keyword in lower case; "" for what is none.
func keyword(s string) string {
	for i := 0; i < len(s); i++ {
		if !isKeyword(s[i]) {
			return ""
		}
	}
	return strings.ToLower(clip(s, 64))
}

// comment gives a comment with its parentheses, "" for none.
func comment(s string) string {
	text := strings.Join(strings.Fields(clip(ascii(s), maxComment)), " ")
	if text == "" {
		return ""
	}
	return "(" + inComment.Replace(text) + ")"
}

// value gives a token as it is, an address too, and the rest quoted.
func value(s string) string {
	if s = clean(s); isAddress(s) {
		return s
	}
	return word(s)
}

// word gives a token as it is, and the rest quoted.
func word(s string) string {
	if isTokens(s) {
		return s
	}
	return quote(s)
}

func isTokens(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

// isAddress tells what the grammar takes unquoted: [local-part] "@" domain. Local
// parts that need quotes are better quoted as a whole.
func isAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || at > 0 && !isTokens(s[:at]) || strings.HasPrefix(s[at+1:], "[") {
		return false
	}
	_, err := address.ParseDomain(s[at+1:])
	return err == nil
}

func quote(s string) string {
	s = clip(s, maxValue)
	if escaped := inQuotes.Replace(s); len(escaped) <= maxQuoted {
		return `"` + escaped + `"`
	}
	return `"` + inQuotes.Replace(strings.ToValidUTF8(clip(s, maxQuoted/2), "?")) + `"`
}

// clean makes a value one line of valid UTF-8 without control characters, of a
// length that fits a line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, clip(s, maxValue))
	return s
}

// ascii is for texts for people: what is not ASCII becomes a question mark, a
// control character a space.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case r >= utf8.RuneSelf:
			return '?'
		}
		return r
	}, clip(s, maxValue))
}
