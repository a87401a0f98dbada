package message

import (
	"bytes"
	"io"
)

// sourceSize is the parser's window on the message, in bytes. It must exceed
// the longest delimiter line that we accept.
const sourceSize = 32 << 10

// source reads a message through one window and knows where it is: the offset,
// how many line ends have passed, and whether a line starts here.
type source struct {
	r      io.Reader
	buf    []byte
	lo, hi int   // buf[lo:hi] is read but not consumed
	base   int64 // offset of buf[0]
	lines  int64 // LFs consumed
	last   byte  // last byte consumed
	eol    int   // length of the line end just consumed; -1 within a line, 0 at the very start
	err    error // io.EOF or the reader's
}

func newSource(r io.Reader) source {
	return source{r: r, buf: make([]byte, sourceSize)}
}

// sourceOf reads what is in memory, without a copy.
func sourceOf(b []byte) source { return source{buf: b, hi: len(b), err: io.EOF} }

// offset is the position of the next byte.
func (s *source) offset() int64 { return s.base + int64(s.lo) }

// lineStart tells whether the next byte starts a line.
func (s *source) lineStart() bool { return s.eol >= 0 }

// pending is what can be looked at without reading.
func (s *source) pending() []byte { return s.buf[s.lo:s.hi] }

// fill reads more behind the pending bytes; false at the end, on an error, and
// when the window is full.
func (s *source) fill() bool {
	if s.err != nil || s.hi-s.lo == len(s.buf) {
		return false
	}
	if s.hi == len(s.buf) || s.lo == s.hi {
		s.base += int64(s.lo)
		s.hi = copy(s.buf, s.pending())
		s.lo = 0
	}
	for range 100 { // a reader that says (0, nil) for ever is broken
		n, err := s.r.Read(s.buf[s.hi:])
		s.hi += n
		s.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// line gives the next line with its LF, without consuming it. whole is false
// when it does not fit the window: what is there is its start. Empty: the end.
func (s *source) line() (line []byte, whole bool) {
	seen := 0
	for {
		b := s.pending()
		cut := len(b) > sourceSize // the message is in memory; a line is no longer for that
		if cut {
			b = b[:sourceSize]
		}
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 {
			return b[:seen+i+1], true
		}
		seen = len(b)
		if cut || !s.fill() {
			return b, !cut && s.err != nil
		}
	}
}

// skip consumes n pending bytes.
func (s *source) skip(n int) {
	if n == 0 {
		return
	}
	b := s.buf[s.lo : s.lo+n]
	s.lines += int64(bytes.Count(b, lf))
	before := s.last
	if n > 1 {
		before = b[n-2]
	}
	s.last = b[n-1]
	switch {
	case s.last != '\n':
		s.eol = -1
	case before == '\r':
		s.eol = 2
	default:
		s.eol = 1
	}
	s.lo += n
}

// skipAll consumes everything to the end.
func (s *source) skipAll() {
	for {
		s.skip(s.hi - s.lo)
		if !s.fill() {
			return
		}
	}
}

// skipToDashes consumes up to the next line that starts with "--", which may be
// the one that starts here; false at the end of the message.
func (s *source) skipToDashes() bool {
	for {
		for s.hi-s.lo < len(dashes) && s.fill() {
		}
		b := s.pending()
		if s.lineStart() && bytes.HasPrefix(b, dashes[1:]) {
			return true
		}
		if i := bytes.Index(b, dashes); i >= 0 {
			s.skip(i + 1)
			continue
		}
		if s.err != nil {
			s.skip(len(b))
			return false
		}
		s.skip(len(b) - len(dashes) + 1) // the delimiter may be cut by the window
		s.fill()
	}
}
