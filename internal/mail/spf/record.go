package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// maxRecord and maxTerms are far above what fits into an answer by UDP, and bound
	// the work on a record.
	maxRecord = 16 << 10
	maxTerms  = 512
)

// Mechanism is the kind of a term that can match (RFC 7208 §5).
type Mechanism string

// The mechanisms.
const (
	All     Mechanism = "all"
	Include Mechanism = "include"
	A       Mechanism = "a"
	MX      Mechanism = "mx"
	PTR     Mechanism = "ptr"
	IP4     Mechanism = "ip4"
	IP6     Mechanism = "ip6"
	Exists  Mechanism = "exists"
)

// asks tells whether the mechanism counts to the ten (§4.6.4).
func (m Mechanism) asks() bool { return m != All && m != IP4 && m != IP6 }

// Record is an SPF record, understood completely.
type Record struct {
	// Terms are the mechanisms in their order.
	Terms []Term
	// Redirect and Exp are the modifiers that mean something; nil without them (§6).
	Redirect, Exp *Macro
}

// isNoMail tells whether the record says that the domain sends no mail at all.
func (r *Record) isNoMail() bool {
	return len(r.Terms) == 1 && r.Terms[0].Mechanism == All && r.Terms[0].Result == Fail && r.Redirect == nil
}

// Term is a mechanism with what belongs to it.
type Term struct {
	// Text is the term as it stands in the record.
	Text string
	// Result is what a match means: Pass, Fail, SoftFail or Neutral.
	Result    Status
	Mechanism Mechanism
	// Domain is what is asked for; nil: the domain of the record.
	Domain *Macro
	// Prefix is the network of ip4 and ip6.
	Prefix netip.Prefix
	// Bits4 and Bits6 are how many bits of the addresses of a and mx count.
	Bits4, Bits6 int
}

// IsRecord tells whether a text record is one of SPF's (§4.5).
func IsRecord(txt string) bool {
	const version = "v=spf1"
	return len(txt) >= len(version) && strings.EqualFold(txt[:len(version)], version) &&
		(len(txt) == len(version) || txt[len(version)] == ' ')
}

// What can be wrong with a record as a whole.
var (
	ErrNoRecord = errors.New(`the record does not begin with "v=spf1" and a space`)
	ErrTooBig   = fmt.Errorf("the record is longer than %d octets, or has more than %d terms", maxRecord, maxTerms)
	ErrNotASCII = errors.New("the record has characters that are not printable ASCII")
)

// Parse reads a record. The error says which term is wrong.
func Parse(txt string) (*Record, error) {
	switch {
	case !IsRecord(txt):
		return nil, ErrNoRecord
	case len(txt) > maxRecord:
		return nil, ErrTooBig
	case !printable(txt):
		return nil, ErrNotASCII
	}
	r := new(Record)
	for _, text := range strings.Fields(txt)[1:] {
		if err := r.add(text); err != nil {
			return nil, fmt.Errorf("%s: %w", clip(text), err)
		}
		if len(r.Terms) > maxTerms {
			return nil, ErrTooBig
		}
	}
	return r, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func (r *Record) add(text string) error {
	if name, value, ok := modifier(text); ok {
		return r.modify(name, value)
	}
	t, err := parseTerm(text)
	if err == nil {
		r.Terms = append(r.Terms, t)
	}
	return err
}

// modifier splits name "=" value; name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ).
func modifier(text string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(text, "=")
	if !ok || name == "" || !isAlpha(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if c := name[i]; !isAlpha(c) && !isDigit(c) && c != '-' && c != '_' && c != '.' {
			return "", "", false
		}
	}
	return strings.ToLower(name), value, true
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

var errTwice = errors.New("stands twice in the record")

func (r *Record) modify(name, value string) (err error) {
	var where **Macro
	switch name {
	case "redirect":
		where = &r.Redirect
	case "exp":
		where = &r.Exp
	default: // §6: others are ignored, but have a syntax
		_, err = parseMacro(value, inModifier)
		return err
	}
	if *where != nil {
		return errTwice
	}
	*where, err = parseDomainSpec(value)
	return err
}

var qualifiers = map[byte]Status{'+': Pass, '-': Fail, '~': SoftFail, '?': Neutral}

// parseTerm reads [ qualifier ] mechanism.
func parseTerm(text string) (Term, error) {
	t := Term{Text: text, Result: Pass, Bits4: 32, Bits6: 128}
	rest := text
	if result, ok := qualifiers[rest[0]]; ok {
		t.Result, rest = result, rest[1:]
	}
	name := rest
	if end := strings.IndexAny(rest, ":/"); end >= 0 {
		name = rest[:end]
	}
	t.Mechanism, rest = Mechanism(strings.ToLower(name)), rest[len(name):]
	return t, t.arguments(rest)
}

var (
	errMechanism = errors.New("there is no such mechanism")
	errArgument  = errors.New("the mechanism takes nothing after its name")
	errMissing   = errors.New("the mechanism needs a domain after a colon")
)

// arguments reads what follows the name of a mechanism.
func (t *Term) arguments(rest string) (err error) {
	switch t.Mechanism {
	case All:
		if rest != "" {
			err = errArgument
		}
	case Include, Exists:
		if !strings.HasPrefix(rest, ":") {
			return errMissing
		}
		t.Domain, err = parseDomainSpec(rest[1:])
	case A, MX:
		if rest, err = t.lengths(rest); err == nil {
			err = t.optionalDomain(rest)
		}
	case PTR:
		err = t.optionalDomain(rest)
	case IP4, IP6:
		err = t.network(rest)
	default:
		err = errMechanism
	}
	return err
}

func (t *Term) optionalDomain(rest string) (err error) {
	switch {
	case rest == "":
		return nil
	case rest[0] != ':':
		return errMissing
	}
	t.Domain, err = parseDomainSpec(rest[1:])
	return err
}

// lengths takes [ "/" bits ] [ "//" bits ] off the end (§5.6).
func (t *Term) lengths(rest string) (string, error) {
	before, six, ok := cutNumber(rest, "//")
	if ok {
		bits, err := prefixLength(six, 128)
		if err != nil {
			return "", err
		}
		t.Bits6, rest = bits, before
	}
	if before, four, ok := cutNumber(rest, "/"); ok {
		bits, err := prefixLength(four, 32)
		if err != nil {
			return "", err
		}
		t.Bits4, rest = bits, before
	}
	return rest, nil
}

// cutNumber cuts s before the last sep when there are only digits after it.
func cutNumber(s, sep string) (before, digits string, ok bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	digits = s[at+len(sep):]
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return s, "", false
	}
	return s[:at], digits, true
}

func prefixLength(digits string, most int) (int, error) {
	bits, err := strconv.Atoi(digits)
	if err != nil || bits > most || len(digits) > 1 && digits[0] == '0' {
		return 0, fmt.Errorf("/%s is no prefix length of 0 to %d", clip(digits), most)
	}
	return bits, nil
}

// network reads ":" address [ "/" bits ].
func (t *Term) network(rest string) error {
	family, most := "IPv4", 32
	if t.Mechanism == IP6 {
		family, most = "IPv6", 128
	}
	text, digits, ok := strings.Cut(strings.TrimPrefix(rest, ":"), "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || rest[0] != ':' || addr.BitLen() != most || addr.Zone() != "" {
		return fmt.Errorf("the mechanism needs an %s address or network", family)
	}
	bits := most
	if ok {
		if bits, err = prefixLength(digits, most); err != nil {
			return err
		}
	}
	t.Prefix = netip.PrefixFrom(addr, bits)
	return nil
}
