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

type lineMender struct {
	r    io.Reader
	buf  [4096]byte
	have []byte // of buf, not yet given
	last byte   // the byte given last
	err  error
}

// Read implements io.Reader.
func (c *lineMender) Read(p []byte) (n int, err error) {
	for len(c.have) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		m, err := c.r.Read(c.buf[:])
		c.have, c.err = c.buf[:m], err
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
