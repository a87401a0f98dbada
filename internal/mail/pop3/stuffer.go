package pop3

import (
	"bytes"
	"io"
)

// Stuffer writes a message as a multi-line answer (RFC 1939 §3): a line that begins
// with a dot gets another. Nothing else is changed: what the message has of octets
// beyond ASCII and of bare CRs is its own. Its lines must end with CRLF.
type Stuffer struct {
	w    io.Writer
	mid  bool // in the midst of a line
	size int64

	// For Top: what is left of the message's lines to write, and whether the empty
	// line after the header was seen.
	bounded, body bool
	lines         uint32
	empty         bool // nothing in this line so far but CR
}

// NewStuffer writes to w.
func NewStuffer(w io.Writer) *Stuffer { return &Stuffer{w: w, empty: true} }

// Top lets the header pass, the empty line, and so many lines of the body.
func (s *Stuffer) Top(lines uint32) { s.bounded, s.lines = true, lines }

// Size is how many octets were written.
func (s *Stuffer) Size() int64 { return s.size }

// Write implements io.Writer. When Top has all that it wants, the error is io.EOF.
func (s *Stuffer) Write(p []byte) (n int, err error) {
	if !s.bounded {
		return s.all(p)
	}
	for n < len(p) {
		if s.bounded && s.body && s.lines == 0 && !s.mid {
			return n, io.EOF
		}
		line, whole := p[n:], false
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line, whole = line[:end+1], true
		}
		if err := s.part(line, whole); err != nil {
			return n, err
		}
		n += len(line)
	}
	return n, nil
}

// all writes without a look at each line: only dots at their begin count.
func (s *Stuffer) all(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:]
		if i := bytes.Index(piece, []byte("\n.")); i >= 0 {
			piece = piece[:i+1]
		}
		if !s.mid && piece[0] == '.' {
			if err := s.put([]byte{'.'}); err != nil {
				return n, err
			}
		}
		if err := s.put(piece); err != nil {
			return n, err
		}
		s.mid = piece[len(piece)-1] != '\n'
		n += len(piece)
	}
	return n, nil
}

// part writes a line, or what there is of it.
func (s *Stuffer) part(line []byte, whole bool) error {
	if !s.mid && line[0] == '.' {
		if err := s.put([]byte{'.'}); err != nil {
			return err
		}
	}
	if err := s.put(line); err != nil {
		return err
	}
	s.empty = s.empty && len(bytes.Trim(line, "\r\n")) == 0
	s.mid = !whole
	if whole {
		s.ended()
	}
	return nil
}

// ended counts a line.
func (s *Stuffer) ended() {
	if s.body && s.lines > 0 {
		s.lines--
	}
	s.body = s.body || s.empty
	s.empty = true
}

func (s *Stuffer) put(p []byte) error {
	n, err := s.w.Write(p)
	s.size += int64(n)
	return err
}

// Close writes the line end that the message lacks, and the dot.
func (s *Stuffer) Close() error {
	end := ".\r\n"
	if s.mid {
		end = "\r\n" + end
	}
	_, err := io.WriteString(s.w, end)
	return err
}
