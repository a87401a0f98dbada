package imap

import (
	"bytes"
	"io"
	"math"
)

// Literal is the message that comes with APPEND, as a stream. It is read to its
// end, or refused, before the next command is read.
type Literal struct {
	Size    int64 // octets, as announced
	NonSync bool  // the client sends without waiting (RFC 7888)

	d    *Decoder
	left int64
	open bool // the client was asked to send
	over bool // the end of the command was read, or the stream is broken
}

// Read implements io.Reader. The first Read asks the client to go on, where it
// waits for that: until then the command can be refused for free. The last octets come only when the command has
// ended as the grammar wants it, so that who stores what was read stores
// nothing of a malformed command. A connection that ends too early is
// io.ErrUnexpectedEOF.
func (l *Literal) Read(p []byte) (int, error) {
	if l.over {
		return 0, io.EOF
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	if err := l.accept(); err != nil {
		return 0, err
	}
	n, err := 0, error(nil)
	if l.left > 0 {
		n, err = l.d.r.Read(p)
		l.left -= int64(n)
		l.d.streamed += int64(n)
	}
	if l.left == 0 {
		l.over, err = true, l.d.tail()
	}
	if err != nil {
		l.over = true
		return 0, cutShort(err, true)
	}
	return n, nil
}

func (l *Literal) accept() error {
	if l.NonSync || l.open {
		return nil
	}
	l.open = true
	return l.d.goOn()
}

// Refuse gets over the literal of a command that is answered with an error. One
// that is on its way is read and thrown away up to limit octets; beyond that,
// the connection has to end: *FatalError.
func (l *Literal) Refuse(limit int64) error {
	if !l.NonSync && !l.open {
		return nil
	}
	if l.left > limit {
		return &FatalError{"Literal too large"}
	}
	_, err := io.Copy(io.Discard, l)
	return err
}

// tail reads what follows the literal of APPEND: the end of the line.
func (d *Decoder) tail() error {
	d.readLine(d.limits.Line)
	if d.err == nil && len(d.line) > 0 {
		d.fail("One message per APPEND, please")
		d.skip()
	}
	return d.err
}

// announced reads the {n} or {n+} at the end of a line.
func announced(line []byte) (size int64, plus, ok bool) {
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || !bytes.HasSuffix(line, []byte("}")) {
		return 0, false, false
	}
	digits := line[open+1 : len(line)-1]
	if plus = bytes.HasSuffix(digits, []byte("+")); plus {
		digits = digits[:len(digits)-1]
	}
	size, ok = parseNumber(digits)
	if !ok && plus && allDigits(digits) {
		return math.MaxInt64, true, true // beyond 63 bits: too large, whatever it is
	}
	return size, plus, ok
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// parseNumber reads a number of at most 63 bits; ok is false for anything else.
func parseNumber(b []byte) (n int64, ok bool) {
	if !allDigits(b) {
		return 0, false
	}
	for _, c := range b {
		v := int64(c - '0')
		if n > (math.MaxInt64-v)/10 {
			return 0, false
		}
		n = n*10 + v
	}
	return n, true
}

// openLiteral understands the announcement at d.pos.
func (d *Decoder) openLiteral() *Literal {
	rest := d.line[min(d.pos, len(d.line)):]
	size, plus, ok := announced(rest)
	if d.err != nil || !ok || rest[0] != '{' || bytes.Count(rest, []byte("{")) != 1 {
		d.fail("Expected a literal")
		return nil
	}
	d.pos = len(d.line)
	return &Literal{Size: size, NonSync: plus, d: d, left: size}
}

// literal reads a literal into memory and goes on to the next line.
func (d *Decoder) literal() string {
	start := d.pos
	l := d.openLiteral()
	if l == nil {
		return ""
	}
	if d.literals+1 > d.limits.Literals || l.Size > d.limits.LiteralBytes-d.literalBytes {
		d.pos = start
		d.fail("Literals too large or too many")
		return ""
	}
	d.literals++
	d.literalBytes += l.Size
	if d.err = l.accept(); d.err != nil {
		return ""
	}
	var buf bytes.Buffer // grows with what arrives, not with what was announced
	if _, err := io.CopyN(&buf, d.r, l.Size); err != nil {
		d.err = cutShort(err, true)
		return ""
	}
	d.readLine(d.limits.Line)
	if bytes.IndexByte(buf.Bytes(), 0) >= 0 {
		d.fail("NUL in a literal")
	}
	return buf.String()
}
