// Package pop3 is the language of POP3 (RFC 1939, with RFC 2449): command lines into
// values, messages into multi-line answers, and the form of unique-ids.
package pop3

import (
	"errors"
	"strings"
)

// MaxLine is the longest command line, in octets, with its CRLF (RFC 2449 §4).
const MaxLine = 255

// ErrSyntax is the error of a line that no command can be.
var ErrSyntax = errors.New("malformed command")

// Command is one line of a client.
type Command struct {
	Name string // in upper case
	// Rest is what follows the first space, as it stands there: a password may have
	// spaces anywhere.
	Rest string
}

// Parse understands a line without its line end.
func Parse(line []byte) (Command, error) {
	name, rest, _ := strings.Cut(string(line), " ")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || strings.IndexByte(rest, 0) >= 0 {
		return Command{}, ErrSyntax
	}
	return Command{Name: strings.ToUpper(name), Rest: rest}, nil
}

// Args are the arguments of a command that takes words.
func (c Command) Args() []string { return strings.Fields(c.Rest) }

// Number reads a number of a message, or of lines: decimal digits only, and none that
// is larger than 32 bits. ok is false for anything else.
func Number(s string) (n uint32, ok bool) {
	if s == "" || len(s) > 10 {
		return 0, false
	}
	var v uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + uint64(s[i]-'0')
	}
	return uint32(v), v <= 1<<32-1
}

// Lines reads the number of lines that TOP wants. One that is larger than any message
// has means all of them.
func Lines(s string) (n uint32, ok bool) {
	if n, ok = Number(s); ok {
		return n, true
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	return 1<<32 - 1, s != ""
}
