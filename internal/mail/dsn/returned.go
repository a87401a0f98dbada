package dsn

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// returned is the part with the message, or with its header.
func (r Report) returned() []byte {
	var f fields
	f.raw("Content-Description: Undelivered message")
	switch {
	case !r.wantsFull():
	case is7bit(r.Original):
		return r.whole(&f, "message/rfc822", "7bit")
	case r.UTF8 && utf8.Valid(r.Original):
		// Unlike message/rfc822, this one may be encoded (RFC 6532 §3.7).
		f.raw("Content-Type: message/global")
		return encoded(&f, r.Original)
	case r.EightBit && isText(r.Original, true):
		return r.whole(&f, "message/rfc822", "8bit")
	}
	header := clip(headerOf(r.Original), DefaultReturn)
	kind := "text/rfc822-headers"
	if r.UTF8 && !is7bit(header) && utf8.Valid(header) {
		kind = "message/global-headers" // RFC 6533 §4; it may be encoded
	}
	f.raw("Content-Type: " + kind)
	return encoded(&f, header)
}

func (r Report) whole(f *fields, kind, encoding string) []byte {
	f.raw("Content-Type: " + kind)
	f.raw("Content-Transfer-Encoding: " + encoding)
	f.raw("")
	f.Write(r.Original)
	return f.Bytes()
}

// wantsFull tells whether the whole message may come back. A message/rfc822 can not be
// encoded (RFC 2046 §5.2.1): it comes back as it is, if it can travel so.
func (r Report) wantsFull() bool {
	limit := r.MaxReturn
	if limit == 0 {
		limit = DefaultReturn
	}
	whole := int64(len(r.Original)) >= r.Size
	return r.Full && r.worst() == Failed && whole && len(r.Original) <= limit
}

// headerOf is the header of a message, its lines ended with CRLF, without the
// empty line.
func headerOf(message []byte) []byte {
	message = clip(message, 2*DefaultReturn)
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
