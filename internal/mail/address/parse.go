package address

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of RFC 5321 §4.5.3.1, in octets.
const (
	MaxLocal   = 64
	MaxDomain  = 255
	MaxLabel   = 63
	MaxMailbox = 254 // a path of 256, less its brackets
)

// What can be wrong with a mailbox. Texts are fit for a reply to the peer: they
// quote nothing of what the peer sent.
var (
	ErrSyntax       = errors.New("bad address syntax")
	ErrNoLocal      = errors.New("bad address syntax: no local part")
	ErrNoDomain     = errors.New("bad address syntax: no domain")
	ErrLocalTooLong = fmt.Errorf("local part longer than %d octets", MaxLocal)
	ErrTooLong      = fmt.Errorf("address longer than %d octets", MaxMailbox)
	ErrEncoding     = errors.New("bad address syntax: not UTF-8")
	ErrNoBrackets   = errors.New("bad address syntax: address must be in angle brackets")
)

// Parse reads a mailbox without brackets: Local-part "@" ( Domain / address-literal ).
// All of s must be the mailbox.
func Parse(s string) (Address, error) {
	a, rest, err := parseMailbox(s)
	if err == nil && rest != "" {
		err = ErrSyntax
	}
	if err != nil {
		return Address{}, err
	}
	return a, nil
}

// Extra is a form of path that is allowed in some places only.
type Extra uint8

// The extra forms.
const (
	// Null is "<>", the reverse-path of notices (RFC 5321 §4.5.5).
	Null Extra = iota + 1
	// Postmaster is "<postmaster>", any case, as a forward-path (RFC 5321 §4.5.1).
	Postmaster
	// Bare is "<user>", without a domain: no form of RFC 5321, but programs and machines of
	// a house write it, and whoever takes it says which domain is meant.
	Bare
)

// ParsePath reads a path "<...>" at the start of s and returns what follows it
// untouched. A source route is checked and dropped (RFC 5321 Appendix C): where
// the mail goes depends on the final mailbox alone. The forms of Extra are
// refused unless named.
func ParsePath(s string, allow ...Extra) (a Address, rest string, err error) {
	if len(s) == 0 || s[0] != '<' {
		return Address{}, "", ErrNoBrackets
	}
	s = s[1:]
	for _, form := range allow {
		if a, rest, ok := form.cut(s); ok {
			return a, rest, nil
		}
	}
	if s, err = cutRoute(s); err != nil {
		return Address{}, "", err
	}
	if a, rest, err = parseMailbox(s); err != nil {
		return Address{}, "", err
	}
	if len(rest) == 0 || rest[0] != '>' {
		return Address{}, "", ErrSyntax
	}
	return a, rest[1:], nil
}

// cut takes the extra form and its closing bracket from the front of s.
func (e Extra) cut(s string) (a Address, rest string, ok bool) {
	const postmaster = "postmaster"
	switch {
	case e == Null && strings.HasPrefix(s, ">"):
		return Address{}, s[1:], true
	case e == Postmaster && len(s) > len(postmaster) && s[len(postmaster)] == '>' &&
		strings.EqualFold(s[:len(postmaster)], postmaster):
		return Address{Local: s[:len(postmaster)]}, s[len(postmaster)+1:], true
	case e == Bare:
		local, written, err := parseLocal(s)
		if err != nil || local == "" || written == len(s) || s[written] != '>' {
			break
		}
		return Address{Local: local}, s[written+1:], true
	}
	return Address{}, s, false
}

// cutRoute drops A-d-l ":" = "@" Domain *( "," "@" Domain ) ":" from the front.
func cutRoute(s string) (string, error) {
	if len(s) == 0 || s[0] != '@' {
		return s, nil
	}
	for {
		end := strings.IndexAny(s, ",:>")
		if end < 0 || s[end] == '>' || s[0] != '@' {
			return "", ErrSyntax
		}
		if _, err := ParseDomain(s[1:end]); err != nil || s[1] == '[' {
			return "", ErrSyntax
		}
		colon := s[end] == ':'
		if s = s[end+1:]; colon {
			return s, nil
		}
		if s == "" {
			return "", ErrSyntax
		}
	}
}

// parseMailbox reads a mailbox at the front of s.
func parseMailbox(s string) (a Address, rest string, err error) {
	var written int
	if a.Local, written, err = parseLocal(s); err != nil {
		return a, "", err
	}
	rest = s[written:]
	if rest == "" || rest[0] != '@' {
		return a, "", ErrNoDomain
	}
	rest = rest[1:]
	end := endOfDomain(rest)
	if a.Domain, err = ParseDomain(rest[:end]); err != nil {
		return a, "", err
	}
	// What was written counts, and so does the canonical form: it is longer
	// where U-labels became A-labels.
	if written+1+max(end, len(a.Domain)) > MaxMailbox {
		return a, "", ErrTooLong
	}
	return a, rest[end:], nil
}

// parseLocal reads a local part at the front of s; written is its length there.
func parseLocal(s string) (local string, written int, err error) {
	if strings.HasPrefix(s, `"`) {
		local, written, err = parseQuoted(s)
	} else {
		for written < len(s) && (s[written] == '.' || isAtext(s[written])) {
			written++
		}
		local = s[:written]
		switch {
		case written == 0 && (s == "" || s[0] == '@'):
			err = ErrNoLocal
		case !isDotString(local):
			err = ErrSyntax
		}
	}
	switch {
	case err != nil:
	case written > MaxLocal:
		err = ErrLocalTooLong
	default:
		err = checkText(local)
	}
	return local, written, err
}

// parseQuoted reads a Quoted-string (RFC 5321 §4.1.2) at the front of s.
func parseQuoted(s string) (local string, written int, err error) {
	text := make([]byte, 0, MaxLocal)
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return string(text), i + 1, nil
		case c == '\\':
			i++
			// quoted-pairSMTP = %d92 %d32-126: nothing outside ASCII.
			if i == len(s) || s[i] < ' ' || s[i] > '~' {
				return "", 0, ErrSyntax
			}
			c = s[i]
		case c < ' ' || c == 0x7f:
			return "", 0, ErrSyntax
		}
		if text = append(text, c); len(text) > MaxLocal {
			return "", 0, ErrLocalTooLong
		}
	}
	return "", 0, ErrSyntax
}

// checkText refuses bytes that are not UTF-8, and the C1 controls: RFC 6531
// would allow them, but no mailbox needs them and terminals obey them.
func checkText(s string) error {
	if isASCII(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return ErrEncoding
	}
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return ErrSyntax
	}
	return nil
}

// endOfDomain is where the domain or literal at the front of s stops: after
// "]", or before the first byte that no domain has.
func endOfDomain(s string) int {
	if strings.HasPrefix(s, "[") {
		return strings.IndexByte(s, ']') + 1
	}
	if i := strings.IndexAny(s, " <>@\"(),:;[\\]"); i >= 0 {
		return i
	}
	return len(s)
}
