package message

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
)

// Header is the bytes of a header as they stand, with or without the empty line
// that ends it. Lines end at LF, with or without CR before it.
type Header []byte

// ErrHeaderTooLong says that a header did not end within the given number of bytes.
var ErrHeaderTooLong = errors.New("header too long")

// Field is one field of a Header; Name and Value are slices of it.
type Field struct {
	// Start and End are offsets in the header: the field's first byte and the
	// byte after its last line end.
	Start, End int
	// Name is what stands before the colon, without trailing white space, in its
	// own case. Empty for a line without a colon, whose text is all in Value.
	Name []byte
	// Value is all after the colon, folds and last line end included.
	Value []byte
}

// Is compares the name without regard to case.
func (f Field) Is(name string) bool {
	return len(f.Name) == len(name) && equalFold(f.Name, name)
}

// Text is the value unfolded and trimmed, not decoded.
func (f Field) Text() string { return Unfold(f.Value) }

// Fields walks over the fields in order, up to the empty line.
func (h Header) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for at := 0; at < len(h); {
			f, ok := h.field(at)
			if !ok || !yield(f) {
				return
			}
			at = f.End
		}
	}
}

// field reads the field that starts at an offset; false at the empty line.
func (h Header) field(at int) (Field, bool) {
	if emptyLine(h[at:]) > 0 {
		return Field{}, false
	}
	end := at
	for {
		i := bytes.IndexByte(h[end:], '\n')
		if i < 0 {
			end = len(h)
			break
		}
		end += i + 1
		if end == len(h) || !isWSP(h[end]) {
			break
		}
	}
	f := Field{Start: at, End: end, Value: h[at:end]}
	line := f.Value
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	if colon := bytes.IndexByte(line, ':'); colon >= 0 {
		f.Name = bytes.TrimRight(line[:colon], " \t")
		f.Value = f.Value[colon+1:]
	}
	return f, true
}

// Get gives the first field of a name, unfolded; "" when there is none.
func (h Header) Get(name string) string {
	text, _ := h.Lookup(name)
	return text
}

// Lookup is Get that tells an empty field from none.
func (h Header) Lookup(name string) (text string, ok bool) {
	for f := range h.Fields() {
		if f.Is(name) {
			return f.Text(), true
		}
	}
	return "", false
}

// All gives every field of a name in order, unfolded.
func (h Header) All(name string) []string {
	var all []string
	for f := range h.Fields() {
		if f.Is(name) {
			all = append(all, f.Text())
		}
	}
	return all
}

// Count tells how many fields of a name there are.
func (h Header) Count(name string) int {
	n := 0
	for f := range h.Fields() {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// HeaderEnd gives the offset of the body: the byte after the first empty line,
// or len(b) when there is none.
func HeaderEnd(b []byte) int {
	end, _ := headerEnd(b, 0)
	return end
}

// headerEnd looks for the empty line, from a line start at or before from.
func headerEnd(b []byte, from int) (end int, found bool) {
	at := bytes.LastIndexByte(b[:from], '\n') + 1
	for at < len(b) {
		rest := b[at:]
		if n := emptyLine(rest); n > 0 {
			return at + n, true
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return len(b), false
}

// emptyLine gives the length of the empty line that b starts with, or 0.
func emptyLine(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	}
	return 0
}

// ReadHeader reads a header with its empty line from r. rest gives what follows
// it. A header over max bytes gives its first max bytes, and ErrHeaderTooLong.
// The end of r ends the header too; other errors of r come back as they are.
func ReadHeader(r io.Reader, max int) (h Header, rest io.Reader, err error) {
	var buf []byte
	seen := 0
	for {
		if end, ok := headerEnd(buf, seen); ok && end <= max {
			return Header(buf[:end:end]), io.MultiReader(bytes.NewReader(buf[end:]), r), nil
		}
		if len(buf) > max {
			return Header(buf[:max:max]), io.MultiReader(bytes.NewReader(buf[max:]), r), ErrHeaderTooLong
		}
		if err == io.EOF {
			return Header(buf), bytes.NewReader(nil), nil
		}
		if err != nil {
			return Header(buf), bytes.NewReader(nil), err
		}
		seen = len(buf)
		buf, err = readMore(buf, r)
	}
}

// readMore appends one read of r; the buffer grows by what came, not by what
// was promised.
func readMore(buf []byte, r io.Reader) ([]byte, error) {
	if cap(buf)-len(buf) < 2048 {
		grown := make([]byte, len(buf), 2*cap(buf)+4096)
		copy(grown, buf)
		buf = grown
	}
	n, err := r.Read(buf[len(buf):cap(buf)])
	return buf[:len(buf)+n], err
}

// Unfold makes one line of a raw field value: line ends are removed, white
// space around it too; a tab right after a fold becomes a space (old mailers
// fold with a tab where a space was); a stray CR, LF or NUL becomes a space.
func Unfold(raw []byte) string {
	raw = bytes.Trim(raw, " \t\r\n\x00")
	if bytes.IndexAny(raw, "\r\n\x00") < 0 {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\r' && i+1 < len(raw) && raw[i+1] == '\n' {
			continue
		}
		if c == '\n' && isWSP(raw[i+1]) { // raw does not end in LF
			i++
		}
		if c == '\r' || c == '\n' || c == 0 {
			c = ' '
		}
		out = append(out, c)
	}
	return string(out)
}

func equalFold(b []byte, s string) bool {
	for i := range b {
		if lowerByte(b[i]) != lowerByte(s[i]) {
			return false
		}
	}
	return true
}

// hasPrefixFold is strings.HasPrefix without regard to ASCII case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
