package program

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"facteur/internal/mail/message"
)

// maxHeader is how much of the header is searched for a loop, in bytes.
const maxHeader = 256 << 10

// loops tells whether a message has been here before for one of its recipients, as the
// Delivered-To fields of flag D say. The reader gives the whole message.
func (p *Program) loops(l *Letter, body io.Reader) (io.Reader, error) {
	if !p.flag('D') {
		return body, nil
	}
	header, rest, err := message.ReadHeader(body, maxHeader)
	if err != nil && err != message.ErrHeaderTooLong {
		return nil, err
	}
	for _, been := range header.All("Delivered-To") {
		for _, r := range l.Recipients {
			if strings.EqualFold(strings.TrimSpace(been), written(r.Address, true)) {
				return nil, &loopError{written(r.Address, true)}
			}
		}
	}
	return io.MultiReader(bytes.NewReader(header), rest), nil
}

type loopError struct{ address string }

// Error implements error.
func (e *loopError) Error() string { return "mail forwarding loop for " + e.address }

// front is what stands before the message.
func (p *Program) front(l *Letter) []byte {
	var b bytes.Buffer
	eol := p.settings.EOL
	if p.flag('F') {
		fmt.Fprintf(&b, "From %s  %s%s", strings.ReplaceAll(p.sender(l, true), " ", "_"), l.Now.Format("Mon Jan _2 15:04:05 2006"), eol)
	}
	if p.flag('R') {
		fmt.Fprintf(&b, "Return-Path: <%s>%s", p.sender(l, true), eol)
	}
	for _, r := range l.Recipients {
		if p.flag('O') {
			fmt.Fprintf(&b, "X-Original-To: %s%s", written(r.Original, true), eol)
		}
		if p.flag('D') {
			fmt.Fprintf(&b, "Delivered-To: %s%s", written(r.Address, true), eol)
		}
	}
	return b.Bytes()
}

// copyTo writes the message as the program wants it.
func (p *Program) copyTo(w io.Writer, l *Letter, body io.Reader) error {
	out := bufio.NewWriterSize(w, 32<<10)
	out.Write(p.front(l))
	in := bufio.NewReaderSize(body, 32<<10)
	for start := true; ; {
		line, err := in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return &sourceError{err}
		}
		ended := bytes.HasSuffix(line, []byte("\n"))
		if ended {
			line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
		}
		if start {
			out.WriteString(p.quote(line))
		}
		if !ended && err == bufio.ErrBufferFull && bytes.HasSuffix(line, []byte("\r")) {
			in.UnreadByte() // perhaps the first half of CRLF
			line = line[:len(line)-1]
		}
		out.Write(line)
		if ended || err == io.EOF && len(line) > 0 {
			out.WriteString(p.settings.EOL)
		}
		if start = ended; err == io.EOF {
			break
		}
	}
	if p.flag('B') {
		out.WriteString(p.settings.EOL)
	}
	return out.Flush()
}

// quote is what has to stand before a line.
func (p *Program) quote(line []byte) string {
	switch {
	case p.flag('>') && bytes.HasPrefix(line, []byte("From ")):
		return ">"
	case p.flag('.') && bytes.HasPrefix(line, []byte(".")):
		return "."
	}
	return ""
}

// sourceError is a message that can't be read: our fault, and not the program's.
type sourceError struct{ err error }

// Error implements error.
func (e *sourceError) Error() string { return "message can't be read: " + e.err.Error() }

// Unwrap gives the reason.
func (e *sourceError) Unwrap() error { return e.err }
