package smtp

import (
	"bytes"
	"unicode/utf8"
)

// Verb is the first word of a command line.
type Verb uint8

// The verbs. Unknown is the zero Verb: any word that is none of the others.
const (
	Unknown Verb = iota
	EHLO
	HELO
	MAIL
	RCPT
	DATA
	RSET
	NOOP
	QUIT
	VRFY
	HELP
	STARTTLS
	AUTH
	BDAT // RFC 3030
	BURL // RFC 4468
	LHLO // RFC 2033
	ETRN // RFC 1985
	EXPN
	XCLIENT  // Postfix's XCLIENT_README
	XFORWARD // Postfix's XFORWARD_README
	NumVerbs // how many there are, for tables by verb
)

var verbs = [NumVerbs]string{"UNKNOWN", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT",
	"VRFY", "HELP", "STARTTLS", "AUTH", "BDAT", "BURL", "LHLO", "ETRN", "EXPN", "XCLIENT", "XFORWARD"}

// String is the verb in upper case.
func (v Verb) String() string {
	if v < NumVerbs {
		return verbs[v]
	}
	return verbs[Unknown]
}

// ParseVerb knows a verb in any case.
func ParseVerb(word []byte) Verb {
	for v := EHLO; v < NumVerbs; v++ {
		if len(word) == len(verbs[v]) && equalFold(word, verbs[v]) {
			return v
		}
	}
	return Unknown
}

// equalFold compares with an upper-case word of the same length.
func equalFold(b []byte, upper string) bool {
	for i := range b {
		c := b[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// Command is a command line in its two parts.
type Command struct {
	Verb Verb
	// Args is what follows the verb and its blank, trailing blanks removed:
	// valid UTF-8 without control characters. It shares the line's memory.
	Args []byte
}

// Replies to lines that are no command. Shared: nobody changes a reply.
var (
	replyControl  = NewReply(501, "5.5.2", "Error: control character in command")
	replyEncoding = NewReply(501, "5.5.2", "Error: command is neither ASCII nor UTF-8")
	replyUnknown  = NewReply(500, "5.5.2", "Error: command not recognized")
)

// ParseCommand splits a command line that ReadLine returned. The reply is nil
// when there is something to obey; Verb is set in every case where it is known.
// NUL and every other control character make a line invalid, and so do octets
// that are not UTF-8, overlong forms included (RFC 5321 §4.1.2, RFC 6531 §3.6).
func ParseCommand(line []byte) (Command, *Reply) {
	word, args, _ := bytes.Cut(line, []byte{' '})
	c := Command{Verb: ParseVerb(word), Args: bytes.TrimRight(args, " ")}
	ascii := true
	for _, b := range line {
		if b < ' ' || b == 0x7f {
			return Command{Verb: c.Verb}, replyControl
		}
		ascii = ascii && b < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(line) {
		return Command{Verb: c.Verb}, replyEncoding
	}
	if c.Verb == Unknown {
		return c, replyUnknown
	}
	return c, nil
}
