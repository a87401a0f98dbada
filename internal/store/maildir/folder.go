package maildir

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits on mailbox names.
const (
	maxDepth  = 20
	maxFolder = 200 // bytes of the directory name; 255 is what file systems take
)

// ErrBadName means that a mailbox can't have this name.
var ErrBadName = errors.New("mailbox name not allowed")

// Separator divides the levels of a mailbox name.
const Separator = "/"

// Canonical gives the one form of a mailbox name: Unicode NFC, "INBOX" in upper
// case where it is the first level. It refuses what no mailbox may be called:
// an empty level, "." and "..", invalid UTF-8, control characters, more than 20
// levels, and what makes a directory name above 200 bytes.
func Canonical(name string) (string, error) {
	if len(name) > 4*maxFolder || !utf8.ValidString(name) {
		return "", ErrBadName
	}
	name = norm.NFC.String(name)
	levels := strings.Split(name, Separator)
	if len(levels) > maxDepth {
		return "", ErrBadName
	}
	for _, l := range levels {
		if l == "" || l == "." || l == ".." || strings.ContainsFunc(l, forbidden) {
			return "", ErrBadName
		}
	}
	if strings.EqualFold(levels[0], "INBOX") {
		levels[0] = "INBOX"
	}
	return strings.Join(levels, Separator), nil
}

func forbidden(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// Folder gives the directory of a mailbox, relative to the Maildir: "" for
// INBOX, ".Work.2024" for "Work/2024". Each level is in the modified UTF-7 of
// RFC 3501 §5.1.3, as Dovecot and Courier write it, levels joined by ".".
//
// A "." inside a level would read as a new level. We write it in the encoding's
// base64 form too, as "&AC4-": no other name encodes to that, so it is safe and
// reversible; after a return to Dovecot clients still see a ".", because it
// passes the encoded form through to them.
func Folder(name string) (string, error) {
	name, err := Canonical(name)
	if err != nil {
		return "", err
	}
	if name == "INBOX" {
		return "", nil
	}
	var b strings.Builder
	for _, l := range strings.Split(name, Separator) {
		b.WriteByte('.')
		encodeUTF7(&b, l)
	}
	if b.Len() > maxFolder {
		return "", ErrBadName
	}
	return b.String(), nil
}

// FolderName is the reverse of Folder. Directories of other programs that hold
// raw UTF-8 are read too. It fails for what is no folder or has a name that
// Canonical refuses.
func FolderName(folder string) (string, error) {
	if folder == "" {
		return "INBOX", nil
	}
	if folder[0] != '.' {
		return "", ErrBadName
	}
	levels := strings.Split(folder[1:], ".")
	for i, l := range levels {
		plain, ok := decodeUTF7(l)
		if !ok || strings.Contains(plain, Separator) {
			return "", ErrBadName
		}
		levels[i] = plain
	}
	name, err := Canonical(strings.Join(levels, Separator))
	if name == "INBOX" {
		return "", ErrBadName // ".INBOX" is not INBOX
	}
	return name, err
}

// b64 is the base64 of modified UTF-7: "," for "/", no padding.
var b64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

// direct tells which characters stand for themselves on disk.
func direct(r rune) bool { return r >= ' ' && r <= '~' && r != '&' && r != '.' }

func encodeUTF7(b *strings.Builder, s string) {
	var run []byte
	flush := func() {
		if len(run) > 0 {
			b.WriteString("&" + b64.EncodeToString(run) + "-")
			run = run[:0]
		}
	}
	for _, r := range s {
		switch {
		case direct(r):
			flush()
			b.WriteRune(r)
		case r == '&':
			flush()
			b.WriteString("&-")
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				run = append(run, byte(u>>8), byte(u))
			}
		}
	}
	flush()
}

// decodeUTF7 accepts exactly what encodeUTF7 writes, and raw UTF-8 beside it.
func decodeUTF7(s string) (string, bool) {
	var out strings.Builder
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			out.WriteString(rest)
			break
		}
		out.WriteString(rest[:i])
		code, after, ok := strings.Cut(rest[i+1:], "-")
		if !ok {
			return "", false
		}
		if rest = after; code == "" {
			out.WriteByte('&')
		} else if !decodeRun(&out, code) {
			return "", false
		}
	}
	plain := out.String()
	if !utf8.ValidString(plain) {
		return "", false
	}
	var again strings.Builder
	if encodeUTF7(&again, plain); again.String() == s {
		return plain, true
	}
	// Not canonical: only raw UTF-8 without any encoded part is let through.
	return plain, !strings.Contains(s, "&")
}

func decodeRun(out *strings.Builder, code string) bool {
	raw, err := b64.DecodeString(code)
	if err != nil || len(raw)%2 != 0 {
		return false
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for _, r := range utf16.Decode(units) {
		if r == utf8.RuneError {
			return false
		}
		out.WriteRune(r)
	}
	return true
}
