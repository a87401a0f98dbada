package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// What can be wrong with a domain.
var (
	ErrDomain        = errors.New("bad domain syntax")
	ErrDomainTooLong = fmt.Errorf("domain longer than %d octets", MaxDomain)
	ErrLabelTooLong  = fmt.Errorf("domain label longer than %d octets", MaxLabel)
	ErrLiteral       = errors.New("bad address literal")
)

// toASCII is UTS 46, nontransitional: ß and ς are letters of their own, as the
// registries have them (RFC 5891). Lengths and letters are checked by us after
// it, on what came out: a full-width "@" or "." maps to the plain one.
var toASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true),
	idna.CheckHyphens(false), idna.StrictDomainName(false), idna.Transitional(false))

// ParseDomain reads a domain or an address literal of the envelope and returns
// its canonical form: lower-case A-labels, or a normalised literal. A trailing
// dot is refused, as the grammar has none; CanonicalDomain takes it.
//
// "_" passes in a label although RFC 5321 does not have it: there are hosts and
// senders named so, and nothing is safer for refusing their letters.
func ParseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	if len(s) > MaxDomain*4 { // no IDN that fits is longer; bounds the work
		return "", ErrDomainTooLong
	}
	if !utf8.ValidString(s) {
		return "", ErrEncoding
	}
	if !isASCII(s) || hasALabel(s) {
		mapped, err := toASCII.ToASCII(s)
		if err != nil {
			return "", ErrDomain
		}
		s = mapped
	}
	if err := checkDomain(s); err != nil {
		return "", err
	}
	return strings.ToLower(s), nil
}

// CanonicalDomain is ParseDomain for names that come from people and from the
// DNS, where one trailing dot is usual: it is removed.
func CanonicalDomain(s string) (string, error) {
	return ParseDomain(strings.TrimSuffix(s, "."))
}

// hasALabel tells whether some label says it is one ("xn--"): those are decoded
// to check that they are what they claim.
func hasALabel(s string) bool {
	for i := 0; i+4 <= len(s); i++ {
		if s[i+2] == '-' && s[i+3] == '-' && (s[i]|0x20) == 'x' && (s[i+1]|0x20) == 'n' {
			return true
		}
	}
	return false
}

// checkDomain checks Domain = sub-domain *("." sub-domain).
func checkDomain(s string) error {
	if s == "" {
		return ErrNoDomain
	}
	if len(s) > MaxDomain {
		return ErrDomainTooLong
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			continue
		}
		if err := checkLabel(s[start:i]); err != nil {
			return err
		}
		start = i + 1
	}
	return nil
}

func checkLabel(s string) error {
	if len(s) > MaxLabel {
		return ErrLabelTooLong
	}
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return ErrDomain
	}
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '-' || s[i] == '_') {
			return ErrDomain
		}
	}
	return nil
}

// parseLiteral reads "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3).
// An IPv4 address mapped into IPv6 becomes what it is, so that one host has one
// spelling. General-address-literal has no registered tag, and is refused.
func parseLiteral(s string) (string, error) {
	if len(s) < 2 || s[len(s)-1] != ']' {
		return "", ErrLiteral
	}
	text, six := cutFold(s[1:len(s)-1], "IPv6:")
	ip, err := netip.ParseAddr(text)
	if err != nil || six != ip.Is6() || ip.Zone() != "" {
		return "", ErrLiteral
	}
	if six && !elisionIsFair(text) {
		return "", ErrLiteral
	}
	if ip = ip.Unmap(); ip.Is4() {
		return "[" + ip.String() + "]", nil
	}
	return "[IPv6:" + ip.String() + "]", nil
}

// elisionIsFair tells that "::" stands for two groups or more, as RFC 5321
// demands; the general parser takes one.
func elisionIsFair(text string) bool {
	if !strings.Contains(text, "::") {
		return true
	}
	groups := strings.FieldsFunc(text, func(r rune) bool { return r == ':' })
	n := len(groups)
	if strings.Contains(text, ".") {
		n++ // the dotted tail is two groups
	}
	return n <= 6
}

// cutFold cuts an ASCII prefix, whatever its case.
func cutFold(s, prefix string) (rest string, found bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}
