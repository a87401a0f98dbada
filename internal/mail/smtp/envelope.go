package smtp

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

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
	replyParam      = NewReply(501, "5.5.4", "Bad parameter syntax")
	replyTwice      = NewReply(501, "5.5.4", "Parameter given twice")
	replyValue      = NewReply(501, "5.5.4", "Bad parameter value")
)

// ParseMail reads the arguments of MAIL. The reply is nil when they are good:
// 501 for bad syntax and doubled parameters, 553 for a non-ASCII address
// without SMTPUTF8, 555 for a parameter that is not known.
//
// Blanks after the colon are let pass. RFC 5321 has none there, but printers,
// scanners and old programs send them, and they can mean nothing else.
func ParseMail(args string) (m Mail, bad *Reply) {
	path, ok := cutKeyword(args, "FROM:")
	if !ok {
		return m, replyMailSyntax
	}
	sender, params, err := address.ParsePath(path, address.Null)
	if err != nil {
		return m, NewReply(501, "5.1.7", "Sender: "+err.Error())
	}
	m.Sender = sender
	if bad = m.parseParams(params); bad != nil {
		return Mail{}, bad
	}
	if !m.UTF8 && !isASCII(args) {
		return Mail{}, replyNeedUTF8
	}
	return m, nil
}

// ParseRcpt reads the arguments of RCPT; utf8 tells that the transaction's MAIL
// had SMTPUTF8. No parameter is known yet.
func ParseRcpt(args string, utf8 bool) (r Rcpt, bad *Reply) {
	path, ok := cutKeyword(args, "TO:")
	if !ok {
		return r, replyRcptSyntax
	}
	to, params, err := address.ParsePath(path, address.Postmaster)
	if err != nil {
		return r, NewReply(501, "5.1.3", "Recipient: "+err.Error())
	}
	if !utf8 && !isASCII(args) {
		return r, replyNeedUTF8
	}
	bad = eachParam(params, func(key, _ string, _ bool) *Reply { return unsupported(key) })
	if bad != nil {
		return r, bad
	}
	return Rcpt{To: to}, nil
}

// cutKeyword cuts "FROM:" or "TO:" and the blanks after it.
func cutKeyword(s, keyword string) (string, bool) {
	if len(s) < len(keyword) || !strings.EqualFold(s[:len(keyword)], keyword) {
		return "", false
	}
	return strings.TrimLeft(s[len(keyword):], " "), true
}

// eachParam calls set for each of *(SP esmtp-keyword ["=" esmtp-value])
// (RFC 5321 §4.1.2) and stops at the first reply. key is in upper case.
func eachParam(s string, set func(key, value string, valued bool) *Reply) *Reply {
	if s != "" && s[0] != ' ' {
		return replyParam
	}
	for _, param := range strings.Fields(s) {
		key, value, valued := strings.Cut(param, "=")
		if !isKeyword(key) || valued && (value == "" || strings.Contains(value, "=")) {
			return replyParam
		}
		if bad := set(strings.ToUpper(key), value, valued); bad != nil {
			return bad
		}
	}
	return nil
}

// isKeyword tells esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-").
func isKeyword(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

func unsupported(key string) *Reply {
	if len(key) > 32 {
		key = key[:32]
	}
	return NewReply(555, "5.5.4", "Unsupported option: "+key)
}

// parseParams reads the parameters of MAIL into m.
func (m *Mail) parseParams(s string) *Reply {
	seen := [4]bool{}
	return eachParam(s, func(key, value string, valued bool) *Reply {
		var set func(string, bool) bool
		var n int
		switch key {
		case "SIZE":
			n, set = 0, m.setSize
		case "BODY":
			n, set = 1, m.setBody
		case "SMTPUTF8":
			n, set = 2, m.setUTF8
		case "AUTH":
			n, set = 3, m.setAuth
		default:
			return unsupported(key)
		}
		if seen[n] {
			return replyTwice
		}
		seen[n] = true
		if !set(value, valued) {
			return replyValue
		}
		return nil
	})
}

// setSize reads size-value = 1*20DIGIT (RFC 1870 §3).
func (m *Mail) setSize(value string, valued bool) bool {
	if !valued || len(value) > 20 || strings.Trim(value, "0123456789") != "" {
		return false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil { // digits only: it can but be too large
		n = math.MaxInt64
	}
	m.Size = n
	return true
}

func (m *Mail) setBody(value string, _ bool) bool {
	for _, known := range [...]string{"7BIT", "8BITMIME"} {
		if strings.EqualFold(value, known) {
			m.Body = known
			return true
		}
	}
	return false
}

func (m *Mail) setUTF8(_ string, valued bool) bool {
	m.UTF8 = true
	return !valued
}

func (m *Mail) setAuth(value string, valued bool) bool {
	text, ok := decodeXtext(value)
	if !valued || !ok {
		return false
	}
	if text != "<>" {
		if _, err := address.Parse(text); err != nil {
			return false
		}
	}
	m.Auth = text
	return true
}

// decodeXtext decodes xtext (RFC 3461 §4): printable ASCII, with "+" and two
// upper-case hexadecimal digits for everything else.
func decodeXtext(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '!' || c > '~' {
			return "", false
		}
		if c == '+' {
			if i+2 >= len(s) || !isUpperHex(s[i+1]) || !isUpperHex(s[i+2]) {
				return "", false
			}
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			c = byte(n)
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

func isUpperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
