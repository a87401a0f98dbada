// Package authline is the lines in which programs ask whether somebody is who he says,
// in the two languages that mail servers have for it.
//
// Dovecot's authentication protocol, version 1: one request or answer a line, fields
// with tabs between, the first the name, the second the number of the request. In a
// field a tab, a line end, a NUL and the mark itself (octet 1) are written with that
// mark before a letter.
//
//	VERSION 1 2 · MECH PLAIN plaintext · SPID 4711 · COOKIE … · DONE
//	AUTH 1 PLAIN service=smtp rip=192.0.2.7 resp=AGFsaWNl…
//	CONT 1 base64 · OK 1 user=alice@example.org · FAIL 1 user=alice temp
//	USER 1 alice service=lda → USER 1 alice home=/home/alice uid=1000 · NOTFOUND 1
//
// That of Cyrus's saslauthd: a request is four strings (name, password, service,
// realm), an answer one ("OK", "NO"), each after its length in two octets.
//
// A Line says nothing of what its fields mean; it never holds more than maxFields.
package authline

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// MaxLine is the longest line that is read, in octets: a response of SASL in base64 and
// what stands beside it.
const MaxLine = 16 << 10

// maxFields is how many fields a line may have.
const maxFields = 64

// ErrSyntax is a line that is none.
var ErrSyntax = errors.New("malformed line of the authentication protocol")

// Line is one line: its name and its fields.
type Line struct {
	Name   string
	Fields []string
}

// Parse reads a line without its end.
func Parse(text string) (Line, error) {
	if len(text) > MaxLine || strings.Count(text, "\t") > maxFields {
		return Line{}, ErrSyntax
	}
	fields := strings.Split(text, "\t")
	for i, f := range fields {
		var ok bool
		if fields[i], ok = unescape(f); !ok {
			return Line{}, ErrSyntax
		}
	}
	return Line{fields[0], fields[1:]}, nil
}

// Of makes a line.
func Of(name string, fields ...string) Line { return Line{name, fields} }

// String is the line with its end.
func (l Line) String() string {
	var b strings.Builder
	b.WriteString(escaper.Replace(l.Name))
	for _, f := range l.Fields {
		b.WriteByte('\t')
		b.WriteString(escaper.Replace(f))
	}
	b.WriteByte('\n')
	return b.String()
}

// ID is the number of the request, which is the first field.
func (l Line) ID() (uint32, bool) {
	if len(l.Fields) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(l.Fields[0], 10, 32)
	return uint32(n), err == nil
}

// Field is field number i, from 0; "" where there is none.
func (l Line) Field(i int) string {
	if i >= len(l.Fields) {
		return ""
	}
	return l.Fields[i]
}

// Value is that of the field "name=value", and whether there is one; a field without
// "=" has the value "".
func (l Line) Value(name string) (value string, ok bool) {
	for _, f := range l.Fields {
		if key, v, _ := strings.Cut(f, "="); key == name {
			return v, true
		}
	}
	return "", false
}

var escaper = strings.NewReplacer("\x00", "\x010", "\x01", "\x011", "\t", "\x01t", "\r", "\x01r", "\n", "\x01n")

// unescape reads a field; a mark before anything else stands for what follows it.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, 1) < 0 {
		return s, strings.IndexByte(s, 0) < 0
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == 1 {
			if i++; i == len(s) {
				return "", false
			}
			switch c = s[i]; c {
			case '0':
				c = 0
			case '1':
				c = 1
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			case 'n':
				c = '\n'
			}
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// MaxString is the longest string of a saslauthd request that is written or taken.
const MaxString = 1024

// AppendString writes a string after its length; false if it is too long.
func AppendString(b []byte, s string) ([]byte, bool) {
	if len(s) > MaxString {
		return b, false
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...), true
}
