package content

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// page collects text: white space is folded, characters without width are left out.
type page struct {
	b     []byte
	space bool // a space is due before the next character
	line  bool // a line end is
	split bool // something without width stands behind the last letter
	joint int  // where the last thing without width stood
	seen  int  // characters, without spaces
}

func (p *page) len() int { return len(p.b) }

func (p *page) since(start int) string { return string(p.b[min(start, len(p.b)):]) }

// string gives what was collected, up to max bytes and whole characters.
func (p *page) string(max int) string {
	return strings.ToValidUTF8(string(p.b[:min(len(p.b), max)]), "")
}

func (p *page) paragraph() { p.line = true }
func (p *page) gap()       { p.space = true }

// write adds text in which line ends count, and tells how many characters without width
// part letters of the Latin alphabet, which no script of the world needs; soft hyphens
// count where they part single letters.
func (p *page) write(s []byte) (invisible int) { return p.add(s, true) }

// flow adds text in which a line end is a space.
func (p *page) flow(s []byte) (invisible int) { return p.add(s, false) }

func (p *page) add(s []byte, lines bool) (invisible int) {
	for i := 0; i < len(s); {
		c := s[i]
		if c > ' ' && c < 0x7f {
			start := i
			for i < len(s) && s[i] > ' ' && s[i] < 0x7f {
				i++
			}
			if p.split && !p.space && !p.line {
				invisible++
			}
			p.due()
			p.b = append(p.b, s[start:i]...)
			p.seen += i - start
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		i += n
		switch {
		case r == '\n' && lines:
			p.line = true
		case unicode.IsSpace(r) || r == '\u2800':
			p.space = true
		case noWidth(r):
			p.split = p.parts(r) || p.split
			p.joint = len(p.b)
		case r < ' ' || r == 0x7f:
			p.space = true
		default:
			p.due()
			p.b = append(p.b, s[i-n:i]...)
			p.seen++
		}
	}
	return invisible
}

// parts tells whether a character without width stands behind a letter of the Latin alphabet
// and has no business there. A soft hyphen has: it says where a long word may be divided,
// but not behind one letter.
func (p *page) parts(r rune) bool {
	n := len(p.b)
	if n == 0 || !isLetter(p.b[n-1]) {
		return false
	}
	return r != softHyphen || n == 1 || n-p.joint == 1 || p.b[n-2] < utf8.RuneSelf && !isLetter(p.b[n-2])
}

const softHyphen = '\u00ad'

// due writes the space or line end that stands before the next character.
func (p *page) due() {
	if len(p.b) > 0 {
		if p.line {
			p.b = append(p.b, '\n')
		} else if p.space {
			p.b = append(p.b, ' ')
		}
	}
	p.line, p.space, p.split = false, false, false
}

// noWidth tells characters that nobody sees.
func noWidth(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == softHyphen, r == '\u034f', r == '\u115f', r == '\u1160', r == '\u17b4', r == '\u17b5', r == '\u3164', r == '\uffa0':
		return true
	case r == '\u200d', '\ufe00' <= r && r <= '\ufe0f', 0xe0020 <= r && r <= 0xe007f:
		return false // joins emoji, and letters of some scripts
	}
	return unicode.Is(unicode.Cf, r)
}

// visible is a line of text without what has no width.
func visible(s string) (string, int) {
	var p page
	n := p.flow([]byte(s))
	return string(p.b), n
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
