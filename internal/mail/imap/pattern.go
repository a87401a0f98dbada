package imap

// Pattern is a mailbox pattern of LIST: "*" stands for anything, "%" for
// anything without a hierarchy separator.
type Pattern struct {
	text      string
	separator byte
}

// maxPattern is how many octets of a pattern are looked at. No name that is
// longer can exist.
const maxPattern = 1024

// NewPattern prepares a pattern, which is in UTF-8, for names whose levels are
// divided by separator. Runs of wildcards are joined: they mean the same, and
// cost once.
func NewPattern(text string, separator byte) Pattern {
	out := make([]byte, 0, min(len(text), maxPattern))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if n := len(out); n > 0 && isWild(c) && isWild(out[n-1]) {
			if c == '*' {
				out[n-1] = '*'
			}
			continue
		}
		out = append(out, c)
	}
	return Pattern{string(out), separator}
}

func isWild(c byte) bool { return c == '*' || c == '%' }

// Match says whether the pattern covers the whole name. All positions in the
// pattern that are possible are followed at once, so the cost is the length of
// the name times that of the pattern, whatever the wildcards.
func (p Pattern) Match(name string) bool {
	states := p.follow(name)
	return states != nil && states[len(p.text)]
}

// Begins says whether the pattern may cover a name that begins with prefix.
func (p Pattern) Begins(prefix string) bool { return p.follow(prefix) != nil }

// follow gives the positions in the pattern that are possible behind a text; nil
// for none.
func (p Pattern) follow(text string) []bool {
	if len(p.text) > maxPattern || len(text) > maxPattern {
		return nil
	}
	states := make([]bool, len(p.text)+1)
	states[0] = true
	p.skipWild(states)
	for i := 0; i < len(text); i++ {
		if !p.step(states, text[i]) {
			return nil
		}
	}
	return states
}

// step moves every state over one octet, in place, and says if any is left.
func (p Pattern) step(states []bool, c byte) bool {
	alive := false
	for i := len(p.text); i >= 0; i-- {
		stay := states[i] && i < len(p.text) && (p.text[i] == '*' || p.text[i] == '%' && c != p.separator)
		come := i > 0 && states[i-1] && p.text[i-1] == c && !isWild(c)
		states[i] = stay || come
		alive = alive || states[i]
	}
	p.skipWild(states)
	return alive
}

// skipWild lets wildcards stand for nothing.
func (p Pattern) skipWild(states []bool) {
	for i := 0; i < len(p.text); i++ {
		if states[i] && isWild(p.text[i]) {
			states[i+1] = true
		}
	}
}
