package imap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Limits bound what one command may cost (ATTACKS IMAP-002 to IMAP-004).
type Limits struct {
	Line         int   // octets of all the lines of a command, literals apart
	Literals     int   // literals in a command
	LiteralBytes int64 // octets of all literals of a command, but APPEND's
	Depth        int   // nested parentheses, NOT and OR
	Terms        int   // search keys
}

// BeforeLogin are the limits for a client that nobody knows yet.
func BeforeLogin() Limits {
	return Limits{Line: 12 << 10, Literals: 16, LiteralBytes: 8 << 10, Depth: 1, Terms: 1}
}

// AfterLogin are the limits for a user of ours.
func AfterLogin() Limits {
	return Limits{Line: 64 << 10, Literals: 1000, LiteralBytes: 1 << 20, Depth: 50, Terms: 1000}
}

// keptLine is how large a line buffer a Decoder keeps between commands, in
// octets, and idleLine the same while there is no stream: an idle connection has to
// be cheap.
const (
	keptLine = 4 << 10
	idleLine = 128
)

// Decoder reads commands from a stream. It is used by one goroutine.
type Decoder struct {
	r      *bufio.Reader
	goOn   func() error
	limits Limits
	utf8   bool // mailbox names come in UTF-8

	line []byte // the current line without its line end
	pos  int    // what of line was understood
	err  error  // the first error in this command; then nothing moves any more

	streamed     int64 // octets of messages; see Streamed
	lineBytes    int
	literals     int
	literalBytes int64
	depth        int
	terms        int
}

// NewDecoder reads from r. goOn sends the command continuation request that a
// synchronising literal waits for, and flushes it.
func NewDecoder(r *bufio.Reader, l Limits, goOn func() error) *Decoder {
	return &Decoder{r: r, limits: l, goOn: goOn}
}

// SetLimits changes the limits from the next command on.
func (d *Decoder) SetLimits(l Limits) { d.limits = l }

// SetUTF8 takes mailbox names as UTF-8 instead of modified UTF-7 from the next
// command on: after ENABLE of IMAP4rev2 (RFC 9051 §5.1) or UTF8=ACCEPT (RFC 9755
// §3). A name is then taken as it stands, "&" included.
func (d *Decoder) SetUTF8(on bool) { d.utf8 = on }

// SetReader continues on another stream, as after a wait in which there was none
// (nil). What the old one had buffered is forgotten.
func (d *Decoder) SetReader(r *bufio.Reader) {
	d.r = r
	if r == nil && cap(d.line) > idleLine {
		d.line = nil
	}
}

// Streamed is how many octets of messages were read, of all commands so far.
func (d *Decoder) Streamed() int64 { return d.streamed }

// Buffered is how many octets the client sent ahead.
func (d *Decoder) Buffered() int { return d.r.Buffered() }

// Line reads a line that is no command: an answer to a challenge of
// AUTHENTICATE, or the DONE of IDLE. Without its line end; at most limit
// octets, else a *FatalError.
func (d *Decoder) Line(limit int) ([]byte, error) {
	d.reset()
	d.readLine(limit)
	return d.line, d.err
}

func (d *Decoder) reset() {
	if cap(d.line) > keptLine {
		d.line = nil
	}
	d.line, d.pos, d.err = d.line[:0], 0, nil
	d.lineBytes, d.literals, d.literalBytes, d.depth, d.terms = 0, 0, 0, 0, 0
}

// readLine replaces d.line by the next line. The line end is CRLF, or a bare LF
// from people who type; nothing is built on the difference.
func (d *Decoder) readLine(limit int) {
	if d.err != nil {
		return
	}
	d.line, d.pos = d.line[:0], 0
	for {
		part, err := d.r.ReadSlice('\n')
		if d.lineBytes += len(part); d.lineBytes > limit {
			d.err = &FatalError{"Command line too long"}
			return
		}
		d.line = append(d.line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			d.err = cutShort(err, d.lineBytes > 0)
			return
		}
	}
	d.line = bytes.TrimSuffix(d.line, []byte("\n"))
	d.line = bytes.TrimSuffix(d.line, []byte("\r"))
}

// cutShort tells an end between commands from one in the midst of a command.
func cutShort(err error, begun bool) error {
	if begun && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fail notes the first error of a command.
func (d *Decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = syntaxf(format, args...)
	}
}

// enter and leave count nesting; what is deeper than the limit is refused
// before it costs stack.
func (d *Decoder) enter() {
	if d.depth++; d.depth > d.limits.Depth && d.err == nil {
		d.err = &LimitError{"Nested too deeply"}
	}
}

func (d *Decoder) leave() { d.depth-- }

// skip goes to the end of a command that was found wrong. The client sends a
// non-synchronising literal without waiting, so it has to be swallowed; it
// won't send a synchronising one that was not asked for. At most so many
// literals, of so many octets together.
func (d *Decoder) skip(most int, octets int64) {
	said := d.err
	for {
		size, plus, ok := announced(d.line)
		if !ok || !plus {
			break
		}
		if d.literals++; d.literals > most || size > octets-d.literalBytes {
			d.err = &FatalError{"Literals too large or too many"}
			return
		}
		d.literalBytes += size
		if _, err := io.CopyN(io.Discard, d.r, size); err != nil {
			d.err = cutShort(err, true)
			return
		}
		d.err = nil
		if d.readLine(d.limits.Line); d.err != nil {
			return
		}
	}
	d.err = said
}
