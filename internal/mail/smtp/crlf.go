package smtp

import (
	"bytes"
	"io"
)

// CRLF reads from r with every bare LF made CRLF. It is for mail that our own
// users hand in: their scripts send Unix lines, which RFC 5321 §2.3.8 does not
// have and a submission server may mend (RFC 6409 §8). What ends the data has been
// decided before, below r, and is not touched by it.
func CRLF(r io.Reader) io.Reader { return &lineMender{r: r} }

// lineMender lets mail that has only CRLF pass where it is read to; from the first
// bare LF of a read on, bytes go through buf.
type lineMender struct {
	r    io.Reader
	buf  []byte
	have []byte // of buf, not yet given
	last byte   // the byte given last
	err  error
}

// Read implements io.Reader.
func (c *lineMender) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.have) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if n = c.pass(p); n > 0 {
			return n, nil
		}
	}
	for n < len(p) && len(c.have) > 0 {
		run := c.have
		if i := bytes.IndexByte(run, '\n'); i >= 0 {
			run = run[:i]
		}
		if len(run) > 0 {
			m := copy(p[n:], run)
			c.last, c.have, n = run[m-1], c.have[m:], n+m
			continue
		}
		p[n] = '\n'
		if c.last != '\r' {
			p[n] = '\r' // and the LF in the next round
		} else {
			c.have = c.have[1:]
		}
		c.last = p[n]
		n++
	}
	return n, nil
}

// pass reads into p and tells how much of it may stay as it is. The rest is kept.
func (c *lineMender) pass(p []byte) (n int) {
	m, err := c.r.Read(p)
	if n = c.sound(p[:m]); n > 0 {
		c.last = p[n-1]
	}
	if n < m {
		c.buf = append(c.buf[:0], p[n:m]...)
		c.have = c.buf
	}
	c.err = err
	return n
}

// sound is the length of b before its first bare LF.
func (c *lineMender) sound(b []byte) int {
	last := c.last
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return len(b)
		}
		if at += i; at > 0 {
			last = b[at-1]
		}
		if last != '\r' {
			return at
		}
	}
}
