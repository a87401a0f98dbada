package message

// Part is a node of the tree that Parse makes of a message. Offsets count from
// the first byte of the whole message in its CRLF form.
type Part struct {
	// Header is where the part's header starts, Body where its body starts (the
	// byte after the empty line), End where the body ends.
	Header, Body, End int64
	// Lines is the number of lines in the body.
	Lines int64

	// Type and Subtype are lower-case; text/plain when absent or unreadable
	// (message/rfc822 inside multipart/digest).
	Type, Subtype string
	Params        []Param // of Content-Type, in order, names lower-case, RFC 2231 joined
	ID            string  // Content-Id
	Description   string
	Encoding      string // lower-case; "7bit" when absent
	MD5           string
	Disposition   string // lower-case, "" when absent
	DispParams    []Param
	Language      []string
	Location      string

	// Envelope is set on the root and on the message inside a message/rfc822.
	Envelope *Envelope
	// Children are the parts of a multipart, or the one message inside a
	// message/rfc822 (its Header is where that message starts).
	Children []*Part
}

// Param is a parameter of a structured header field.
type Param struct{ Name, Value string }

// Envelope is the header fields of RFC 9051's ENVELOPE, undecoded: Subject and
// names are as they stand (unfolded), for the client to decode.
type Envelope struct {
	Date, Subject                      string
	From, Sender, ReplyTo, To, Cc, Bcc []Mailbox
	InReplyTo, MessageID               string
}

// Mailbox is one address of a header. A group starts with a Mailbox that has
// only Local (the group's name) and ends with one where all is empty.
type Mailbox struct {
	Name, Route, Local, Host string
	GroupStart, GroupEnd     bool
}
