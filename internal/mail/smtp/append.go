package smtp

import (
	"strconv"
	"time"
)

// appendOptions appends the parameters of MAIL that most mail has none of. What
// they hold came from strangers, and is encoded anew: nothing in it can end the
// parameter or the line.
func (m Mail) appendOptions(b []byte) []byte {
	switch m.Ret {
	case RetFull:
		b = append(b, " RET=FULL"...)
	case RetHeaders:
		b = append(b, " RET=HDRS"...)
	}
	if m.EnvID != "" {
		b = appendXtext(append(b, " ENVID="...), m.EnvID)
	}
	if m.RequireTLS {
		b = append(b, " REQUIRETLS"...)
	}
	switch {
	case m.Hold.For > 0:
		b = strconv.AppendInt(append(b, " HOLDFOR="...), int64(m.Hold.For/time.Second), 10)
	case !m.Hold.Until.IsZero():
		b = appendTime(append(b, " HOLDUNTIL="...), m.Hold.Until)
	}
	if m.By.Given {
		b = m.By.append(append(b, " BY="...))
	}
	if m.Priority != 0 {
		b = strconv.AppendInt(append(b, " MT-PRIORITY="...), int64(m.Priority), 10)
	}
	return b
}

// maxBy is the greatest by-time, in seconds: nine digits (RFC 2852 §4).
const maxBy = 999_999_999

// append writes by-value = by-time ";" by-mode [by-trace], in whole seconds.
func (d DeliverBy) append(b []byte) []byte {
	seconds := min(max(int64(d.Within/time.Second), -maxBy), maxBy)
	b = strconv.AppendInt(b, seconds, 10)
	mode := ";N"
	if d.Return {
		mode = ";R"
	}
	b = append(b, mode...)
	if d.Trace {
		b = append(b, 'T')
	}
	return b
}

// appendOptions appends the parameters of RCPT (RFC 3461 §4.1, §4.2).
func (r Rcpt) appendOptions(b []byte) []byte {
	if r.Notify != 0 {
		b = append(append(b, " NOTIFY="...), r.Notify.String()...)
	}
	if isKeyword(r.Original.Type) {
		b = append(append(b, " ORCPT="...), r.Original.Type...)
		b = r.Original.appendAddress(append(b, ';'))
	}
	return b
}

// String is the value of NOTIFY: "NEVER", or a list such as "SUCCESS,DELAY"; ""
// for what was not said.
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	text := ""
	for bit, word := range notifyWords {
		if n&(1<<bit) != 0 {
			if text != "" {
				text += ","
			}
			text += word
		}
	}
	return text
}

// notifyWords are the words of NOTIFY in the order of their bits.
var notifyWords = [...]string{"SUCCESS", "FAILURE", "DELAY"}

// appendAddress appends the address of ORCPT: xtext, and for the type "utf-8" the
// form of RFC 6533 §3 that is good on any connection (utf-8-addr-xtext).
func (o Original) appendAddress(b []byte) []byte {
	if o.Type != "utf-8" {
		return appendXtext(b, o.Address)
	}
	for _, c := range o.Address {
		if c <= ' ' || c > '~' || c == '+' || c == '=' || c == '\\' {
			b = append(b, `\x{`...)
			if c < 0x10 {
				b = append(b, '0')
			}
			b = appendUpperHex(b, uint32(c))
			b = append(b, '}')
			continue
		}
		b = append(b, byte(c))
	}
	return b
}

func appendUpperHex(b []byte, n uint32) []byte {
	from := len(b)
	b = strconv.AppendUint(b, uint64(n), 16)
	for i := from; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b
}

// appendXtext encodes as xtext (RFC 3461 §4): printable ASCII but "+" and "=" as it
// is, every other octet as "+" and two hexadecimal digits.
func appendXtext(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			b = append(b, '+', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, s[i])
	}
	return b
}
