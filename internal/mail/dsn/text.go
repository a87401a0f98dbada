package dsn

import (
	"bytes"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/address"
)

const (
	// maxLine is the longest line of a message, without CRLF (RFC 5322 §2.1.1).
	maxLine = 998
	// foldAt is where fields are folded.
	foldAt = 76
	// maxDiagnostic is how much of a remote text is quoted, in bytes.
	maxDiagnostic = 2 << 10
)

// line makes s fit for one line: what is not printable becomes "?", and it is
// not too long.
func line(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
	if len(s) <= maxDiagnostic {
		return s
	}
	n := maxDiagnostic
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// ascii is line in ASCII.
func ascii(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII {
			return '?'
		}
		return c
	}, line(s)))
}

// fold breaks a field at its blanks, and where there is none for too long, in
// the middle of a word: better a blank too many than a line too long.
func fold(field string) string {
	var b strings.Builder
	for limit := foldAt; len(field) > limit; limit = foldAt - 1 {
		at := strings.LastIndexByte(field[:limit], ' ')
		if at <= 0 || b.Len() == 0 && at <= strings.IndexByte(field, ':')+1 {
			next := strings.IndexByte(field[limit:], ' ')
			if at = limit + next; next < 0 || at > maxLine/2 {
				for at = min(len(field), maxLine/2); at < len(field) && !utf8.RuneStart(field[at]); {
					at--
				}
			}
		}
		b.WriteString(field[:at])
		field = strings.TrimPrefix(field[at:], " ")
		if field == "" {
			return b.String()
		}
		b.WriteString("\r\n ")
	}
	b.WriteString(field)
	return b.String()
}

// typed is an address with its type. Those that are not ASCII take the 7-bit form
// of RFC 6533 §3 (utf-8-addr-xtext), which is good in any notice.
func typed(a address.Address) string {
	s := line(a.String())
	if a.IsASCII() {
		return "rfc822; " + ascii(s)
	}
	return "utf-8; " + utf8Xtext(s)
}

// unitext is an address with its type as message/global-delivery-status has it
// (utf-8-addr-unitext).
func unitext(a address.Address) string {
	s := line(a.String())
	if a.IsASCII() || strings.ContainsAny(s, "+=\\ ") {
		return typed(a)
	}
	return "utf-8; " + s
}

func utf8Xtext(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c <= ' ' || c > '~' || c == '+' || c == '=' || c == '\\' {
			fmt.Fprintf(&b, `\x{%02X}`, c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// encoded ends a part's header and adds the body, as quoted-printable if it is
// not fit for 7-bit transport as it is.
func encoded(f *fields, body []byte) []byte {
	if is7bit(body) {
		f.raw("Content-Transfer-Encoding: 7bit")
		f.raw("")
		f.Write(body)
		return f.Bytes()
	}
	f.raw("Content-Transfer-Encoding: quoted-printable")
	f.raw("")
	w := quotedprintable.NewWriter(f)
	w.Write(body) // into memory: can not fail
	w.Close()
	return f.Bytes()
}

// is7bit tells whether b is lines of ASCII that end with CRLF, none too long
// (RFC 2045 §2.7). The last may be without.
func is7bit(b []byte) bool { return isText(b, false) }

// isText tells whether b is such lines, of any bytes but NUL where eightBit (RFC 2045
// §2.8).
func isText(b []byte, eightBit bool) bool {
	for len(b) > 0 {
		text, rest, _ := bytes.Cut(b, []byte("\r\n"))
		if len(text) > maxLine || bytes.IndexByte(text, 0) >= 0 || bytes.ContainsAny(text, "\r\n") {
			return false
		}
		if !eightBit && bytes.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII }) {
			return false
		}
		b = rest
	}
	return true
}
