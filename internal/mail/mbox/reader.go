package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
)

const (
	bufferSize = 64 << 10
	maxHeader  = 256 << 10 // bytes of a header that are looked at
)

// ErrNotMbox is a file that does not begin as an mbox does.
var ErrNotMbox = errors.New("not an mbox: it does not begin with a line \"From \"")

// Reader reads the letters of an mbox, one after the other.
type Reader struct {
	in   *bufio.Reader
	at   io.ReaderAt // the same bytes, to see whether a Content-Length fits; may be nil
	pos  int64       // of in
	from string      // the line of the next letter
	begun,
	ended bool
	zone *time.Location
	base Base
	open *Letter
}

// Base is what an IMAP server keeps in the first letter of an mbox.
type Base struct {
	Validity uint32 // UIDVALIDITY; 0: none
	LastUID  uint32
	Keywords []string
}

// Letter is one of an mbox. Its bytes are read from it until io.EOF, before the next one.
type Letter struct {
	From     string    // the line, without "From " and line end
	Received time.Time // of that line; zero: it has none
	Marks    Marks
	Head     []byte // the header as it is given, or the first 256 KiB of it
	// Size is how many bytes of the file it takes, once it was read.
	Size int64

	r      *Reader
	start  int64
	out    []byte // converted, to be given
	exact  int64  // bytes left by Content-Length; -1: it ends at the next From line
	line   bool   // in the middle of a long line
	cr     bool   // its last byte was a CR that was not given yet
	blank  bool   // the last line was empty and was not given yet
	first  bool   // nothing of the body was read
	header bool   // still in a header that was too long to look at
	done   bool
	failed error
}

// NewReader reads an mbox. If r is an io.ReaderAt as well, such as a file that is at its
// beginning, Content-Length is heeded. Dates without a zone are those of zone; nil: UTC.
func NewReader(r io.Reader, zone *time.Location) *Reader {
	if zone == nil {
		zone = time.UTC
	}
	at, _ := r.(io.ReaderAt)
	return &Reader{in: bufio.NewReaderSize(r, bufferSize), at: at, zone: zone}
}

// Base is what was read so far of X-IMAPbase or X-IMAP.
func (r *Reader) Base() Base { return r.base }

// Offset is how many bytes were read.
func (r *Reader) Offset() int64 { return r.pos }

// Next gives the next letter, passing over what is left of the last one; io.EOF after the
// last. The letter in which UW-IMAP keeps its own data is none.
func (r *Reader) Next() (*Letter, error) {
	for {
		if r.open != nil {
			if _, err := io.Copy(io.Discard, r.open); err != nil {
				return nil, err
			}
		}
		l, err := r.next()
		if err != nil || !l.Marks.internal {
			return l, err
		}
	}
}

func (r *Reader) next() (*Letter, error) {
	if !r.begun {
		r.begun = true
		if err := r.begin(); err != nil {
			return nil, err
		}
	}
	if r.ended {
		return nil, io.EOF
	}
	l := &Letter{From: r.from, r: r, start: r.pos, exact: -1, first: true}
	l.Received, _ = fromDate(r.from, r.zone)
	r.open = l
	return l, l.readHead()
}

// begin reads the first line, behind empty ones.
func (r *Reader) begin() error {
	for {
		line, err := r.slice()
		switch {
		case err == io.EOF && len(line) == 0:
			r.ended = true
			return nil
		case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
			return err
		case len(bytes.TrimRight(line, "\r\n")) == 0 && err == nil:
			continue
		case !bytes.HasPrefix(line, fromMark):
			return ErrNotMbox
		}
		r.from = fromText(line)
		if err == bufio.ErrBufferFull {
			return r.skipLine()
		}
		return nil
	}
}

var fromMark = []byte("From ")

// fromText is the line without "From " and line end.
func fromText(line []byte) string {
	return string(bytes.TrimRight(line[len(fromMark):], "\r\n"))
}

// slice is ReadSlice by lines, counted: a part of a long line is bufio.ErrBufferFull.
func (r *Reader) slice() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	r.pos += int64(len(line))
	return line, err
}

func (r *Reader) skipLine() error {
	for {
		if _, err := r.slice(); err != bufio.ErrBufferFull {
			if err == io.EOF {
				err = nil
			}
			return err
		}
	}
}

// readHead reads the header up to its empty line, and what is said in it.
func (l *Letter) readHead() error {
	var raw bytes.Buffer
	for {
		if l.header = raw.Len() > maxHeader; l.header {
			break
		}
		if r := l.r; peeksFrom(r, raw.Len() == 0) {
			return l.endHead(raw.Bytes()) // a header without an end, and no letter
		}
		line, err := l.r.slice()
		raw.Write(line)
		if err == bufio.ErrBufferFull {
			l.line, l.header = true, true
			break
		}
		if err == io.EOF {
			l.r.ended, l.done = true, true
			break
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	return l.endHead(raw.Bytes())
}

// peeksFrom: a header that is followed by the next letter at once has no empty line.
func peeksFrom(r *Reader, first bool) bool {
	if first {
		return false
	}
	start, _ := r.in.Peek(len(fromMark))
	if !bytes.Equal(start, fromMark) {
		return false
	}
	some, _ := r.in.Peek(maxFromLine)
	if i := bytes.IndexByte(some, '\n'); i >= 0 {
		some = some[:i]
	}
	_, ok := fromDate(string(some[len(fromMark):]), r.zone)
	return ok
}

// endHead takes the header in.
func (l *Letter) endHead(raw []byte) error {
	var length int64
	l.Head, l.Marks, length = strip(raw, &l.r.base)
	l.out = l.Head
	if !l.header && !l.done && length >= 0 && l.r.fits(length) {
		l.exact = length
	}
	return nil
}

// fits tells whether a letter of so many bytes ends where the next one begins.
func (r *Reader) fits(length int64) bool {
	if r.at == nil || length > 1<<50 {
		return false
	}
	buf := make([]byte, len("\r\nFrom "))
	n, err := r.at.ReadAt(buf, r.pos+length)
	if n == 0 && err == io.EOF {
		if length == 0 {
			return true
		}
		n, _ = r.at.ReadAt(buf[:1], r.pos+length-1)
		return n == 1 // the end of the file, not beyond it
	}
	rest := bytes.TrimPrefix(bytes.TrimPrefix(buf[:n], []byte("\r")), []byte("\n"))
	if len(rest) == 0 {
		return err == io.EOF
	}
	return len(rest) < n && bytes.HasPrefix(rest, fromMark)
}
