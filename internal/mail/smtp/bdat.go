package smtp

import (
	"math"
	"strconv"
	"strings"
)

// Chunk is what a BDAT command says (RFC 3030 §2).
type Chunk struct {
	// Size is how many octets follow the command; math.MaxInt64 for a number that
	// does not fit.
	Size int64
	// Last: the message ends with this chunk.
	Last bool
}

var replyBdatSyntax = NewReply(501, "5.5.4", "Syntax: BDAT octets [LAST]")

// ParseBdat reads the arguments of BDAT. After a reply nobody knows where the
// next command begins: the session can but end.
func ParseBdat(args string) (c Chunk, bad *Reply) {
	size, last, more := strings.Cut(args, " ")
	if !isDigits(size) {
		return c, replyBdatSyntax
	}
	if more && !strings.EqualFold(strings.Trim(last, " "), "LAST") {
		return c, replyBdatSyntax
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil { // digits only: it can but be too large
		n = math.MaxInt64
	}
	return Chunk{Size: n, Last: more}, nil
}

// AppendTo appends the BDAT command with CRLF.
func (c Chunk) AppendTo(b []byte) []byte {
	b = strconv.AppendInt(append(b, "BDAT "...), c.Size, 10)
	if c.Last {
		b = append(b, " LAST"...)
	}
	return append(b, '\r', '\n')
}

// Burl is what a BURL command says (RFC 4468 §3).
type Burl struct {
	URL  string
	Last bool
}

var replyBurlSyntax = NewReply(501, "5.5.4", "Syntax: BURL url [LAST]")

// ParseBurl reads the arguments of BURL. What is in the URL is not looked at.
func ParseBurl(args string) (b Burl, bad *Reply) {
	url, last, more := strings.Cut(args, " ")
	if url == "" || more && !strings.EqualFold(strings.Trim(last, " "), "LAST") {
		return b, replyBurlSyntax
	}
	return Burl{URL: url, Last: more}, nil
}
