package message

import (
	"io"
	"unicode/utf8"
)

// maxTextLine is the longest line of text, without CRLF (RFC 5321 §4.5.3.1.6).
const maxTextLine = 998

// look reads the message once and says of each span what it is.
func (d *downgrade) look(r io.Reader, length int64) error {
	buf := make([]byte, 32<<10)
	at, i := int64(0), 0
	c := newClassifier()
	for at < length || i < len(d.spans) {
		for i < len(d.spans) && d.spans[i].end <= at {
			s := d.spans[i]
			s.class, s.utf8 = c.verdict()
			if s.end == length && c.line > 0 && !s.header && s.part != nil && s.part.Type != "text" {
				s.class = binary8 // as text it would get a line end
			}
			c = newClassifier()
			i++
		}
		if i == len(d.spans) || at >= length {
			break
		}
		s := d.spans[i]
		n, err := r.Read(buf[:min(int64(len(buf)), s.end-at)])
		c.see(buf[:n])
		if s.header {
			s.text = append(s.text, buf[:n]...) // within Limits, or the part is tangled
		}
		at += int64(n)
		if err == io.EOF && at < length {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// classifier finds out what bytes ask of a host.
type classifier struct {
	class class
	line  int
	cr    bool
	bad   bool   // no UTF-8
	half  []byte // the beginning of a character
}

func newClassifier() *classifier { return &classifier{} }

func (c *classifier) see(p []byte) {
	for _, b := range p {
		switch {
		case b == '\n':
			c.raise(binary8, !c.cr)
			c.line = -1
		case b == 0, c.cr:
			c.class = binary8
		case b >= utf8.RuneSelf:
			c.raise(eightBitText, true)
		}
		c.cr = b == '\r'
		if !c.cr {
			c.line++
		}
		c.raise(binary8, c.line > maxTextLine)
	}
	c.spell(p)
}

func (c *classifier) raise(to class, really bool) {
	if really {
		c.class = max(c.class, to)
	}
}

// spell tells UTF-8 from other charsets.
func (c *classifier) spell(p []byte) {
	if c.bad || c.class == sevenBit && len(c.half) == 0 {
		return
	}
	p = append(c.half, p...)
	end := len(p)
	for back := 1; back < utf8.UTFMax && back <= len(p); back++ {
		if b := p[len(p)-back]; utf8.RuneStart(b) {
			if !utf8.FullRune(p[len(p)-back:]) {
				end = len(p) - back
			}
			break
		}
	}
	c.bad = !utf8.Valid(p[:end])
	c.half = append([]byte(nil), p[end:]...)
}

func (c *classifier) verdict() (class, bool) {
	c.raise(binary8, c.cr)
	return c.class, !c.bad && len(c.half) == 0
}
