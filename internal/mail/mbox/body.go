package mbox

import (
	"bufio"
	"bytes"
	"io"
)

// maxFromLine is how long a From line may be that is believed, in bytes.
const maxFromLine = 1000

// Read implements io.Reader: header and body, with CRLF.
func (l *Letter) Read(p []byte) (int, error) {
	for len(l.out) == 0 {
		if l.done {
			l.r.open = nil
			if l.Size == 0 {
				l.Size = l.r.pos - l.start
			}
			return 0, io.EOF
		}
		if l.failed != nil {
			return 0, l.failed
		}
		if err := l.fill(); err != nil {
			l.failed = err
		}
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// fill converts the next part of the body into out, or ends the letter.
func (l *Letter) fill() error {
	l.out = l.out[:0:0]
	if l.exact >= 0 {
		return l.fillExact()
	}
	part, err := l.r.slice()
	whole := err == nil
	if err == io.EOF {
		l.r.ended, l.done = true, true
	} else if err != nil && err != bufio.ErrBufferFull {
		return err
	}
	if l.done && len(part) == 0 && !l.cr {
		return nil // an empty line before it is the mbox's
	}
	start := !l.line
	l.line = !whole
	if start && l.separates(part, whole || l.done) {
		l.Size = l.r.pos - l.start - int64(len(part))
		l.r.ended, l.done, l.r.from = false, true, fromText(part)
		return nil
	}
	if start && !l.header {
		part = unquoted(part)
	}
	empty := start && whole && len(bytes.TrimRight(part, "\r\n")) == 0
	if empty && l.header {
		l.header = false // the end of a long header
		l.emit(part, whole)
		l.blank = false
		return nil
	}
	if l.blank {
		l.out = append(l.out, '\r', '\n')
		l.blank = false
	}
	if empty {
		l.blank = true // unless it is what stands before the next letter
		return nil
	}
	l.emit(part, whole)
	return nil
}

// separates tells whether a line begins another letter. It stands behind an empty one, or
// behind the header's.
func (l *Letter) separates(line []byte, whole bool) bool {
	behind := l.blank || l.first && !l.header
	l.first = false
	if !behind || !whole || len(line) > maxFromLine || !bytes.HasPrefix(line, fromMark) {
		return false
	}
	_, ok := fromDate(fromText(line), l.r.zone)
	return ok
}

// unquoted takes one ">" away from ">From ", ">>From ", ….
func unquoted(line []byte) []byte {
	if len(line) == 0 || line[0] != '>' {
		return line
	}
	rest := bytes.TrimLeft(line, ">")
	if bytes.HasPrefix(rest, fromMark) {
		return line[1:]
	}
	return line
}

// emit gives a part of a line, with CRLF if it has its end.
func (l *Letter) emit(part []byte, whole bool) {
	if l.cr {
		l.cr = false
		if !bytes.Equal(part, []byte("\n")) || !whole {
			l.out = append(l.out, '\r')
		}
	}
	if whole {
		part = part[:len(part)-1]
		part = bytes.TrimSuffix(part, []byte("\r"))
		l.out = append(append(l.out, part...), '\r', '\n')
		return
	}
	if n := len(part); n > 0 && part[n-1] == '\r' && !l.done {
		l.cr, part = true, part[:n-1]
	}
	l.out = append(l.out, part...)
}

// fillExact gives what Content-Length says, then finds the next letter.
func (l *Letter) fillExact() error {
	if l.exact == 0 {
		l.Size = l.r.pos - l.start
		l.done = true
		return l.r.begin0()
	}
	part, err := l.r.in.Peek(int(min(l.exact, bufferSize)))
	if len(part) == 0 {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	whole := false
	if i := bytes.IndexByte(part, '\n'); i >= 0 {
		part, whole = part[:i+1], true
	}
	l.emit(part, whole)
	l.exact -= int64(len(part))
	l.r.pos += int64(len(part))
	l.r.in.Discard(len(part))
	if l.exact == 0 && l.cr {
		l.out, l.cr = append(l.out, '\r'), false
	}
	return nil
}

// begin0 reads up to the From line of the next letter, where fits has seen one.
func (r *Reader) begin0() error {
	err := r.begin()
	if err == ErrNotMbox {
		return io.ErrUnexpectedEOF // the file was changed meanwhile
	}
	return err
}
