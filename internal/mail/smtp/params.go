package smtp

import (
	"math"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Replies to parameters. Shared: nobody changes a reply.
var (
	replyParam    = NewReply(501, "5.5.4", "Bad parameter syntax")
	replyTwice    = NewReply(501, "5.5.4", "Parameter given twice")
	replyValue    = NewReply(501, "5.5.4", "Bad parameter value")
	replyTwoHolds = NewReply(501, "5.5.4", "HOLDFOR and HOLDUNTIL exclude each other")
	replyHoldLong = NewReply(501, "5.5.4", "The message would be held back for longer than is offered here")
	replyByOver   = NewReply(501, "5.5.4", "BY with R needs a time above zero")
	replyByShort  = NewReply(501, "5.5.4", "BY with R asks for less time than is promised here")
	replyNever    = NewReply(501, "5.5.4", "NOTIFY=NEVER stands alone")
	replyTLSFirst = NewReply(530, "5.7.10", "REQUIRETLS needs TLS here too: issue a STARTTLS command first")
)

// mailParams are the parameters of MAIL. A value is "" when there is none.
var mailParams = [...]struct {
	name    string
	offered func(*Extensions) bool
	set     func(m *Mail, value string, x *Extensions) *Reply
}{
	{"SIZE", func(x *Extensions) bool { return x.SizeOffered }, (*Mail).setSize},
	{"BODY", func(x *Extensions) bool { return x.EightBitMIME || x.BinaryMIME }, (*Mail).setBody},
	{"SMTPUTF8", func(x *Extensions) bool { return x.UTF8 }, (*Mail).setUTF8},
	{"AUTH", func(x *Extensions) bool { return len(x.Auth) > 0 }, (*Mail).setAuth},
	{"RET", func(x *Extensions) bool { return x.DSN }, (*Mail).setRet},
	{"ENVID", func(x *Extensions) bool { return x.DSN }, (*Mail).setEnvID},
	{"REQUIRETLS", func(x *Extensions) bool { return x.RequireTLS || x.StartTLS }, (*Mail).setRequireTLS},
	{"HOLDFOR", func(x *Extensions) bool { return x.FutureRelease }, (*Mail).setHoldFor},
	{"HOLDUNTIL", func(x *Extensions) bool { return x.FutureRelease }, (*Mail).setHoldUntil},
	{"BY", func(x *Extensions) bool { return x.DeliverBy }, (*Mail).setBy},
	{"MT-PRIORITY", func(x *Extensions) bool { return x.Priority }, (*Mail).setPriority},
}

// parseParams reads the parameters of MAIL into m.
func (m *Mail) parseParams(s string, x *Extensions) *Reply {
	seen := [len(mailParams)]bool{}
	return eachParam(s, func(key, value string) *Reply {
		for i := range mailParams {
			p := &mailParams[i]
			switch {
			case !strings.EqualFold(key, p.name):
				continue
			case !p.offered(x):
				return unsupported(key)
			case seen[i]:
				return replyTwice
			}
			seen[i] = true
			return p.set(m, value, x)
		}
		return unsupported(key)
	})
}

// parseParams reads the parameters of RCPT into r.
func (r *Rcpt) parseParams(s string, x *Extensions) *Reply {
	var notify, original bool
	return eachParam(s, func(key, value string) *Reply {
		var twice *bool
		var set func(string) *Reply
		switch {
		case !x.DSN:
			return unsupported(key)
		case strings.EqualFold(key, "NOTIFY"):
			twice, set = &notify, r.setNotify
		case strings.EqualFold(key, "ORCPT"):
			twice, set = &original, r.setOriginal
		default:
			return unsupported(key)
		}
		if *twice {
			return replyTwice
		}
		*twice = true
		return set(value)
	})
}

// eachParam calls set for each of *(SP esmtp-keyword ["=" esmtp-value])
// (RFC 5321 §4.1.2) and stops at the first reply. value is "" when there is none:
// an empty one is not in the grammar.
func eachParam(s string, set func(key, value string) *Reply) *Reply {
	if s != "" && s[0] != ' ' {
		return replyParam
	}
	for param := range strings.FieldsSeq(s) {
		key, value, valued := strings.Cut(param, "=")
		if !isKeyword(key) || valued && (value == "" || strings.Contains(value, "=")) {
			return replyParam
		}
		if bad := set(key, value); bad != nil {
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
	return NewReply(555, "5.5.4", "Unsupported option: "+strings.ToUpper(key[:min(len(key), 32)]))
}

// setSize reads size-value = 1*20DIGIT (RFC 1870 §3).
func (m *Mail) setSize(value string, _ *Extensions) *Reply {
	if len(value) > 20 || !isDigits(value) {
		return replyValue
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil { // digits only: it can but be too large
		n = math.MaxInt64
	}
	m.Size = n
	return nil
}

func (m *Mail) setBody(value string, x *Extensions) *Reply {
	switch {
	case strings.EqualFold(value, "7BIT"):
		m.Body = "7BIT"
	case strings.EqualFold(value, "8BITMIME"):
		m.Body = "8BITMIME"
	case strings.EqualFold(value, "BINARYMIME") && x.BinaryMIME:
		m.Body = "BINARYMIME"
	case strings.EqualFold(value, "BINARYMIME"):
		return NewReply(555, "5.5.4", "Unsupported option: BODY=BINARYMIME")
	default:
		return replyValue
	}
	return nil
}

func (m *Mail) setUTF8(value string, _ *Extensions) *Reply {
	m.UTF8 = true
	return without(value)
}

// without refuses a value where none belongs.
func without(value string) *Reply {
	if value != "" {
		return replyValue
	}
	return nil
}

func (m *Mail) setAuth(value string, _ *Extensions) *Reply {
	text, ok := decodeXtext(value)
	if !ok {
		return replyValue
	}
	if text != "<>" {
		if _, err := address.Parse(text); err != nil {
			return replyValue
		}
	}
	m.Auth = text
	return nil
}

func (m *Mail) setRet(value string, _ *Extensions) *Reply {
	switch {
	case strings.EqualFold(value, "FULL"):
		m.Ret = RetFull
	case strings.EqualFold(value, "HDRS"):
		m.Ret = RetHeaders
	default:
		return replyValue
	}
	return nil
}

// maxEnvID and maxOriginal are how long the values may be as sent (RFC 3461 §4.4
// and §4.2).
const (
	maxEnvID    = 100
	maxOriginal = 500
)

func (m *Mail) setEnvID(value string, _ *Extensions) *Reply {
	text, ok := decodeXtext(value)
	if !ok || value == "" || len(value) > maxEnvID || !printable(text, false) {
		return replyValue
	}
	m.EnvID = text
	return nil
}

func (m *Mail) setRequireTLS(value string, x *Extensions) *Reply {
	if !x.RequireTLS { // it would be, under TLS (RFC 8689 §4.1)
		return replyTLSFirst
	}
	m.RequireTLS = true
	return without(value)
}

// setHoldFor reads future-release-interval, 1*9DIGIT and not 0 (RFC 4865 §4).
func (m *Mail) setHoldFor(value string, x *Extensions) *Reply {
	d := parseSeconds(value)
	switch {
	case d == 0 || value[0] == '0':
		return replyValue
	case !m.Hold.Until.IsZero():
		return replyTwoHolds
	case d > x.MostHold:
		return replyHoldLong
	}
	m.Hold.For = d
	return nil
}

// setHoldUntil reads a date-time of RFC 3339 (RFC 4865 §4, erratum 2040).
func (m *Mail) setHoldUntil(value string, x *Extensions) *Reply {
	t, err := parseTime(value)
	switch {
	case err != nil:
		return replyValue
	case m.Hold.For != 0:
		return replyTwoHolds
	case t.After(x.LastHold):
		return replyHoldLong
	}
	m.Hold.Until = t
	return nil
}

// parseTime reads the date-time of RFC 3339; its fractions of a second go.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.ToUpper(s))
	return t.UTC().Truncate(time.Second), err
}

func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, time.RFC3339)
}

// setBy reads by-time ";" by-mode [by-trace] (RFC 2852 §4).
func (m *Mail) setBy(value string, x *Extensions) *Reply {
	digits, mode, _ := strings.Cut(strings.ToUpper(value), ";")
	sign := time.Duration(1)
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		if digits[0] == '-' {
			sign = -1
		}
		digits = digits[1:]
	}
	mode, traced := strings.CutSuffix(mode, "T")
	if !isDigits(digits) || len(digits) > 9 || mode != "R" && mode != "N" {
		return replyValue
	}
	by := DeliverBy{Given: true, Within: sign * parseSeconds(digits), Return: mode == "R", Trace: traced}
	switch {
	case by.Return && by.Within <= 0:
		return replyByOver
	case by.Return && by.Within < x.LeastBy:
		return replyByShort
	}
	m.By = by
	return nil
}

// setPriority reads priority-value = (["-"] "1" … "9") / "0" (RFC 6710 §6).
func (m *Mail) setPriority(value string, _ *Extensions) *Reply {
	digit, minus := strings.CutPrefix(value, "-")
	if len(digit) != 1 || !isDigits(digit) || minus && digit == "0" {
		return replyValue
	}
	m.Priority = int(digit[0] - '0')
	if minus {
		m.Priority = -m.Priority
	}
	return nil
}

// setNotify reads "NEVER" or a list of the other words (RFC 3461 §4.1).
func (r *Rcpt) setNotify(value string) *Reply {
	for word := range strings.SplitSeq(value, ",") {
		n := notifyOf(word)
		if n == 0 || r.Notify&n != 0 {
			return replyValue
		}
		r.Notify |= n
	}
	if r.Notify&NotifyNever != 0 && r.Notify != NotifyNever {
		return replyNever
	}
	return nil
}

func notifyOf(word string) Notify {
	for i, name := range notifyWords {
		if strings.EqualFold(word, name) {
			return 1 << i
		}
	}
	if strings.EqualFold(word, "NEVER") {
		return NotifyNever
	}
	return 0
}

// setOriginal reads addr-type ";" address (RFC 3461 §4.2). What decodes to control
// characters is refused: it would go into the header of a notice.
func (r *Rcpt) setOriginal(value string) *Reply {
	kind, text, _ := strings.Cut(value, ";")
	kind = strings.ToLower(kind)
	if !isAtom(kind) || text == "" {
		return replyValue
	}
	decode, wide := decodeXtext, kind == utf8Type
	if wide {
		decode = decodeUnitext
	}
	text, ok := decode(text)
	o := Original{Type: kind, Address: text}
	if !ok || !printable(text, wide) || len(kind)+1+len(o.appendAddress(nil)) > maxOriginal {
		return replyValue
	}
	r.Original = o
	return nil
}

// utf8Type is the address type of RFC 6533 §3.
const utf8Type = "utf-8"

// isAtom tells atom of RFC 3461 §4.2, that is of RFC 5321.
func isAtom(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(`()<>@,;:\".[]=+`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
