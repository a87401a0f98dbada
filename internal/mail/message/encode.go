package message

import (
	"encoding/base64"
	"io"
)

// maxEncodedLine is how long an encoded line is, without CRLF (RFC 2045 §6.7, §6.8).
const maxEncodedLine = 76

// newEncoder reads r in a transfer encoding, "base64" or "quoted-printable".
func newEncoder(encoding string, r io.Reader) io.Reader {
	if encoding == "base64" {
		return &transferReader{r: r, decoder: &base64Encoder{}}
	}
	return &transferReader{r: r, decoder: &quotedEncoder{}}
}

// base64Encoder writes lines of 76 characters.
type base64Encoder struct {
	held []byte // less than a line's worth
}

// lineBytes is what one line of base64 holds.
const lineBytes = maxEncodedLine / 4 * 3

func (e *base64Encoder) decode(out, in []byte) []byte {
	e.held = append(e.held, in...)
	n := 0
	for ; len(e.held)-n > lineBytes; n += lineBytes { // the last line waits: it has no CRLF before a boundary
		out = base64.StdEncoding.AppendEncode(out, e.held[n:n+lineBytes])
		out = append(out, '\r', '\n')
	}
	e.held = append(e.held[:0], e.held[n:]...)
	return out
}

func (e *base64Encoder) finish(out []byte) []byte {
	out = base64.StdEncoding.AppendEncode(out, e.held)
	e.held = e.held[:0]
	return out
}

// quotedEncoder writes quoted-printable for text whose lines end with CRLF.
type quotedEncoder struct {
	line int
	held []byte // white space, or CR, before what is not known yet
}

const hexDigits = "0123456789ABCDEF"

func (e *quotedEncoder) decode(out, in []byte) []byte {
	for _, c := range in {
		out = e.add(out, c)
	}
	return out
}

func (e *quotedEncoder) add(out []byte, c byte) []byte {
	if c == '\n' && len(e.held) > 0 && e.held[len(e.held)-1] == '\r' {
		out = e.blanks(out, e.held[:len(e.held)-1], true)
		e.held, e.line = e.held[:0], 0
		return append(out, '\r', '\n')
	}
	if len(e.held) > 0 && (e.held[len(e.held)-1] == '\r' || c != '\r') {
		out = e.blanks(out, e.held, false)
		e.held = e.held[:0]
	}
	if c == ' ' || c == '\t' || c == '\r' {
		e.held = append(e.held, c)
		return out
	}
	if c > ' ' && c < 0x7f && c != '=' {
		if out = e.room(out, 1); c != '-' || e.line > 1 {
			return append(out, c)
		}
		e.line-- // a soft break must not make a delimiter of what is none
	}
	return e.escape(out, c)
}

// blanks writes what was held back. At the end of a line the last blank is escaped; a
// CR that ends no line always is.
func (e *quotedEncoder) blanks(out, held []byte, last bool) []byte {
	for i, c := range held {
		if c == '\r' || last && i == len(held)-1 {
			out = e.escape(out, c)
			continue
		}
		out = append(e.room(out, 1), c)
	}
	return out
}

func (e *quotedEncoder) escape(out []byte, c byte) []byte {
	return append(e.room(out, 3), '=', hexDigits[c>>4], hexDigits[c&15])
}

// room breaks the line where n characters and a "=" do not fit in any more.
func (e *quotedEncoder) room(out []byte, n int) []byte {
	if e.line+n >= maxEncodedLine {
		out = append(out, '=', '\r', '\n')
		e.line = 0
	}
	e.line += n
	return out
}

func (e *quotedEncoder) finish(out []byte) []byte {
	out = e.blanks(out, e.held, true)
	e.held = e.held[:0]
	return out
}
