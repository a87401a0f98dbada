// Package smtp is the language of SMTP (RFC 5321 and its extensions): command
// lines, parameters, replies and the data stream, for server and client alike.
// Bytes in, values out: no sockets, no clock.
//
// Server side: ReadLine takes a command line from the stream, ParseCommand
// splits it, ParseMail and ParseRcpt read envelopes, Data reads the message,
// Reply.AppendTo answers. Client side: Mail.AppendTo and Rcpt.AppendTo write
// commands, DotWriter the message, ReadReply and ParseEHLO read the answers.
//
// There is one definition of a line: it ends with CRLF. A bare CR or LF ends
// nothing; in a command it is an error, in data it is remembered and the
// message refused after its end. That end is CRLF.CRLF and nothing else, which
// is what keeps one server's data from being another's commands.
package smtp

import (
	"strconv"
	"strings"
)

// Reply is an SMTP reply. It is an error when Code is 400 or more, so that
// policy code can return it and the door can send it.
type Reply struct {
	Code     int    // 200 … 599
	Enhanced string // "5.1.1" (RFC 3463), or "" for replies that carry none
	// Lines is the text, one entry a line, without codes or CRLF.
	Lines []string
}

// NewReply makes a one-line reply.
func NewReply(code int, enhanced, text string) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Lines: []string{text}}
}

// Temporary tells a 4yz reply.
func (r *Reply) Temporary() bool { return r.Code >= 400 && r.Code < 500 }

// Permanent tells a 5yz reply.
func (r *Reply) Permanent() bool { return r.Code >= 500 && r.Code < 600 }

// Error is the reply in one line: "550 5.1.1 User unknown". Lines are joined
// with a blank. It makes *Reply an error.
func (r *Reply) Error() string {
	b := strconv.AppendInt(nil, int64(r.Code), 10)
	if r.Enhanced != "" {
		b = append(append(b, ' '), r.Enhanced...)
	}
	if text := r.Text(); text != "" {
		b = appendText(append(b, ' '), text)
	}
	return string(b)
}

// Text is the lines in one, joined with blanks, without the codes.
func (r *Reply) Text() string { return strings.Join(r.Lines, " ") }

// AppendTo appends the reply as it goes over the wire: code and enhanced code
// on each line (RFC 2034 §4), "-" after the code of all lines but the last.
// Control characters in the text become "?", so no text can end a line.
func (r *Reply) AppendTo(b []byte) []byte {
	if len(r.Lines) == 0 {
		return r.appendLine(b, "", ' ')
	}
	last := len(r.Lines) - 1
	for _, line := range r.Lines[:last] {
		b = r.appendLine(b, line, '-')
	}
	return r.appendLine(b, r.Lines[last], ' ')
}

func (r *Reply) appendLine(b []byte, text string, sep byte) []byte {
	b = strconv.AppendInt(b, int64(r.Code), 10)
	b = append(b, sep)
	if r.Enhanced != "" {
		b = append(append(b, r.Enhanced...), ' ')
	}
	return append(appendText(b, text), '\r', '\n')
}

// appendText appends s with its control characters made harmless.
func appendText(b []byte, s string) []byte {
	start := len(b)
	b = append(b, s...)
	disarm(b[start:])
	return b
}

// disarm makes control characters harmless, where they stand.
func disarm(b []byte) {
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = '?'
		}
	}
}
