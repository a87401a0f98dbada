package smtpc

import "io"

// Fit lowers what an envelope asks of the peer to what the message needs, where
// the peer offers less: a message that was called binary or internationalised, and
// is not, may go as what it is (RFC 3030 §3, RFC 6531 §3.6). body is read only
// then, and is at its start afterwards. Nothing is converted.
func (c *Conn) Fit(env Envelope, body io.ReadSeeker) (Envelope, error) {
	x := c.ext
	binary := env.Binary && !(x.BinaryMIME && x.Chunking)
	if !binary && !(env.UTF8 && !x.UTF8) {
		return env, nil
	}
	n, err := examine(body)
	if err != nil {
		return env, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return env, err
	}
	if binary && n.text {
		env.Binary, env.Body8Bit = false, n.eightBit
	}
	if env.UTF8 && !x.UTF8 && !n.header8Bit {
		env.UTF8, env.Body8Bit = false, env.Body8Bit || n.eightBit
	}
	return env, nil
}

// nature is what a message is made of.
type nature struct {
	text       bool // lines that end with CRLF, of at most maxLine bytes, without NUL
	eightBit   bool
	header8Bit bool
}

// maxLine is the longest line of text, without CRLF (RFC 5321 §4.5.3.1.6).
const maxLine = 998

// examine reads a message to its end.
func examine(r io.Reader) (nature, error) {
	n, x := nature{text: true}, examiner{header: true}
	buf := make([]byte, 32<<10)
	for {
		k, err := r.Read(buf)
		for _, c := range buf[:k] {
			x.see(&n, c)
		}
		if err == io.EOF {
			n.text = n.text && x.line == 0 && !x.cr
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// examiner is where examine stands.
type examiner struct {
	line   int // bytes of this line so far
	cr     bool
	header bool
}

func (x *examiner) see(n *nature, c byte) {
	if c == '\n' {
		n.text = n.text && x.cr
		x.header = x.header && x.line > 0
		x.line, x.cr = 0, false
		return
	}
	if c >= 0x80 {
		n.eightBit = true
		n.header8Bit = n.header8Bit || x.header
	}
	n.text = n.text && !x.cr && c != 0
	if x.cr = c == '\r'; !x.cr {
		x.line++
	}
	n.text = n.text && x.line <= maxLine
}
