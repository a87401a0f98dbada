package content

import (
	"strings"

	"golang.org/x/net/html/atom"
)

// How much of style sheets is read: bytes, and rules that hide something.
const (
	maxSheet = 64 << 10
	maxRules = 500
)

// sheet is what the style sheets of a page say about simple selectors: ".x", "#x", "p".
// Rules for some screens (@media) are not read: pages of today show one thing on a
// telephone and hide it elsewhere.
type sheet struct {
	length int
	rules  map[string]*style
}

// read takes a style element.
func (s *sheet) read(b []byte) {
	b = b[:min(len(b), max(0, maxSheet-s.length))]
	s.length += len(b)
	css := string(b)
	for css != "" && len(s.rules) < maxRules {
		open := strings.IndexByte(css, '{')
		if open < 0 {
			return
		}
		selector := css[:open]
		if at := strings.LastIndexByte(selector, '@'); at >= 0 && !strings.ContainsAny(selector[at:], ";") {
			css = afterBlock(css[open:])
			continue
		}
		body, rest, ok := strings.Cut(css[open+1:], "}")
		if !ok {
			return
		}
		s.rule(selector, body)
		css = rest
	}
}

// afterBlock skips what stands in braces, and braces in it.
func afterBlock(css string) string {
	depth := 0
	for i := 0; i < len(css); i++ {
		switch css[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth <= 0 {
				return css[i+1:]
			}
		}
	}
	return ""
}

// rule keeps the declarations for each simple selector.
func (s *sheet) rule(selectors, body string) {
	if end := strings.LastIndex(selectors, "*/"); end >= 0 {
		selectors = selectors[end+2:]
	}
	if end := strings.LastIndexAny(selectors, ";>"); end >= 0 { // "-->", "@import …;"
		selectors = selectors[end+1:]
	}
	for range 16 {
		var one string
		one, selectors, _ = strings.Cut(selectors, ",")
		one = lower(strings.TrimSpace(one))
		if at := strings.IndexAny(one, ".#"); at > 0 {
			one = one[at:] // "p.x" is ".x" for us
		}
		if one != "" && one != "*" && !strings.ContainsAny(one[1:], " .#:>+~[*") {
			if s.rules == nil {
				s.rules = map[string]*style{}
			}
			if s.rules[one] == nil {
				s.rules[one] = &style{ink: unset, paper: unset}
			}
			s.rules[one].read(body)
		}
		if selectors == "" {
			return
		}
	}
}

// apply lets the rules for an element speak.
func (s *sheet) apply(st *style, tag atom.Atom, a *attributes) {
	if len(s.rules) == 0 {
		return
	}
	if tag != 0 {
		st.add(s.rules[tag.String()])
	}
	classes := a.class
	for n := 0; classes != "" && n < 8; n++ {
		var one string
		one, classes, _ = strings.Cut(strings.TrimSpace(classes), " ")
		st.add(s.rules["."+lower(one)])
	}
	if a.id != "" {
		st.add(s.rules["#"+lower(a.id)])
	}
}

// add takes over what another style says.
func (st *style) add(o *style) {
	if o == nil {
		return
	}
	st.none, st.invisible, st.visible = st.none || o.none, st.invisible || o.invisible, st.visible || o.visible
	st.noHeight, st.noWidth, st.clipped = st.noHeight || o.noHeight, st.noWidth || o.noWidth, st.clipped || o.clipped
	st.away, st.faint = st.away || o.away, st.faint || o.faint
	if o.size != 0 {
		st.size = o.size
	}
	if o.ink != unset {
		st.ink = o.ink
	}
	if o.paper != unset {
		st.paper = o.paper
	}
}
