package imap

import (
	"bytes"
	"io"
	"math"
	"strings"
)

// Literal is (a piece of) the message that comes with APPEND, as a stream.
type Literal struct {
	Size    int64 // octets, as announced
	NonSync bool  // the client sends without waiting (RFC 7888)
	Binary  bool  // literal8 (RFC 3516): may have NUL in it

	d    *Decoder
	left int64
	open bool // the client was asked to send
}

// Read implements io.Reader. The first Read asks the client to go on, where it
// waits for that: until then the command can be refused for free. A connection
// that ends too early is io.ErrUnexpectedEOF.
func (l *Literal) Read(p []byte) (int, error) {
	if err := l.accept(); err != nil {
		return 0, l.broken(err)
	}
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.d.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	l.d.streamed += int64(n)
	if err != nil {
		return n, l.broken(err)
	}
	return n, nil
}

// broken notes that the stream can't be followed any more.
func (l *Literal) broken(err error) error {
	l.d.err = cutShort(err, true)
	return l.d.err
}

func (l *Literal) accept() error {
	if l.NonSync || l.open {
		return nil
	}
	l.open = true
	return l.d.goOn()
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

// openLiteral understands the announcement at d.pos. A literal8, ~{n}, is taken
// where octets are allowed.
func (d *Decoder) openLiteral(octets bool) *Literal {
	binary := octets && d.accept('~')
	rest := d.line[min(d.pos, len(d.line)):]
	size, plus, ok := announced(rest)
	if d.err != nil || !ok || rest[0] != '{' || bytes.Count(rest, []byte("{")) != 1 {
		d.fail("Expected a literal")
		return nil
	}
	d.pos = len(d.line)
	return &Literal{Size: size, NonSync: plus, Binary: binary, d: d, left: size}
}

// literal reads a literal into memory and goes on to the next line.
func (d *Decoder) literal() string {
	text := d.octets()
	if strings.IndexByte(text, 0) >= 0 {
		d.fail("NUL in a literal")
	}
	return text
}

// literal8 is literal for "~{n}", which may hold NULs (RFC 3516 §4.4).
func (d *Decoder) literal8() string {
	d.expect('~')
	return d.octets()
}

func (d *Decoder) octets() string {
	start := d.pos
	l := d.openLiteral(false)
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
	return buf.String()
}
