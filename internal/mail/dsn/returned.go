package dsn

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// returned is the part with the message, or with its header.
func (r Report) returned() []byte {
	var f fields
	if r.returnsFull() {
		f.raw("Content-Type: message/rfc822")
		f.raw("Content-Transfer-Encoding: 7bit")
		f.raw("")
		f.Write(r.Original)
		return f.Bytes()
	}
	header := clip(headerOf(r.Original), MaxReturn)
	kind := "text/rfc822-headers"
	if r.UTF8 && !is7bit(header) && utf8.Valid(header) {
		kind = "message/global-headers" // RFC 6533 §4; it may be encoded
	}
	f.raw("Content-Type: " + kind)
	return encoded(&f, header)
}

// returnsFull tells whether the whole message comes back. A message/rfc822 can not
// be encoded (RFC 2046 §5.2.1), so an 8-bit one would make the notice 8-bit, and
// perhaps undeliverable.
func (r Report) returnsFull() bool {
	whole := int64(len(r.Original)) >= r.Size
	return r.Full && r.worst() == Failed && whole && len(r.Original) <= MaxReturn && is7bit(r.Original)
}

// headerOf is the header of a message, its lines ended with CRLF, without the
// empty line.
func headerOf(message []byte) []byte {
	message = clip(message, 2*MaxReturn)
	var b bytes.Buffer
	for len(message) > 0 {
		text, rest, _ := bytes.Cut(message, []byte("\n"))
		text = bytes.TrimSuffix(text, []byte("\r"))
		if len(text) == 0 {
			break
		}
		b.Write(text)
		b.WriteString("\r\n")
		message = rest
	}
	return b.Bytes()
}

// clip keeps whole lines of at most n bytes together; of a first line that is
// longer by itself, n bytes.
func clip(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
		return b[:i+1]
	}
	return b[:n]
}

// messageID is the Message-ID of a message, if it is one that can be repeated in
// a header: "<", printable ASCII, ">".
func messageID(message []byte) string {
	header := strings.ReplaceAll(string(headerOf(message)), "\r\n ", " ")
	for field := range strings.SplitSeq(header, "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		if strings.EqualFold(name, "Message-ID") {
			return plainID(strings.TrimSpace(value))
		}
	}
	return ""
}

func plainID(id string) string {
	inner, ok := strings.CutPrefix(id, "<")
	inner, closed := strings.CutSuffix(inner, ">")
	odd := strings.ContainsFunc(inner, func(c rune) bool { return c <= ' ' || c > '~' || c == '<' || c == '>' })
	if !ok || !closed || odd || inner == "" || len(id) > 250 {
		return ""
	}
	return id
}
