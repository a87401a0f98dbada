package message

import (
	"bytes"
	"io"
	"strings"
)

// DecodeTransfer undoes a Content-Transfer-Encoding. base64 and
// quoted-printable are read as far as they make sense and never give an error
// of their own; every other encoding passes through.
//
// Base64: bytes outside the alphabet are skipped, "=" ends a group of four and
// decoding goes on after it, missing padding is supplied. Quoted-printable: a
// "=" without two hex digits stays, white space at the end of a line is
// dropped, small hex digits are taken.
func DecodeTransfer(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return &transferReader{r: r, decoder: new(base64Decoder)}
	case "quoted-printable":
		return &transferReader{r: r, decoder: new(quotedDecoder)}
	}
	return r
}

// transferDecoder decodes a stream piece by piece. The output for n bytes is at
// most n bytes and what an earlier call held back.
type transferDecoder interface {
	decode(out, in []byte) []byte
	finish(out []byte) []byte
}

// transferReader drives a decoder.
type transferReader struct {
	r       io.Reader
	decoder transferDecoder
	in      []byte
	out     []byte // decoded, not yet given
	spare   []byte // the buffer behind out
	err     error
}

func (t *transferReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if t.in == nil {
		t.in = make([]byte, 4096)
	}
	for len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		var n int
		n, t.err = t.r.Read(t.in)
		t.spare = t.decoder.decode(t.spare[:0], t.in[:n])
		if t.err != nil {
			t.spare = t.decoder.finish(t.spare)
		}
		t.out = t.spare
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// base64Decoder is lenient base64.
type base64Decoder struct{ q quantum }

func (d *base64Decoder) decode(out, in []byte) []byte {
	for _, c := range in {
		out = d.q.add(out, c)
	}
	return out
}

func (d *base64Decoder) finish(out []byte) []byte { return d.q.flush(out) }

// quantum is a group of up to four base64 digits.
type quantum struct {
	bits uint32
	n    int
}

// add takes a byte of the encoded text.
func (q *quantum) add(out []byte, c byte) []byte {
	v := base64Value(c)
	if v < 0 {
		if c == '=' {
			return q.flush(out)
		}
		return out
	}
	q.bits = q.bits<<6 | uint32(v)
	if q.n++; q.n < 4 {
		return out
	}
	out = append(out, byte(q.bits>>16), byte(q.bits>>8), byte(q.bits))
	*q = quantum{}
	return out
}

// flush gives what an unfinished group holds.
func (q *quantum) flush(out []byte) []byte {
	switch q.n {
	case 2:
		out = append(out, byte(q.bits>>4))
	case 3:
		out = append(out, byte(q.bits>>10), byte(q.bits>>2))
	}
	*q = quantum{}
	return out
}

// base64Value gives the value of a base64 digit, or -1.
func base64Value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// maxHeldSpace is how much white space is held back until it is known whether
// the line ends after it, in bytes.
const maxHeldSpace = 1024

// quotedDecoder is lenient quoted-printable (RFC 2045 §6.7).
type quotedDecoder struct {
	held []byte // white space, or an escape not yet complete
}

func (d *quotedDecoder) decode(out, in []byte) []byte {
	for len(in) > 0 {
		if len(d.held) == 0 {
			n := bytes.IndexAny(in, "= \t\r\n")
			if n < 0 {
				return append(out, in...)
			}
			out, in = append(out, in[:n]...), in[n:]
		}
		out = d.add(out, in[0])
		in = in[1:]
	}
	return out
}

// add takes one byte, given what is held back.
func (d *quotedDecoder) add(out []byte, c byte) []byte {
	if len(d.held) > 0 && d.held[0] == '=' {
		return d.escape(out, c)
	}
	switch c {
	case '=':
		out = append(out, d.held...)
		d.held = append(d.held[:0], c)
	case ' ', '\t', '\r':
		if len(d.held) >= maxHeldSpace {
			out = append(out, d.held...)
			d.held = d.held[:0]
		}
		d.held = append(d.held, c)
	case '\n':
		if bytes.HasSuffix(d.held, []byte("\r")) {
			out = append(out, '\r')
		}
		out = append(out, c)
		d.held = d.held[:0]
	default:
		out = append(append(out, d.held...), c)
		d.held = d.held[:0]
	}
	return out
}

// escape goes on after a "=": two hex digits, or a soft line break with white
// space before the line end.
func (d *quotedDecoder) escape(out []byte, c byte) []byte {
	second := len(d.held) == 2
	switch {
	case second && unhex(d.held[1]) >= 0:
		if unhex(c) >= 0 {
			out = append(out, byte(unhex(d.held[1])<<4|unhex(c)))
			d.held = d.held[:0]
			return out
		}
	case len(d.held) == 1 && unhex(c) >= 0:
		d.held = append(d.held, c)
		return out
	case c == '\n':
		d.held = d.held[:0]
		return out
	case (c == ' ' || c == '\t' || c == '\r') && len(d.held) < maxHeldSpace:
		d.held = append(d.held, c)
		return out
	}
	out = append(out, d.held...) // no escape: as it stands
	d.held = d.held[:0]
	return d.add(out, c)
}

func (d *quotedDecoder) finish(out []byte) []byte {
	if len(d.held) > 0 && d.held[0] == '=' {
		if rest := bytes.Trim(d.held[1:], " \t\r"); len(rest) > 0 {
			out = append(out, d.held...)
		}
	}
	d.held = d.held[:0]
	return out
}
