package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Data reads the message after DATA: dots unstuffed once, up to CRLF.CRLF and
// not a byte further (RFC 5321 §4.5.2). It gives every byte of the message as
// it was sent. What is wrong with the message is told at its end, by a
// *DataError in place of io.EOF, so that the dialogue stays in step.
//
// The verdict depends on the bytes only, not on how they arrive.
type Data struct {
	r     *bufio.Reader
	state dataState
	err   error
	limit int64 // octets that are given out
	given int64
	over  int64 // octets beyond limit, read and dropped

	lf, crlf int64 // how many; they differ when there is a bare LF
	fault    DataError
}

// dataState is what was last seen.
type dataState uint8

const (
	lineStart dataState = iota // CRLF, or nothing yet
	dot                        // a dot at the start of a line, not given out
	dotCR                      // that dot and CR, neither given out
	text                       // anything else
	cr                         // CR inside a line
	eod                        // CRLF.CRLF
)

// DataError tells what is wrong with a message that was read to its end.
type DataError struct {
	TooBig              bool // over the limit; the rest was read and dropped
	BareLF, BareCR, NUL bool // octets that RFC 5321 §2.3.8 and §4.5.2 forbid
}

// Error implements error.
func (e *DataError) Error() string { return e.Reply().Error() }

// Reply is the refusal after the end of data.
func (e *DataError) Reply() *Reply {
	switch {
	case e.TooBig:
		return NewReply(552, "5.3.4", "Message size exceeds fixed limit")
	case e.BareLF:
		return NewReply(550, "5.6.11", "Bare <LF> in message; lines end with <CR><LF>")
	case e.BareCR:
		return NewReply(550, "5.6.11", "Bare <CR> in message; lines end with <CR><LF>")
	}
	return NewReply(550, "5.6.11", "NUL octet in message")
}

// ErrDataEndless is what Data gives when a message over its limit goes on for
// another limit and a megabyte: only closing the connection helps.
var ErrDataEndless = errors.New("message data without end")

// maxDrain is how much is read and dropped beyond the limit, next to another
// limit: a peer that ignored a small limit deserves the 552 all the same.
const maxDrain = 1 << 20

// Reset makes d read a new message from r, of at most limit octets (unstuffed).
func (d *Data) Reset(r *bufio.Reader, limit int64) { *d = Data{r: r, limit: limit} }

// Ended tells that the end of data was seen: the stream is at the next command.
func (d *Data) Ended() bool { return d.state == eod }

// Read implements io.Reader. A connection that ends inside the message gives
// io.ErrUnexpectedEOF, or what the connection says.
func (d *Data) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for n == 0 && d.err == nil {
		if d.state == eod {
			d.err = d.verdict()
			break
		}
		n = d.fill(p)
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// fill reads what is buffered, or waits for more, and returns how much of p it
// used: 0 when all of it was dots, beyond the limit, or an error.
func (d *Data) fill(p []byte) int {
	if _, err := d.r.Peek(1); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		d.err = err
		return 0
	}
	chunk, _ := d.r.Peek(d.r.Buffered())
	wrote, used := d.step(p, chunk)
	d.lf += int64(bytes.Count(chunk[:used], []byte{'\n'}))
	d.fault.NUL = d.fault.NUL || bytes.IndexByte(chunk[:used], 0) >= 0
	d.r.Discard(used) //nolint:errcheck // these bytes were just peeked at
	return d.within(wrote)
}

// within cuts what was read down to the limit.
func (d *Data) within(n int) int {
	keep := int(min(int64(n), d.limit-d.given))
	d.given += int64(keep)
	d.over += int64(n - keep)
	if d.over > d.limit+maxDrain {
		d.err = ErrDataEndless
	}
	return keep
}

// step unstuffs src into dst until one of them is used up or data end. It is
// the grammar; each case is a state and consumes at least a byte or leaves it.
func (d *Data) step(dst, src []byte) (n, i int) {
	for i < len(src) && n < len(dst) && d.state != eod {
		c := src[i]
		switch {
		case d.state == text:
			n, i = d.line(dst, n, src, i)
		case d.state == lineStart && c == '.':
			d.state = dot
			i++
		case d.state == dot && c == '\r':
			d.state = dotCR
			i++
		case d.state == dotCR && c == '\n':
			d.state = eod
			d.crlf++
			i++
		case d.state == dotCR: // ". CR" and no LF: the CR is text, and bare
			d.fault.BareCR = true
			dst[n] = '\r'
			n++
			d.state = text
		case d.state == cr && c == '\n':
			d.state = lineStart
			d.crlf++
			dst[n] = c
			n++
			i++
		case d.state == cr:
			d.fault.BareCR = true
			d.state = text
		default: // lineStart or dot, before ordinary text
			d.state = text
		}
	}
	return n, i
}

// line copies text up to and with the next CR.
func (d *Data) line(dst []byte, n int, src []byte, i int) (int, int) {
	end := bytes.IndexByte(src[i:], '\r') + 1
	if end > 0 {
		d.state = cr
	} else {
		end = len(src) - i
	}
	k := copy(dst[n:], src[i:i+end])
	if k < end {
		d.state = text
	}
	return n + k, i + k
}

// verdict is io.EOF for a message that may be accepted.
func (d *Data) verdict() error {
	d.fault.TooBig = d.over > 0
	d.fault.BareLF = d.lf != d.crlf
	if d.fault == (DataError{}) {
		return io.EOF
	}
	fault := d.fault
	return &fault
}
