package imap

import (
	"bufio"
	"io"
	"strconv"
	"time"
)

// Encoder writes responses. Its methods don't report errors: the writer below
// remembers the first one, and Flush tells it.
type Encoder struct {
	w    *bufio.Writer
	utf8 bool // strings and mailbox names may be UTF-8
}

// NewEncoder writes to w.
func NewEncoder(w *bufio.Writer) *Encoder { return &Encoder{w: w} }

// SetUTF8 writes UTF-8 into quoted strings and mailbox names, which a client can
// read after ENABLE of IMAP4rev2 (RFC 9051 §4.3, §5.1) or UTF8=ACCEPT (RFC 9755 §3).
func (e *Encoder) SetUTF8(on bool) { e.utf8 = on }

// SetWriter continues on another stream; nil while there is none. What the old one had
// buffered stays there.
func (e *Encoder) SetWriter(w *bufio.Writer) { e.w = w }

// Writer is what the Encoder writes to, for the body of a literal.
func (e *Encoder) Writer() io.Writer { return e.w }

// Flush sends what is buffered.
func (e *Encoder) Flush() error { return e.w.Flush() }

// Raw writes text that is IMAP already.
func (e *Encoder) Raw(s string) { e.w.WriteString(s) }

// Number writes a number.
func (e *Encoder) Number(n int64) {
	var b [20]byte
	e.w.Write(strconv.AppendInt(b[:0], n, 10))
}

// maxQuoted is the longest string that is quoted, in octets; clients read lines
// into buffers.
const maxQuoted = 1000

// String writes a string: quoted where that can be, else a literal. A NUL can
// stand in neither and is left out.
func (e *Encoder) String(s string) { e.write(func(f form) form { return f.string(s) }) }

// write appends to the free room of the buffer.
func (e *Encoder) write(words func(form) form) {
	e.w.Write(words(form{e.w.AvailableBuffer(), e.utf8}).b)
}

// NString writes a string, and NIL for "".
func (e *Encoder) NString(s string) {
	if s == "" {
		e.Raw("NIL")
		return
	}
	e.String(s)
}

// AString writes an atom where that can be, else a string.
func (e *Encoder) AString(s string) { e.write(func(f form) form { return f.astring(s) }) }

// Mailbox writes a mailbox name, given in UTF-8.
func (e *Encoder) Mailbox(name string) {
	if e.utf8 {
		e.AString(name)
		return
	}
	e.AString(EncodeUTF7(name))
}

// Literal announces n octets, which are to be written next.
func (e *Encoder) Literal(n int64) {
	e.w.Write(form{b: e.w.AvailableBuffer()}.raw("{").number(n).raw("}\r\n").b)
}

// Bytes writes what is IMAP already, or the body of a literal. The error is that of
// the connection.
func (e *Encoder) Bytes(p []byte) error {
	_, err := e.w.Write(p)
	return err
}

// DateTime writes a time as INTERNALDATE has it, between quotes.
func (e *Encoder) DateTime(t time.Time) {
	e.w.Write(append(appendDateTime(append(e.w.AvailableBuffer(), '"'), t), '"'))
}

// Flags writes a list of flags.
func (e *Encoder) Flags(flags []string) {
	b := append(e.w.AvailableBuffer(), '(')
	for i, f := range flags {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, f...)
	}
	e.w.Write(append(b, ')'))
}
