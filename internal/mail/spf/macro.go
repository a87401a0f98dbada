package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Macro is a text with macros, RFC 7208 §7.
type Macro struct {
	text  string
	parts []part
}

// Constant tells whether the text is the same for all questions.
func (m *Macro) Constant() bool {
	return !slices.ContainsFunc(m.parts, func(p part) bool { return p.letter != 0 })
}

// part is a piece of plain text, or one macro.
type part struct {
	plain  string
	letter byte // lower-case; 0: plain text
	escape bool // the letter was upper-case: as in a URL
	last   int  // how many parts of the right-hand side; 0: all
	turn   bool // reversed
	delims string
}

// where a macro stands decides which letters it may have.
type where int

const (
	inDomain   where = iota
	inModifier       // of an unknown name
	inExplain        // may have spaces, and all letters
)

var (
	errMacro  = errors.New(`"%" begins neither a macro nor "%%", "%_" or "%-"`)
	errLetter = errors.New("there is no such macro in this place")
	errEmpty  = errors.New("the domain is missing")
	errTop    = errors.New("the domain does not end in a top-level domain or a macro")
)

// parseMacro reads a macro-string (§7.1).
func parseMacro(s string, in where) (*Macro, error) {
	m := &Macro{text: s}
	for s != "" {
		plain := s
		if at := strings.IndexByte(s, '%'); at >= 0 {
			plain = s[:at]
		}
		if plain != "" {
			if !printable(plain) || in != inExplain && strings.Contains(plain, " ") {
				return nil, ErrNotASCII
			}
			m.parts, s = append(m.parts, part{plain: plain}), s[len(plain):]
			continue
		}
		p, rest, err := parsePart(s[1:], in)
		if err != nil {
			return nil, err
		}
		m.parts, s = append(m.parts, p), rest
	}
	return m, nil
}

// parsePart reads what stands after a percent sign.
func parsePart(s string, in where) (p part, rest string, err error) {
	if s == "" {
		return p, "", errMacro
	}
	switch s[0] {
	case '%':
		return part{plain: "%"}, s[1:], nil
	case '_':
		return part{plain: " "}, s[1:], nil
	case '-':
		return part{plain: "%20"}, s[1:], nil
	case '{':
		body, rest, ok := strings.Cut(s[1:], "}")
		if !ok || body == "" {
			return p, "", errMacro
		}
		p, err = parseBody(body, in)
		return p, rest, err
	}
	return p, "", errMacro
}

// parseBody reads letter [ digits ] [ "r" ] *delimiter.
func parseBody(s string, in where) (part, error) {
	p := part{letter: s[0] | 0x20, escape: s[0] < 'a', delims: "."}
	letters := "slodiphv"
	if in != inDomain {
		letters += "crt"
	}
	if !isAlpha(s[0]) || !strings.ContainsRune(letters, rune(p.letter)) {
		return p, errLetter
	}
	s = s[1:]
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	if digits != "" {
		// No name has more parts than fit into a byte.
		n, err := strconv.Atoi(digits)
		if err != nil || n > 255 {
			n = 255
		}
		if n == 0 {
			return p, fmt.Errorf("a macro with 0 parts")
		}
		p.last, s = n, s[len(digits):]
	}
	if s != "" && s[0]|0x20 == 'r' {
		p.turn, s = true, s[1:]
	}
	if s != "" {
		p.delims = s
	}
	if strings.Trim(s, ".-+,/_=") != "" {
		return p, errMacro
	}
	return p, nil
}

// parseDomainSpec reads macro-string domain-end (§7.1): it ends in a macro, or in a dot
// and a label that is no number.
func parseDomainSpec(s string) (*Macro, error) {
	if s == "" {
		return nil, errEmpty
	}
	m, err := parseMacro(s, inDomain)
	if err != nil {
		return nil, err
	}
	if end := m.parts[len(m.parts)-1]; end.letter != 0 || strings.HasSuffix(s, "%%") || strings.HasSuffix(s, "%_") || strings.HasSuffix(s, "%-") {
		return m, nil
	}
	s = strings.TrimSuffix(s, ".")
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 || !isTopLabel(s[dot+1:]) {
		return nil, errTop
	}
	return m, nil
}

func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' || strings.Trim(s, "0123456789") == "" {
		return false
	}
	for i := range len(s) {
		if !isAlpha(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// expand replaces the macros; domain is that of the record.
func (e *evaluation) expand(ctx context.Context, m *Macro, domain string) (string, error) {
	var b strings.Builder
	for _, p := range m.parts {
		if p.letter == 0 {
			b.WriteString(p.plain)
			continue
		}
		value, err := e.value(ctx, p.letter, domain)
		if err != nil {
			return "", err
		}
		b.WriteString(p.transform(value))
	}
	return b.String(), nil
}

// value is what a letter stands for (§7.2).
func (e *evaluation) value(ctx context.Context, letter byte, domain string) (string, error) {
	switch letter {
	case 's':
		return e.sender, nil
	case 'l':
		return e.local, nil
	case 'o':
		return e.domain, nil
	case 'd':
		return domain, nil
	case 'h':
		return e.helo, nil
	case 'i':
		return dotted(e.ip), nil
	case 'v':
		if e.ip.Is4() {
			return "in-addr", nil
		}
		return "ip6", nil
	case 'c':
		return e.ip.String(), nil
	case 'r':
		if e.question.Receiver == "" {
			return "unknown", nil
		}
		return e.question.Receiver, nil
	case 't':
		return strconv.FormatInt(e.question.Now.Unix(), 10), nil
	}
	return e.clientName(ctx, domain)
}

// dotted is an address as %{i} has it: IPv6 as 32 digits with dots between.
func dotted(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i, octet := range a.As16() {
		if i > 0 {
			b.WriteByte('.')
		}
		b.Write([]byte{hex[octet>>4], '.', hex[octet&15]})
	}
	return b.String()
}

func (p part) transform(value string) string {
	if p.turn || p.last > 0 || p.delims != "." {
		words := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(p.delims, r) })
		if p.turn {
			slices.Reverse(words)
		}
		if p.last > 0 && p.last < len(words) {
			words = words[len(words)-p.last:]
		}
		value = strings.Join(words, ".")
	}
	if p.escape {
		value = urlEscape(value)
	}
	return value
}

// urlEscape escapes all but the unreserved characters of RFC 3986 §2.3.
func urlEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlpha(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// maxName is the longest name that can be asked for.
const maxName = 253

var errTarget = errors.New("the macros do not make a name that can be asked for")

// target is the name that a term asks for: its macros expanded, cut from the left to
// what fits (§7.3), and possible at all. RFC 8616 §4: what depends on a local part that
// is not ASCII does not match.
func (e *evaluation) target(ctx context.Context, m *Macro, domain string) (string, error) {
	if m == nil {
		return domain, nil
	}
	name, err := e.expand(ctx, m, domain)
	if err != nil {
		return "", err
	}
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName {
		_, after, found := strings.Cut(name, ".")
		if !found {
			return "", errTarget
		}
		name = after
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || !printable(label) {
			return "", errTarget
		}
	}
	return name, nil
}
