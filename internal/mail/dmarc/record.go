package dmarc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/mail/address"
)

// Bounds of a record.
const (
	maxRecord = 8 << 10 // bytes
	maxTags   = 64
	// MaxURIs is how many addresses of rua and of ruf are taken (RFC 9990 asks for
	// a bound, so that a record is no lever against others).
	MaxURIs = 5
)

// What makes a text no record at all.
var (
	ErrVersion = errors.New("does not begin with v=DMARC1")
	ErrTooLong = fmt.Errorf("longer than %d bytes", maxRecord)
)

// Record is a DMARC Policy Record (RFC 9989 §4.7).
type Record struct {
	// Text is the record as published.
	Text string
	// P, SP and NP are the policies for the domain, for subdomains, and for those
	// that do not exist; "" where absent or unreadable.
	P, SP, NP Policy
	// PSD is "y", "n" or "u".
	PSD string
	// Testing: t=y, or pct=0 of RFC 7489 without a t.
	Testing bool
	// StrictDKIM and StrictSPF: adkim=s, aspf=s.
	StrictDKIM, StrictSPF bool
	// FO are the options for failure reports: "0", "1", "d", "s"; default "0".
	FO []string
	// RUA and RUF are where reports are to go: mailto only, MaxURIs at most.
	RUA, RUF []URI
	// Percent is the pct of RFC 7489; -1 where absent or unreadable.
	Percent int
	// Tags are all tags in order, as they stand.
	Tags []Tag
	// Problems are what was wrong or ignored, a sentence each.
	Problems []Problem

	broken bool // p is missing or unreadable, or sp or np is unreadable
}

// Tag is one tag of a record. Name is in lower case, Value as it stands.
type Tag struct{ Name, Value string }

// Problem is something in a record that was ignored, and why.
type Problem struct{ Tag, Text string }

// URI is where reports go.
type URI struct {
	// Address is the address of a mailto: URI, canonical.
	Address address.Address
	// Max is the size in bytes that RFC 7489 allows to name after "!": 0 for none.
	Max int64
}

// Is tells whether a TXT record is meant as a DMARC record: v=DMARC1 comes first,
// in exactly these letters (RFC 9989 §4.8).
func Is(text string) bool {
	name, rest, found := strings.Cut(text, "=")
	if !found || strings.Trim(name, " \t") != "v" {
		return false
	}
	version, _, _ := strings.Cut(rest, ";")
	return strings.Trim(version, " \t") == "DMARC1"
}

// Parse reads a record. An error means that it is none. What is wrong behind the
// version is ignored, and noted in Problems (RFC 9989 §4.7): of a tag that stands
// twice the first counts.
func Parse(text string) (*Record, error) {
	if len(text) > maxRecord {
		return nil, ErrTooLong
	}
	if !Is(text) {
		return nil, ErrVersion
	}
	r := &Record{Text: text, PSD: "u", FO: []string{"0"}, Percent: -1}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.Trim(part, " \t\r\n")
		if part == "" {
			continue
		}
		if len(r.Tags) == maxTags {
			r.problem("", fmt.Sprintf("more than %d tags; the rest is ignored", maxTags))
			break
		}
		name, value, found := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !found:
			r.problem("", "a part without \"=\" is ignored")
		case seen[name]:
			r.problem(name, "stands twice; the first counts")
		default:
			seen[name] = true
			r.Tags = append(r.Tags, Tag{name, value})
			r.read(name, value)
		}
	}
	r.complete(seen)
	return r, nil
}

func (r *Record) problem(tag, text string) {
	r.Problems = append(r.Problems, Problem{tag, text})
}

// read takes one tag.
func (r *Record) read(name, value string) {
	switch name {
	case "v":
	case "p":
		r.P = r.policy(name, value)
	case "sp":
		r.SP = r.policy(name, value)
	case "np":
		r.NP = r.policy(name, value)
	case "adkim":
		r.StrictDKIM = r.oneOf(name, value, "r", "s") == "s"
	case "aspf":
		r.StrictSPF = r.oneOf(name, value, "r", "s") == "s"
	case "psd":
		r.PSD = r.oneOf(name, value, "u", "y", "n")
	case "t":
		r.Testing = r.oneOf(name, value, "n", "y") == "y"
	case "fo":
		r.options(value)
	case "rua":
		r.RUA = r.uris(name, value)
	case "ruf":
		r.RUF = r.uris(name, value)
	case "pct":
		r.percent(value)
	case "rf", "ri":
		r.problem(name, "is of RFC 7489 and no longer means anything")
	default:
		r.problem(name, "is no tag of DMARC; ignored")
	}
}

// complete decides what depends on several tags.
func (r *Record) complete(seen map[string]bool) {
	if !seen["t"] && r.Percent == 0 {
		r.Testing = true
	}
	if r.P == "" {
		r.broken = true
		if !seen["p"] {
			r.problem("p", "is missing")
		}
	}
}

// policy reads a policy; letters of any case, as the grammar's strings are.
func (r *Record) policy(name, value string) Policy {
	switch p := Policy(strings.ToLower(value)); p {
	case PolicyNone, Quarantine, Reject:
		return p
	}
	r.broken = true
	r.problem(name, "has to be none, quarantine or reject")
	return ""
}

// oneOf reads a letter; what is none of them counts as the first, the default.
func (r *Record) oneOf(name, value string, allowed ...string) string {
	value = strings.ToLower(value)
	for _, a := range allowed {
		if value == a {
			return a
		}
	}
	r.problem(name, "has to be "+strings.Join(allowed, " or ")+"; "+allowed[0]+" is taken")
	return allowed[0]
}

func (r *Record) options(value string) {
	var fo []string
	for option := range strings.SplitSeq(strings.ToLower(value), ":") {
		switch option = strings.TrimSpace(option); option {
		case "0", "1", "d", "s":
			if len(fo) < 4 {
				fo = append(fo, option)
			}
		default:
			r.problem("fo", "has to be of 0, 1, d and s, with colons between them")
			return
		}
	}
	r.FO = fo
}

func (r *Record) percent(value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 100 {
		r.problem("pct", "is of RFC 7489 and no longer means anything")
		return
	}
	r.Percent = n
	if n == 0 {
		r.problem("pct", "is of RFC 7489; pct=0 is read as t=y, which should stand there")
	} else {
		r.problem("pct", "is of RFC 7489 and no longer means anything: the policy is for all mail")
	}
}

// uris reads the list of rua or ruf.
func (r *Record) uris(name, value string) []URI {
	var list []URI
	for text := range strings.SplitSeq(value, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if len(list) == MaxURIs {
			r.problem(name, fmt.Sprintf("names more than %d addresses; the rest is ignored", MaxURIs))
			break
		}
		u, err := ParseURI(text)
		if err != nil {
			r.problem(name, "names an address that is ignored: "+err.Error())
			continue
		}
		list = append(list, u)
	}
	return list
}

// Usable tells whether the record can decide about mail. One without a valid p, or
// with an invalid sp or np, is read as p=none if it asks for reports, else not at
// all (RFC 9989 §4.10.1).
func (r *Record) Usable() bool { return !r.broken || len(r.RUA) > 0 }

// Wants gives the policy that the owner asks for and the tag it stands in. own:
// the record is that of the Author Domain itself; exists: the Author Domain exists.
// The test mode is not taken into account (see Effective).
func (r *Record) Wants(own, exists bool) (p Policy, tag string) {
	switch {
	case r.broken:
		return PolicyNone, "p"
	case own:
		return r.P, "p"
	case !exists && r.NP != "":
		return r.NP, "np"
	case r.SP != "":
		return r.SP, "sp"
	}
	return r.P, "p"
}

// Effective is a policy as it is to be applied: one step milder in test mode.
func (r *Record) Effective(p Policy) Policy {
	switch {
	case !r.Testing:
		return p
	case p == Reject:
		return Quarantine
	}
	return PolicyNone
}

// tag gives the policy of a tag as it counts.
func (r *Record) tag(name string) Policy {
	switch {
	case r.broken:
		return PolicyNone
	case name == "sp":
		return r.SP
	case name == "np":
		return r.NP
	}
	return r.P
}

// MarshalText gives the record as it was published: what a listing shows of it.
func (r *Record) MarshalText() ([]byte, error) { return []byte(r.Text), nil }
