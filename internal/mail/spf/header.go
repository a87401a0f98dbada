package spf

import (
	"fmt"
	"strings"
)

// Header is the value of a Received-SPF field (RFC 7208 §9.1), in the form that
// policyd-spf gives it and filters after it look for:
//
//	Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=mail.example.com; envelope-from=jdoe@example.com; receiver=<UNKNOWN>
//
// A question without a Receiver says receiver=<UNKNOWN>: a recipient's address is nobody
// else's business. What the client said stands as it did if it can, and is a quoted
// string otherwise. The value is one line, of printable ASCII.
func Header(r Result, q Question) string {
	receiver := "<UNKNOWN>"
	if q.Receiver != "" {
		receiver = headerValue(q.Receiver)
	}
	sender := "<>"
	if q.Sender != "" {
		sender = headerValue(q.Sender)
	}
	helo := "unknown"
	if q.Helo != "" {
		helo = headerValue(q.Helo)
	}
	status := strings.ToUpper(string(r.Status[:1])) + string(r.Status[1:])
	return fmt.Sprintf("%s (%s) identity=%[2]s; client-ip=%s; helo=%s; envelope-from=%s; receiver=%s",
		status, r.Identity, q.IP.Unmap(), helo, sender, receiver)
}

// maxHeaderValue bounds what a client can put into a header, in octets.
const maxHeaderValue = 320

// headerValue is text as it is, or as a quoted string if it has characters that end a
// value or begin something else.
func headerValue(s string) string {
	s = plain(clipTo(s, maxHeaderValue))
	safe := func(r rune) bool {
		return isAlpha(byte(r)) || isDigit(byte(r)) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.@:[]", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
