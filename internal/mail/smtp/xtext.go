package smtp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// decodeXtext decodes xtext (RFC 3461 §4): printable ASCII, with "+" and two
// upper-case hexadecimal digits for everything else.
func decodeXtext(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '!' || c > '~' || c == '=' {
			return "", false
		}
		if c == '+' {
			if i+2 >= len(s) || !isUpperHex(s[i+1]) || !isUpperHex(s[i+2]) {
				return "", false
			}
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

func isUpperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}

// decodeUnitext decodes the address of ORCPT=utf-8 (RFC 6533 §3): UTF-8, with
// \x{HEX} for any character. It stands for itself, with no xtext around it.
func decodeUnitext(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\':
			end := strings.IndexByte(s[i:min(len(s), i+len(`\x{10FFFF}`))], '}')
			if end < 0 {
				return "", false
			}
			r, ok := hexpoint(s[i : i+end])
			if !ok {
				return "", false
			}
			b = utf8.AppendRune(b, r)
			i += end + 1
		case c < '!' || c == 0x7f || c == '+' || c == '=':
			return "", false
		default:
			b = append(b, c)
			i++
		}
	}
	return string(b), utf8.Valid(b)
}

// hexpoint reads `\x{` and HEXPOINT: upper-case digits, at least two, none of
// them to no purpose.
func hexpoint(s string) (rune, bool) {
	hex, ok := strings.CutPrefix(s, `\x{`)
	if !ok || len(hex) < 2 || len(hex) > 6 || len(hex) > 2 && hex[0] == '0' {
		return 0, false
	}
	var r rune
	for i := range len(hex) {
		if !isUpperHex(hex[i]) {
			return 0, false
		}
		r = r<<4 | rune(unhex(hex[i]))
	}
	return r, utf8.ValidRune(r)
}

// printable tells text that may stand in a header or log line: no control
// characters, and ASCII unless wide.
func printable(s string, wide bool) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r > 0x7f && (!wide || unicode.IsControl(r) || r == '\u2028' || r == '\u2029') {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isDigits tells 1*DIGIT.
func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
