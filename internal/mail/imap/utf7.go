package imap

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrUTF7 is text that is not modified UTF-7 in its one canonical form.
var ErrUTF7 = errors.New("not canonical modified UTF-7")

// EncodeUTF7 writes UTF-8 in the modified UTF-7 of RFC 3501 §5.1.3. Octets that
// are not UTF-8 become U+FFFD.
func EncodeUTF7(s string) string {
	var b strings.Builder
	var run []uint16
	flush := func() {
		if len(run) > 0 {
			b.WriteString("&" + encodeUnits(run) + "-")
			run = run[:0]
		}
	}
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			run = utf16.AppendRune(run, r)
			continue
		}
		flush()
		b.WriteRune(r)
		if r == '&' {
			b.WriteByte('-')
		}
	}
	flush()
	return b.String()
}

func encodeUnits(units []uint16) string {
	raw := make([]byte, 0, 2*len(units))
	for _, u := range units {
		raw = append(raw, byte(u>>8), byte(u))
	}
	return utf7Alphabet().EncodeToString(raw)
}

// utf7Alphabet is base64 with "," for "/" and without padding.
func utf7Alphabet() *base64.Encoding {
	const std = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,"
	return base64.NewEncoding(std).WithPadding(base64.NoPadding)
}

// DecodeUTF7 reads modified UTF-7. A name has one form: what EncodeUTF7 would
// have written otherwise is refused, so that two spellings can't mean the same
// mailbox (ATTACKS IMAP-009).
func DecodeUTF7(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		plain, after, found := strings.Cut(rest, "&")
		b.WriteString(plain)
		if !found {
			break
		}
		code, tail, closed := strings.Cut(after, "-")
		if !closed {
			return "", ErrUTF7
		}
		if err := decodeShift(&b, code); err != nil {
			return "", err
		}
		rest = tail
	}
	if out := b.String(); EncodeUTF7(out) == s {
		return out, nil
	}
	return "", ErrUTF7
}

// decodeShift writes what stands between "&" and "-".
func decodeShift(b *strings.Builder, code string) error {
	if code == "" {
		b.WriteByte('&')
		return nil
	}
	raw, err := utf7Alphabet().Strict().DecodeString(code)
	if err != nil || len(raw)%2 != 0 {
		return ErrUTF7
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for _, r := range utf16.Decode(units) {
		if r == utf8.RuneError {
			return ErrUTF7 // an unpaired surrogate, or a name that could not be told from one
		}
		b.WriteRune(r)
	}
	return nil
}
