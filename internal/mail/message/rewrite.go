package message

import (
	"strings"

	"facteur/internal/mail/address"
)

// maxLexemes is of how many words, dots, comments and blanks one entry of an address list
// may consist to be rewritten. A longer one stays as it is.
const maxLexemes = 256

// RewriteAddresses replaces addresses in the raw value of an address field (From, To, …;
// RFC 5322 §3.4 with the obsolete forms of §4.4). Names, comments, groups, folds and all
// that is no address stay byte for byte, and so does an address that replace leaves alone
// (false) or that can't be understood. A word that stands alone is an address without a
// domain; an encoded word (RFC 2047) is none. Comments and blanks within an address that
// is replaced go behind it.
//
// A line that becomes longer than a line may be (RFC 5322 §2.1.1) is folded between
// addresses. It never fails, and takes time linear in the length.
func RewriteAddresses(value string, replace func(address.Address) (address.Address, bool)) string {
	r := rewriter{s: value, replace: replace}
	r.run()
	if r.out == nil {
		return value
	}
	r.out = append(r.out, value[r.copied:]...)
	return foldAt(r.out, r.breaks)
}

// lexeme is a piece of an entry: kind is 'a' for an atom or dot-string, '"' for a quoted
// string, '[' for a domain literal, ' ' for blanks and comments, and else the special
// character itself.
type lexeme struct {
	kind       byte
	start, end int
}

// rewriter goes once through the value. An entry is what stands between the commas,
// colons and semicolons that are not in angle brackets.
type rewriter struct {
	s       string
	replace func(address.Address) (address.Address, bool)

	entry  []lexeme
	over   bool // the entry has more lexemes than are kept
	angle  bool // between "<" and ">"
	out    []byte
	copied int   // how much of s is in out, once that is begun
	breaks []int // where out may be folded
}

func (r *rewriter) run() {
	for at := 0; at < len(r.s); {
		l := lexAt(r.s, at)
		at = l.end
		switch {
		case l.kind == '<':
			r.angle = true
		case l.kind == '>':
			r.angle = false
		case r.angle:
		case l.kind == ':': // the name of a group ends
			r.clear()
			continue
		case l.kind == ',' || l.kind == ';':
			r.endEntry()
			r.mayBreak(at)
			continue
		}
		r.keep(l)
	}
	if !r.angle {
		r.endEntry()
	}
}

func (r *rewriter) keep(l lexeme) {
	if len(r.entry) == maxLexemes {
		r.over = true
		return
	}
	r.entry = append(r.entry, l)
}

func (r *rewriter) clear() { r.entry, r.over = r.entry[:0], false }

// mayBreak notes that a line of the result may end at an offset of the value.
func (r *rewriter) mayBreak(at int) {
	if r.out != nil {
		r.breaks = append(r.breaks, len(r.out)+at-r.copied)
	}
}

// lexAt reads the lexeme at an offset.
func lexAt(s string, at int) lexeme {
	l := lexeme{kind: s[at], start: at}
	switch c := s[at]; {
	case c == '"':
		l.end = delimited(s, at, '"')
	case c == '[':
		l.end = delimited(s, at, ']')
	case c == '(':
		l.kind, l.end = ' ', CommentEnd(s, at)
	case isBlank(c):
		l.kind, l.end = ' ', at+1
		for l.end < len(s) && isBlank(s[l.end]) {
			l.end++
		}
	case isSpecial(c):
		l.end = at + 1
	default:
		l.kind, l.end = 'a', at+1
		for l.end < len(s) && !isSpecial(s[l.end]) && s[l.end] != '[' {
			l.end++
		}
	}
	return l
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// delimited is where a string that begins at an offset ends: behind an unescaped end, or
// with the text.
func delimited(s string, at int, end byte) int {
	for at++; at < len(s); at++ {
		switch s[at] {
		case '\\':
			at++
		case end:
			return at + 1
		}
	}
	return len(s)
}

// endEntry replaces the address of the entry, if there is one.
func (r *rewriter) endEntry() {
	spec := addressIn(r.entry)
	if !r.over && len(spec) > 0 {
		r.rewrite(spec)
	}
	r.clear()
}

// addressIn are the lexemes of the address in an entry: those between the angle brackets,
// without a route, or all of them; none where the entry is no address.
func addressIn(entry []lexeme) []lexeme {
	open, end := -1, len(entry)
	for i, l := range entry {
		switch {
		case l.kind == '<' && open >= 0, l.kind == '>' && open < 0:
			return nil
		case l.kind == '<':
			open = i
		case l.kind == '>' && end == len(entry):
			end = i
		}
	}
	spec := trimmed(entry[open+1 : end])
	if open >= 0 && len(spec) > 0 && spec[0].kind == '@' {
		return afterRoute(spec)
	}
	return spec
}

// afterRoute cuts obs-route (RFC 5322 §4.4) off.
func afterRoute(spec []lexeme) []lexeme {
	for i, l := range spec {
		if l.kind == ':' {
			return trimmed(spec[i+1:])
		}
	}
	return nil
}

func trimmed(l []lexeme) []lexeme {
	for len(l) > 0 && l[0].kind == ' ' {
		l = l[1:]
	}
	for len(l) > 0 && l[len(l)-1].kind == ' ' {
		l = l[:len(l)-1]
	}
	return l
}

// rewrite puts another address in the place of one.
func (r *rewriter) rewrite(spec []lexeme) {
	a, aside, ok := r.read(spec)
	if !ok {
		return
	}
	to, changed := r.replace(a)
	if !changed || to == a {
		return
	}
	start, end := spec[0].start, spec[len(spec)-1].end
	r.out = append(append(r.out, r.s[r.copied:start]...), to.String()...)
	r.out = append(r.out, aside...)
	r.copied = end
}

// read is the address that lexemes are: local part and, behind one "@", the domain.
// aside are the comments and blanks within it.
func (r *rewriter) read(spec []lexeme) (a address.Address, aside []byte, ok bool) {
	var local, domain []byte
	into, last := &local, byte(0)
	for i, l := range spec {
		text := r.s[l.start:l.end]
		switch l.kind {
		case ' ':
			if i > 0 && text[0] == '(' {
				aside = append(append(aside, ' '), text...)
			}
			continue
		case '@':
			if into == &domain || i == 0 {
				return a, nil, false
			}
			into = &domain
		case 'a', '"', '[':
			if bound := last == 0 || last == '@' || text[0] == '.' || len(*into) > 0 && (*into)[len(*into)-1] == '.'; !bound {
				return a, nil, false // two words: a name, and no address
			}
			if l.kind == '[' && into == &local || l.kind == '"' && into == &domain {
				return a, nil, false
			}
			*into = append(*into, dequoted(l.kind, text)...)
		default:
			return a, nil, false
		}
		last = l.kind
	}
	a = address.Address{Local: string(local)}
	if into == &domain {
		return withDomain(a, string(domain), aside)
	}
	word := spec[0].kind == 'a' && strings.HasPrefix(a.Local, "=?") && strings.HasSuffix(a.Local, "?=")
	return a, aside, !word && isMailbox(a)
}

func withDomain(a address.Address, domain string, aside []byte) (address.Address, []byte, bool) {
	canonical, err := address.CanonicalDomain(domain)
	if err != nil {
		return a, nil, false
	}
	a.Domain = canonical
	return a, aside, isMailbox(a)
}

// isMailbox tells a local part that an envelope could have.
func isMailbox(a address.Address) bool {
	if a.Domain == "" {
		a.Domain = "x"
	}
	read, err := address.Parse(a.String())
	return err == nil && read == a
}

func dequoted(kind byte, text string) string {
	if kind != '"' {
		return text
	}
	text = strings.TrimSuffix(text[1:], `"`)
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		out = append(out, text[i])
	}
	return string(out)
}

// maxLine is how long a line may be, without its end (RFC 5322 §2.1.1).
const maxLine = 998

// foldAt folds a value at some of the offsets given, so that no line is too long. The name
// of the field stands on the first line.
func foldAt(value []byte, breaks []int) string {
	out, line, from := make([]byte, 0, len(value)+64), 80, 0
	for _, at := range append(breaks, len(value)) {
		part := value[from:at]
		first, last, folded := lineLengths(part)
		if line+first > maxLine && from > 0 {
			out, line = append(out, "\r\n "...), 1
		}
		out = append(out, part...)
		if line += first; folded {
			line = last
		}
		from = at
	}
	return string(out)
}

// lineLengths are the lengths of the first and the last line of a text.
func lineLengths(text []byte) (first, last int, folded bool) {
	s := strings.TrimRight(string(text), "\r\n")
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i, len(s) - strings.LastIndexByte(s, '\n') - 1, true
	}
	return len(s), len(s), false
}
