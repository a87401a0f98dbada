// Package inflate decompresses DEFLATE (RFC 1951) as it arrives, for protocols in which
// both sides talk in turns.
//
// What can be decompressed of the octets that came is given before more are asked for,
// whatever the other side ended its turn with: a sync flush, a partial flush, the end
// of a block. (compress/flate gives nothing before a sync flush.) It needs some 3 KB,
// and a window that grows with what came to the 32 KiB of the RFC; nothing is allocated
// by a number that stands in the stream.
package inflate

import (
	"bufio"
	"errors"
	"io"
)

// ErrCorrupt means that the stream is not DEFLATE.
var ErrCorrupt = errors.New("compressed data is corrupt")

// The window, in octets: what it begins with, and the farthest that a copy can be from.
const (
	smallWindow = 2 << 10
	wholeWindow = 32 << 10
)

// kind is what the rest of the current block is.
type kind uint8

const (
	between kind = iota // there is none
	stored
	coded
	ended // the last block is over
)

// Reader decompresses a stream. An error ends it, one of the source too: where a wait
// may be interrupted, the source has to see to that.
type Reader struct {
	in   *bufio.Reader
	bits uint64 // that came and mean nothing yet, the first one lowest
	have uint   // how many

	block  kind
	final  bool
	fixed  bool // the codes are those of RFC 1951 §3.2.6
	left   int  // octets of a stored block, or of a copy
	back   int  // distance of the copy
	window []byte
	total  int64 // octets so far
	err    error

	literals, distances code
}

// NewReader decompresses what r has. It reads not farther than the last block.
func NewReader(r *bufio.Reader) *Reader { return &Reader{in: r} }

// Read implements io.Reader. It asks for more compressed octets only as long as it has
// nothing to give.
func (d *Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && d.err == nil {
		var more int
		switch d.block {
		case between:
			if n > 0 {
				return n, nil // the next block may be long in coming
			}
			err = d.begin()
		case stored:
			more, err = d.copyStored(p[n:], n == 0)
		case coded:
			more, err = d.decode(p[n:], n == 0)
		case ended:
			d.err = io.EOF
		}
		if n += more; err == errWait {
			return n, nil
		}
		if err != nil {
			return n, d.fail(err)
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// errWait means that there is something to give before more is asked for.
var errWait = errors.New("more is needed")

// fail keeps an error. The end of the source in the midst of a stream is one.
func (d *Reader) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	d.err = err
	return err
}

// need sees to it that there are n bits.
func (d *Reader) need(n uint) error {
	for d.have < n {
		c, err := d.in.ReadByte()
		if err != nil {
			return err
		}
		d.bits |= uint64(c) << d.have
		d.have += 8
	}
	return nil
}

// take removes n bits that are there.
func (d *Reader) take(n uint) int {
	v := d.bits & (1<<n - 1)
	d.bits >>= n
	d.have -= n
	return int(v)
}

// begin reads the head of a block (RFC 1951 §3.2.3).
func (d *Reader) begin() error {
	if d.final {
		d.block = ended
		return nil
	}
	if err := d.need(3); err != nil {
		return err
	}
	d.final = d.take(1) == 1
	var err error
	switch d.take(2) {
	case 0:
		err = d.beginStored()
	case 1:
		err = d.useFixed()
	case 2:
		err = d.readCodes()
	default:
		err = ErrCorrupt
	}
	return err
}

// beginStored reads the length of a stored block (§3.2.4).
func (d *Reader) beginStored() error {
	d.take(d.have % 8)
	if err := d.need(32); err != nil {
		return err
	}
	length, check := d.take(16), d.take(16)
	if length != ^check&0xffff {
		return ErrCorrupt
	}
	d.block, d.left = stored, length
	return nil
}

// copyStored gives what a stored block has. mayWait: nothing else is there to give.
func (d *Reader) copyStored(p []byte, mayWait bool) (n int, err error) {
	for ; n < len(p) && d.left > 0; n++ {
		if d.have < 8 && d.in.Buffered() == 0 && (n > 0 || !mayWait) {
			return n, errWait
		}
		if err := d.need(8); err != nil {
			return n, err
		}
		p[n] = byte(d.take(8))
		d.keep(p[n])
		d.left--
	}
	if d.left == 0 {
		d.block = between
	}
	return n, nil
}

// decode gives what a block of codes has (§3.2.5).
func (d *Reader) decode(p []byte, mayWait bool) (n int, err error) {
	for n < len(p) {
		if d.left > 0 {
			n += d.repeat(p[n:])
			continue
		}
		s, found := d.symbol()
		if s.bits == 0 && found {
			return n, ErrCorrupt
		}
		if !found {
			if d.in.Buffered() == 0 && (n > 0 || !mayWait) {
				return n, errWait
			}
			if err := d.need(d.have + 1); err != nil {
				return n, err
			}
			continue
		}
		d.take(s.bits)
		switch {
		case s.value < endOfBlock:
			p[n] = byte(s.value)
			d.keep(p[n])
			n++
		case s.value == endOfBlock:
			d.block = between
			return n, nil
		case int64(s.back) > min(d.total, wholeWindow):
			return n, ErrCorrupt
		default:
			d.left, d.back = s.length, s.back
		}
	}
	return n, nil
}

// repeat copies from the window.
func (d *Reader) repeat(p []byte) (n int) {
	for ; n < len(p) && d.left > 0; n++ {
		p[n] = d.window[(d.total-int64(d.back))&int64(len(d.window)-1)]
		d.keep(p[n])
		d.left--
	}
	return n
}

// keep remembers an octet for copies.
func (d *Reader) keep(c byte) {
	if size := len(d.window); d.total == int64(size) && size < wholeWindow {
		grown := make([]byte, max(2*size, smallWindow))
		copy(grown, d.window)
		d.window = grown
	}
	d.window[d.total&int64(len(d.window)-1)] = c
	d.total++
}
