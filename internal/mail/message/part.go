package message

// Part is a node of the tree that Parse makes of a message. Offsets count from
// the first byte of the whole message as it was read (CRLF form, where the
// store gives it so).
type Part struct {
	// Header is where the part's header starts, Body where its body starts (the
	// byte after the empty line), End where the body ends. The line end before a
	// boundary belongs to the boundary (RFC 2046 §5.1.1), so End excludes it.
	Header, Body, End int64
	// Lines is the number of line ends in the body, as Dovecot and Cyrus count.
	Lines int64

	// Type and Subtype are lower-case; text/plain when absent or unreadable
	// (message/rfc822 inside multipart/digest); application/octet-stream where a
	// limit kept us from looking inside a multipart or message.
	Type, Subtype string
	// Params are those of Content-Type, in order, names lower-case, RFC 2231
	// continuations joined. A value with a charset keeps its form and its star:
	// {"name*", "utf-8''%E2%82%AC"}. Read them with Param.
	Params      []Param
	ID          string // Content-Id
	Description string
	Encoding    string // lower-case; "7bit" when absent
	MD5         string
	Disposition string // lower-case, "" when absent
	DispParams  []Param
	Language    []string
	Location    string

	// Odd tells what was ambiguous or broken here.
	Odd Oddity

	// Envelope is set on the root and on the message inside a message/rfc822.
	Envelope *Envelope
	// Children are the parts of a multipart, or the one message inside a
	// message/rfc822 (its Header is where that message starts). A multipart
	// without a usable boundary, or without one part, has none: IMAP must then
	// show one empty text/plain, as its grammar asks for at least one. A
	// message/rfc822 or message/global always has its child, even when its
	// transfer encoding hides the text.
	Children []*Part
}

// Param is a parameter of a structured header field.
type Param struct{ Name, Value string }

// Envelope is the header fields of RFC 9051's ENVELOPE, undecoded: Subject and
// names are as they stand (unfolded), for the client to decode. Of repeated
// fields the first counts, but To, Cc and Bcc are joined.
type Envelope struct {
	Date, Subject                      string
	From, Sender, ReplyTo, To, Cc, Bcc []Mailbox
	InReplyTo, MessageID               string
}

// Mailbox is one address of a header. A group starts with a Mailbox that has
// only Local (the group's name) and ends with one where all is empty. Without
// GroupStart and GroupEnd, an empty Local or Host means that the header had
// none ("To: root"): IMAP must then write "" and not NIL, which would be a group.
type Mailbox struct {
	Name, Route, Local, Host string
	GroupStart, GroupEnd     bool
}

// Oddity is a set of things that make a part ambiguous: two programs may read
// it differently, which is how attackers hide content from filters.
type Oddity uint16

// The oddities.
const (
	// DuplicateField: Content-Type, -Transfer-Encoding or -Disposition stands
	// twice; the first was taken.
	DuplicateField Oddity = 1 << iota
	// DuplicateParam: a parameter stands twice; look-ups take the first.
	DuplicateParam
	// BadType: Content-Type is there, but unreadable.
	BadType
	// BadBoundary: a multipart's boundary is absent, empty or over 2048 bytes.
	BadBoundary
	// LongBoundary: a boundary of 71 to 2048 bytes, against RFC 2046 §5.1.1.
	LongBoundary
	// SameBoundary: an enclosing multipart has the same boundary; the innermost
	// open one takes each delimiter.
	SameBoundary
	// Unterminated: the closing delimiter of the multipart is missing.
	Unterminated
	// BadEncoding: an unknown transfer encoding, or an encoded multipart or
	// message. Multiparts and messages are read as if not encoded.
	BadEncoding
	// DepthLimit: nested too deep to look inside.
	DepthLimit
	// PartLimit: what follows in this part was not split any more.
	PartLimit
	// HeaderLimit: the header is too long; fields beyond the limit were ignored.
	HeaderLimit
)

// Param gives a parameter of Content-Type decoded to UTF-8; "" if absent.
func (p *Part) Param(name string) string { return paramValue(p.Params, name) }

// DispParam gives a parameter of Content-Disposition decoded to UTF-8.
func (p *Part) DispParam(name string) string { return paramValue(p.DispParams, name) }

// FileName is the name that the sender gave the part, decoded: from
// Content-Disposition, else from Content-Type. Pass it through SafeFileName
// before it gets near a file system or a header.
func (p *Part) FileName() string {
	if name := p.DispParam("filename"); name != "" {
		return DecodeText(name)
	}
	return DecodeText(p.Param("name"))
}

// Multipart tells whether Children are the parts of a multipart.
func (p *Part) Multipart() bool { return p.Type == "multipart" }

// Message tells whether the part holds a whole message.
func (p *Part) Message() bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}
