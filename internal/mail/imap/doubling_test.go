package imap

import (
	"bufio"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

// TestDoubling: twice the input may not cost four times as much.
func TestDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	limits := Limits{Line: 1 << 30, Literals: 1 << 30, LiteralBytes: 1 << 40, Depth: 1 << 30, Terms: 1 << 30}
	command := func(make func(n int) string) func(int) func() {
		return func(n int) func() {
			text := make(n)
			return func() {
				d := NewDecoder(bufio.NewReader(strings.NewReader(text)), limits, func() error { return nil })
				for err := error(nil); err != io.EOF; {
					_, err = d.Next()
				}
			}
		}
	}
	many := strings.Repeat
	for name, f := range map[string]func(n int) func(){
		"ranges":   command(func(n int) string { return "a FETCH " + many("1:2,", n/8) + "3 FLAGS\r\n" }),
		"literals": command(func(n int) string { return "a ID (" + many("{1+}\r\nx {1+}\r\ny ", n/32) + ")\r\n" }),
		"fields":   command(func(n int) string { return "a FETCH 1 BODY[HEADER.FIELDS (" + many("{1+}\r\nx ", n/32) + ")]\r\n" }),
		"keys":     command(func(n int) string { return "a SEARCH" + many(" OR ALL 1", n/8) + "\r\n" }),
		"quoted":   command(func(n int) string { return "a LOGIN x \"" + many("\\\"", n) + "\"\r\n" }),
		"braces":   command(func(n int) string { return "a SELECT " + many("{5", n) + "}\r\n" }),
		"append":   command(func(n int) string { return "a APPEND x CATENATE (" + many("URL x ", n/8) + "URL x)\r\n" }),
		"modseqs":  command(func(n int) string { return "a SELECT x (QRESYNC (1 2 " + many("1:2,", n/8) + "3))\r\n" }),
		"urls":     command(func(n int) string { return "a URLFETCH" + many(" (x BODY)", n/8) + "\r\n" }),
		"commands": command(func(n int) string { return many("a NOOP\r\n", n/4) }),
		"resolve": func(n int) func() {
			var set SequenceSet
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
				set = append(set, Range{2 * uint32(i), 2 * uint32(i)})
			}
			return func() { set.Resolve(1 << 31) }
		},
		"utf7": func(n int) func() { s := many("ü&", n); return func() { DecodeUTF7(EncodeUTF7(s)) } },
		"pattern": func(n int) func() {
			p, s := NewPattern(many("*a", 50)+"b", '/'), many("a", n/64)
			return func() { p.Match(s) }
		},
	} {
		doubling.Check(t, name, 1<<16, f)
	}
}
