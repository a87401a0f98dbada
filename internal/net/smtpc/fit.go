package smtpc

import (
	"errors"
	"io"

	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// Fit lowers what an envelope asks of the peer to what the message needs, where
// the peer offers less: a message that was called binary, 8-bit or internationalised,
// and is not, may go as what it is (RFC 3030 §3, RFC 6152 §3, RFC 6531 §3.6). Where that
// is not enough, binary and 8-bit parts are converted to base64 and quoted-printable as
// Send reads them: the signatures of the message break, but it arrives, which for most
// mail that has none counts for more. What can't be converted stays, and Send says so
// (5.6.3). body is read only then, and is at its start afterwards.
func (c *Conn) Fit(env Envelope, body io.ReadSeeker) (Envelope, error) {
	x := &c.ext
	if !env.tooMuch(x) && !(env.UTF8 && !x.UTF8) {
		return env, nil
	}
	n, err := examine(body)
	if err != nil {
		return env, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return env, err
	}
	if env.tooMuch(x) && env.Binary && n.text {
		env.Binary, env.Body8Bit = false, n.eightBit
	}
	if env.UTF8 && !x.UTF8 && !n.header8Bit {
		env.UTF8, env.Body8Bit = false, env.Body8Bit || n.eightBit
	}
	env.Body8Bit = env.Body8Bit && n.eightBit
	if env.tooMuch(x) && (x.UTF8 || !env.needsUTF8()) {
		return env.convert(x, body)
	}
	return env, nil
}

// tooMuch tells whether the message's bytes are more than a peer takes.
func (e *Envelope) tooMuch(x *smtp.Extensions) bool {
	return e.Binary && !(x.BinaryMIME && x.Chunking) || e.Body8Bit && !x.EightBitMIME
}

// convert finds out how the message can go all the same.
func (e Envelope) convert(x *smtp.Extensions, body io.ReadSeeker) (Envelope, error) {
	conversion, err := message.Downgrade(body, x.EightBitMIME)
	switch {
	case errors.Is(err, message.ErrNotConvertible):
		_, err = body.Seek(0, io.SeekStart)
		return e, err
	case err != nil:
		return e, err
	}
	e.conversion, e.Size = conversion, conversion.Size()
	e.Body8Bit, e.Binary = x.EightBitMIME, false
	return e, nil
}

// converted is the message as the peer gets it.
func (e *Envelope) converted(body io.Reader) io.Reader {
	if e.conversion == nil {
		return body
	}
	return e.conversion.Reader(body)
}

// Converted takes over what Fit found out: it gives the message as the peer gets it, to be
// read from its start as often as wanted, and Send does not convert it any more. Without a
// conversion that is body itself.
func (e *Envelope) Converted(body io.ReadSeeker) (text io.ReadSeeker, changed bool) {
	if e.conversion == nil {
		return body, false
	}
	c := &conversionReader{conversion: e.conversion, body: body}
	e.conversion = nil
	return c, true
}

// conversionReader reads a converted message, from its start only.
type conversionReader struct {
	conversion *message.Conversion
	body       io.ReadSeeker
	text       io.Reader // nil at the start
}

// Read implements io.Reader.
func (c *conversionReader) Read(p []byte) (int, error) {
	if c.text == nil {
		if _, err := c.body.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		c.text = c.conversion.Reader(c.body)
	}
	return c.text.Read(p)
}

// errNotFromStart says that a converted message can't be read from its middle.
var errNotFromStart = errors.New("a converted message is read from its start")

// Seek goes back to the start, and reads on to any other place.
func (c *conversionReader) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 {
		return 0, errNotFromStart
	}
	c.text = nil
	return io.CopyN(io.Discard, c, offset)
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
