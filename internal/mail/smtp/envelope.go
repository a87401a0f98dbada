package smtp

import (
	"strconv"
	"strings"

	"facteur/internal/mail/address"
)

// Mail is what a MAIL command says (RFC 5321 §4.1.1.2).
type Mail struct {
	// Sender is the reverse-path; the zero Address for "<>".
	Sender address.Address
	// Size is the announced size in octets (RFC 1870); 0 when not announced. A
	// number that does not fit is math.MaxInt64, above any limit.
	Size int64
	// Body is "7BIT", "8BITMIME" (RFC 6152), "BINARYMIME" (RFC 3030), or "" when
	// not said.
	Body string
	// UTF8 is true with the SMTPUTF8 parameter (RFC 6531).
	UTF8 bool
	// Auth is the decoded AUTH parameter (RFC 4954 §5): "<>", a mailbox, or ""
	// when absent. It is hearsay; nothing may be decided by it.
	Auth string
	// Ret and EnvID are what a notice returns, and the sender's name for the
	// message (RFC 3461 §4.3 and §4.4).
	Ret   Ret
	EnvID string
	// RequireTLS: no hop may take it in the clear (RFC 8689).
	RequireTLS bool
	// Hold is until when the message is to be kept back (RFC 4865).
	Hold Hold
	// By is until when it is to be delivered (RFC 2852).
	By DeliverBy
	// Priority is from -9 to 9 (RFC 6710); 0 when not said.
	Priority int
}

// Rcpt is what a RCPT command says (RFC 5321 §4.1.1.3).
type Rcpt struct {
	// To is the forward-path. The bare "postmaster" has no domain.
	To address.Address
	// Notify is when the sender wants to hear of this recipient, and Original how
	// he wrote him (RFC 3461 §4.1 and §4.2).
	Notify   Notify
	Original Original
}

// Replies to envelopes that are not understood. Shared: nobody changes a reply.
var (
	replyMailSyntax = NewReply(501, "5.5.4", "Syntax: MAIL FROM:<address>")
	replyRcptSyntax = NewReply(501, "5.5.4", "Syntax: RCPT TO:<address>")
	replyNeedUTF8   = NewReply(553, "5.6.7", "Must declare SMTPUTF8 to send a non-ASCII address")
)

// ParseMail reads the arguments of MAIL. The reply is nil when they are good:
// 501 for bad syntax and doubled parameters, 530 for REQUIRETLS before TLS, 553
// for a non-ASCII address without SMTPUTF8, 555 for a parameter of an extension
// that x, what the session offered, does not have.
//
// Blanks after the colon are let pass. RFC 5321 has none there, but printers,
// scanners and old programs send them, and they can mean nothing else.
func ParseMail(args string, x *Extensions) (m Mail, bad *Reply) {
	path, ok := cutKeyword(args, "FROM:")
	if !ok {
		return m, replyMailSyntax
	}
	sender, params, err := address.ParsePath(path, x.bare(address.Null)...)
	if err != nil {
		return m, NewReply(501, "5.1.7", "Sender: "+err.Error())
	}
	m.Sender = sender
	if bad = m.parseParams(params, x); bad != nil {
		return Mail{}, bad
	}
	if !m.UTF8 && !isASCII(args) {
		return Mail{}, replyNeedUTF8
	}
	return m, nil
}

// ParseRcpt reads the arguments of RCPT, with replies as those of ParseMail; utf8
// tells that the transaction's MAIL had SMTPUTF8.
func ParseRcpt(args string, utf8 bool, x *Extensions) (r Rcpt, bad *Reply) {
	path, ok := cutKeyword(args, "TO:")
	if !ok {
		return r, replyRcptSyntax
	}
	to, params, err := address.ParsePath(path, x.bare(address.Postmaster)...)
	if err != nil {
		return r, NewReply(501, "5.1.3", "Recipient: "+err.Error())
	}
	if !utf8 && !isASCII(args) {
		return r, replyNeedUTF8
	}
	r.To = to
	if bad = r.parseParams(params, x); bad != nil {
		return Rcpt{}, bad
	}
	return r, nil
}

// bare are the forms of a path that are taken beside the usual one.
func (x *Extensions) bare(form address.Extra) []address.Extra {
	if x.Bare {
		return []address.Extra{form, address.Bare}
	}
	return []address.Extra{form}
}

// cutKeyword cuts "FROM:" or "TO:" and the blanks after it.
func cutKeyword(s, keyword string) (string, bool) {
	if len(s) < len(keyword) || !strings.EqualFold(s[:len(keyword)], keyword) {
		return "", false
	}
	return strings.TrimLeft(s[len(keyword):], " "), true
}

// AppendTo appends the MAIL command with CRLF, as a client sends it. The caller
// leaves unset what the server did not offer. Auth is not sent.
func (m Mail) AppendTo(b []byte) []byte {
	b = append(b, "MAIL FROM:<"...)
	b = append(append(b, m.Sender.String()...), '>')
	if m.Size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), m.Size, 10)
	}
	if m.Body != "" {
		b = append(append(b, " BODY="...), m.Body...)
	}
	if m.UTF8 {
		b = append(b, " SMTPUTF8"...)
	}
	return append(m.appendOptions(b), '\r', '\n')
}

// AppendTo appends the RCPT command with CRLF, as a client sends it.
func (r Rcpt) AppendTo(b []byte) []byte {
	b = append(b, "RCPT TO:<"...)
	b = append(append(b, r.To.String()...), '>')
	return append(r.appendOptions(b), '\r', '\n')
}
