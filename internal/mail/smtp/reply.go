// Package smtp is the language of SMTP (RFC 5321 and its extensions): command
// lines, parameters, replies and the data stream, for server and client alike.
// Bytes in, values out: no sockets, no clock.
package smtp

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
