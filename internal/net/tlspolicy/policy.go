package tlspolicy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is what a domain wants of those who send to it (RFC 8461 §5).
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // a host that is not as the policy says gets no mail
	Testing Mode = "testing" // it gets mail, and the domain wants to hear of it
	NoMode  Mode = "none"    // there is no policy (any more)
)

const (
	// PolicySize is the most bytes of a policy.
	PolicySize = 64 << 10
	// MaxAge is the longest that a policy counts: about a year (RFC 8461 §3.2).
	MaxAge = 31557600 * time.Second
	// maxPatterns is how many mx lines a policy may have.
	maxPatterns = 256
)

// Policy is what a domain publishes by MTA-STS.
type Policy struct {
	Mode Mode
	// MX are the names of its mail hosts, lower-case; "*.example.org" stands for one
	// more label in front.
	MX     []string
	MaxAge time.Duration
}

// ErrPolicy: what was published is not a policy.
var ErrPolicy = errors.New("the MTA-STS policy is not valid")

// ParsePolicy reads a policy (RFC 8461 §3.2). Of a field that may stand once, the first
// counts; unknown ones are passed over. A name of a host that can't be meant, such as
// "*.com" or one without a dot, makes the whole policy invalid: with the rest of it mail
// would go another way than its author thinks.
func ParsePolicy(text []byte) (Policy, error) {
	if len(text) > PolicySize {
		return Policy{}, fmt.Errorf("%w: it has more than %d bytes", ErrPolicy, PolicySize)
	}
	r := policyReader{seen: make(map[string]bool)}
	for line := range strings.SplitSeq(string(text), "\n") {
		if err := r.line(strings.TrimSuffix(line, "\r")); err != nil {
			return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
		}
	}
	if err := r.complete(); err != nil {
		return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return r.policy, nil
}

type policyReader struct {
	policy Policy
	seen   map[string]bool // the fields that may stand once
}

func (r *policyReader) line(line string) error {
	if line = strings.Trim(line, " \t"); line == "" {
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return errors.New("a line is not of the form name: value")
	}
	value = strings.Trim(value, " \t")
	if name == "mx" {
		return r.mx(value)
	}
	if r.seen[name] || len(r.seen) > maxPatterns {
		return nil
	}
	r.seen[name] = true
	switch name {
	case "version":
		return r.version(value)
	case "mode":
		return r.mode(value)
	case "max_age":
		return r.maxAge(value)
	}
	return nil
}

func (r *policyReader) version(value string) error {
	if value != "STSv1" {
		return errors.New("its version is not STSv1")
	}
	return nil
}

func (r *policyReader) mode(value string) error {
	switch m := Mode(value); m {
	case Enforce, Testing, NoMode:
		r.policy.Mode = m
		return nil
	}
	return errors.New("its mode is not enforce, testing or none")
}

// maxAge reads a number of seconds, however large.
func (r *policyReader) maxAge(value string) error {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return errors.New("its max_age is not a number of seconds")
	}
	r.policy.MaxAge = MaxAge
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		r.policy.MaxAge = min(MaxAge, time.Duration(seconds)*time.Second)
	}
	return nil
}

func (r *policyReader) mx(value string) error {
	pattern := strings.ToLower(strings.TrimSuffix(value, "."))
	if !isPattern(pattern) {
		return errors.New("an mx line does not name a mail host")
	}
	if len(r.policy.MX) == maxPatterns {
		return fmt.Errorf("it has more than %d mx lines", maxPatterns)
	}
	r.policy.MX = append(r.policy.MX, pattern)
	return nil
}

func (r *policyReader) complete() error {
	for _, name := range []string{"version", "mode", "max_age"} {
		if !r.seen[name] {
			return fmt.Errorf("it has no %s", name)
		}
	}
	if r.policy.Mode != NoMode && len(r.policy.MX) == 0 {
		return errors.New("it has no mx")
	}
	return nil
}

// isPattern: a host name of at least two labels, after "*." if that stands in front.
func isPattern(s string) bool {
	name := strings.TrimPrefix(s, "*.")
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// Covers tells whether a mail host is one of those that the policy names. "*" stands for
// exactly one label (RFC 8461 §4.1).
func (p Policy) Covers(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, parent, _ := strings.Cut(host, ".")
	for _, pattern := range p.MX {
		domain, wild := strings.CutPrefix(pattern, "*.")
		if pattern == host || wild && domain == parent {
			return true
		}
	}
	return false
}

// Lines are the policy as a report shows it (RFC 8460 §4.4).
func (p Policy) Lines() []string {
	out := []string{"version: STSv1", "mode: " + string(p.Mode)}
	for _, mx := range p.MX {
		out = append(out, "mx: "+mx)
	}
	return append(out, "max_age: "+strconv.Itoa(int(p.MaxAge/time.Second)))
}
