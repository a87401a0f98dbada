package dkim

import (
	"bytes"
	"fmt"
)

// Canon is a way to write a header or a body so that what happens to harmless
// bytes on the way does not matter (RFC 6376 §3.4).
type Canon uint8

const (
	// Relaxed lets white space change. It is what signers use today.
	Relaxed Canon = iota
	// Simple lets nothing change but empty lines at the end of the body.
	Simple
)

// String is the word in c=.
func (c Canon) String() string {
	if c == Simple {
		return "simple"
	}
	return "relaxed"
}

// MarshalText is the word, for JSON.
func (c Canon) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the word.
func (c *Canon) UnmarshalText(text []byte) error {
	var ok bool
	if *c, ok = parseCanon(string(text)); !ok {
		return fmt.Errorf("%q is no canonical form; expected relaxed or simple", text)
	}
	return nil
}

// AppendField appends the canonical form of a header field, CRLF included, to dst.
// raw is the whole field as it stands in the header.
func (c Canon) AppendField(dst, raw []byte) []byte {
	if c == Simple {
		return appendSimple(dst, raw)
	}
	return appendRelaxed(dst, raw)
}

// appendSimple copies; a bare LF becomes CRLF, and the last line has an end.
func appendSimple(dst, raw []byte) []byte {
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		dst = append(dst, bytes.TrimSuffix(line, []byte("\r"))...)
		dst = append(dst, '\r', '\n')
		raw = rest
	}
	return dst
}

// appendRelaxed writes the name in lower case and the value in one line, with one
// space for each run of white space and none at the edges (RFC 6376 §3.4.2).
func appendRelaxed(dst, raw []byte) []byte {
	name, value, found := bytes.Cut(raw, []byte(":"))
	for _, c := range bytes.TrimRight(name, " \t") {
		dst = append(dst, lower(c))
	}
	if found {
		dst = append(dst, ':')
	}
	dst = appendSqueezed(dst, value)
	return append(dst, '\r', '\n')
}

// appendSqueezed unfolds: a line end, with the CR before it, is nothing.
func appendSqueezed(dst, value []byte) []byte {
	begun, gap := false, false
	for i, c := range value {
		switch {
		case c == ' ' || c == '\t':
			gap = begun
			continue
		case c == '\n' || c == '\r' && i+1 < len(value) && value[i+1] == '\n':
			continue
		case gap:
			dst = append(dst, ' ')
		}
		begun, gap = true, false
		dst = append(dst, c)
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
