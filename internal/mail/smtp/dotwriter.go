package smtp

import (
	"bytes"
	"io"
)

// DotWriter writes a message as DATA wants it (RFC 5321 §4.5.2): a dot at the
// start of a line is doubled, and Close writes the end. Every line goes out
// with CRLF: a bare CR or LF becomes one, so what we send can never be read as
// the end of data by a peer with another notion of a line. A message that was
// accepted over SMTP has none and passes unchanged.
type DotWriter struct {
	w    io.Writer
	last byte // the last octet written: LF at the start of a line
	cr   bool // the last octet given was CR; it is not written yet
	buf  []byte
}

var (
	crlf    = []byte("\r\n")
	dotCRLF = []byte(".\r\n")
	oneDot  = dotCRLF[:1]
)

// NewDotWriter writes to w, which should be buffered.
func NewDotWriter(w io.Writer) *DotWriter { return &DotWriter{w: w, last: '\n'} }

// Reset begins another message, to w.
func (d *DotWriter) Reset(w io.Writer) { *d = DotWriter{w: w, last: '\n', buf: d.buf[:0]} }

// Write implements io.Writer.
func (d *DotWriter) Write(p []byte) (int, error) {
	d.buf = d.buf[:0]
	for rest := p; len(rest) > 0; {
		rest = d.span(rest)
		if len(d.buf) >= 32<<10 || len(rest) == 0 {
			if _, err := d.w.Write(d.buf); err != nil {
				return 0, err
			}
			d.buf = d.buf[:0]
		}
	}
	return len(p), nil
}

// span takes one line, or what there is of it, and returns what follows.
func (d *DotWriter) span(p []byte) []byte {
	if d.cr {
		d.cr = false
		d.put(crlf)
		if p[0] == '\n' {
			return p[1:]
		}
	}
	if p[0] == '.' && d.last == '\n' {
		d.put(oneDot)
	}
	line, rest, ended := bytes.Cut(p, crlf[1:])
	if i := bytes.IndexByte(line, '\r'); i >= 0 && !(ended && i == len(line)-1) {
		d.cr = true // bare, or the first half of CRLF
		d.put(line[:i])
		return p[i+1:]
	}
	d.put(bytes.TrimSuffix(line, crlf[:1]))
	if ended {
		d.put(crlf)
	}
	return rest
}

func (d *DotWriter) put(p []byte) {
	if len(p) > 0 {
		d.buf = append(d.buf, p...)
		d.last = p[len(p)-1]
	}
}

// Close ends the last line if need be and writes ".CRLF". It does not close w.
func (d *DotWriter) Close() error {
	d.buf = d.buf[:0]
	if d.cr || d.last != '\n' {
		d.put(crlf)
	}
	d.put(dotCRLF)
	_, err := d.w.Write(d.buf)
	return err
}
