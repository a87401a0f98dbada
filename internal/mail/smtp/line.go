package smtp

import (
	"bufio"
	"bytes"
	"errors"
)

// What ReadLine can find wrong with a line. After ErrLineTooLong and
// ErrLineEnding the stream stands at the next line and may go on; after
// ErrLineEndless it does not, and is of no more use.
var (
	ErrLineTooLong = errors.New("line too long")
	ErrLineEnding  = errors.New("line does not end with CRLF, or has a bare CR")
	ErrLineEndless = errors.New("line without end")
)

// maxSkip is how many bytes of a line that is too long are read in the hope of
// its end.
const maxSkip = 64 << 10

// ReadLine reads a line of at most limit octets, CRLF included, and returns it
// without CRLF. The slice is valid until the next read. A bare LF ends the line
// too, but only to say ErrLineEnding at once: such a line is never obeyed.
// Memory is that of r, whose buffer has to hold limit bytes.
func ReadLine(r *bufio.Reader, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull:
		return nil, skipLine(r)
	case err != nil:
		return nil, err
	case len(line) > limit:
		return nil, ErrLineTooLong
	}
	// The first CR has to be the one before LF.
	end := len(line) - 2
	if end < 0 || bytes.IndexByte(line, '\r') != end {
		return nil, ErrLineEnding
	}
	return line[:end], nil
}

// skipLine reads the rest of a line that did not fit.
func skipLine(r *bufio.Reader) error {
	for skipped := 0; skipped < maxSkip; {
		part, err := r.ReadSlice('\n')
		if err != bufio.ErrBufferFull {
			if err != nil {
				return err
			}
			return ErrLineTooLong
		}
		skipped += len(part)
	}
	return ErrLineEndless
}
