package policy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxAnswer is the longest answer in bytes, all its lines together.
const maxAnswer = 16 << 10

// Why an answer is none. The connection is closed after each of them.
var (
	errTooLong   = fmt.Errorf("answer is longer than %d bytes", maxAnswer)
	errTorn      = errors.New("connection closed in the middle of the answer")
	errMalformed = errors.New("malformed answer")
	errNoAction  = errors.New("answer without an action")
)

// readAnswer reads name=value lines up to the empty line and gives the action.
// Names that are not known are let pass; an action given twice is none.
func readAnswer(r *bufio.Reader) (action string, err error) {
	left, given := maxAnswer, false
	for {
		line, err := readLine(r, &left)
		if err != nil {
			return "", err
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte{'='})
		if !ok || len(name) == 0 || bytes.IndexByte(line, 0) >= 0 {
			return "", errMalformed
		}
		if string(name) != "action" {
			continue
		}
		if given {
			return "", errMalformed
		}
		action, given = string(value), true
	}
	if !given {
		return "", errNoAction
	}
	return action, nil
}

// readLine reads one line without its end; *left is what the whole answer may
// still take.
func readLine(r *bufio.Reader, left *int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return nil, errTooLong
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
		case err == io.EOF:
			return nil, errTorn
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}
