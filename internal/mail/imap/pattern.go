package imap

// Pattern is a mailbox pattern of LIST: "*" stands for anything, "%" for
// anything without a hierarchy separator. All positions in the pattern that are
// possible are followed at once, as bits: a name costs its length times that of the
// pattern by 64, whatever the wildcards.
type Pattern struct {
	size      int // octets; more than maxPattern: it matches nothing
	separator byte

	words int        // that a set of positions needs
	class [256]uint8 // of each octet: its row in on
	on    []uint64   // where the pattern has an octet of this class: rows of words
	star  positions
	wild  positions // star and "%"
}

// maxPattern is how many octets of a pattern are looked at. No name that is
// longer can exist.
const maxPattern = 1024

// positions is a set of positions in a pattern; its end is one.
type positions [maxPattern/64 + 1]uint64

func (p *positions) set(i int)      { p[i>>6] |= 1 << (i & 63) }
func (p *positions) has(i int) bool { return p[i>>6]&(1<<(i&63)) != 0 }

// NewPattern prepares a pattern, which is in UTF-8, for names whose levels are
// divided by separator. Runs of wildcards are joined: they mean the same, and
// cost once.
func NewPattern(text string, separator byte) *Pattern {
	joined := joinWild(text)
	p := &Pattern{size: len(joined), separator: separator, words: len(joined)>>6 + 1}
	if p.size > maxPattern {
		return p
	}
	p.on = make([]uint64, p.words) // row 0: nowhere
	for i, c := range joined {
		switch {
		case isWild(c):
			p.wild.set(i)
			if c == '*' {
				p.star.set(i)
			}
			continue
		case p.class[c] == 0:
			p.class[c] = uint8(len(p.on) / p.words) // at most 254: two octets are wildcards
			p.on = append(p.on, make([]uint64, p.words)...)
		}
		p.on[int(p.class[c])*p.words+i>>6] |= 1 << (i & 63)
	}
	return p
}

func joinWild(text string) []byte {
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
	return out
}

func isWild(c byte) bool { return c == '*' || c == '%' }

// Match says whether the pattern covers the whole name.
func (p *Pattern) Match(name string) bool {
	at, alive := p.follow(name)
	return alive && at.has(p.size)
}

// Begins says whether the pattern may cover a name that begins with prefix.
func (p *Pattern) Begins(prefix string) bool {
	_, alive := p.follow(prefix)
	return alive
}

// follow gives the positions in the pattern that are possible behind a text.
func (p *Pattern) follow(text string) (at positions, alive bool) {
	if p.size > maxPattern || len(text) > maxPattern {
		return at, false
	}
	at.set(0)
	if p.wild.has(0) {
		at.set(1)
	}
	for i := 0; i < len(text); i++ {
		if !p.step(at[:p.words], text[i]) {
			return at, false
		}
	}
	return at, true
}

// step moves over one octet and says if any position is left. A wildcard stays where
// it is, and stands for nothing as well; two never follow each other.
func (p *Pattern) step(at []uint64, c byte) bool {
	stay, on := &p.wild, p.on[int(p.class[c])*p.words:]
	if c == p.separator {
		stay = &p.star
	}
	var any, come, skip uint64 // what comes over from the word before
	for w, now := range at {
		moved := now & on[w]
		next := now&stay[w] | moved<<1 | come
		come = moved >> 63
		passed := next & p.wild[w]
		at[w] = next | passed<<1 | skip
		// What skip brought may stand on a wildcard only if that followed another.
		skip = passed >> 63
		any |= at[w]
	}
	return any != 0
}
