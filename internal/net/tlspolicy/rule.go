package tlspolicy

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// Rule is what TLS a destination has to have.
type Rule struct {
	// Domain is the next hop, or with a dot in front all domains below it; lower-case.
	Domain string
	Level  Level
	// Match are the names that the certificate may be for: a name, ".name" for all below
	// it, "nexthop", "dot-nexthop" or "hostname". Empty: "hostname" and "nexthop" for
	// Verify, "nexthop" and "dot-nexthop" for Secure. For Fingerprint, the SHA-256
	// digests of certificates or public keys, in hexadecimal.
	Match []string
	// MinVersion is the least version of TLS (tls.VersionTLS12); 0: the usual.
	MinVersion uint16
	// Roots are the authorities that count; nil: those of the Rules.
	Roots *x509.CertPool
}

// Rules are what the admin set. They are not changed once they are in use.
type Rules struct {
	// Default is for destinations without a rule; its Domain means nothing.
	Default Rule
	// MTASTS: policies that domains publish are followed where no rule stands.
	MTASTS bool
	// Roots are the authorities that count; nil: those of the system.
	Roots  *x509.CertPool
	byName map[string]Rule
}

// NewRules puts rules in order. Of two for the same domain the first counts.
func NewRules(r Rules, list []Rule) *Rules {
	r.byName = make(map[string]Rule, len(list))
	for _, rule := range list {
		name := strings.ToLower(rule.Domain)
		if _, known := r.byName[name]; !known {
			r.byName[name] = rule
		}
	}
	return &r
}

// of is the rule for a domain: its own, or that of the nearest domain above it.
func (r *Rules) of(domain string) (rule Rule, ok bool) {
	name := strings.ToLower(domain)
	rule, ok = r.byName[name]
	for !ok {
		i := strings.IndexByte(name[min(1, len(name)):], '.')
		if i < 0 {
			break
		}
		name = name[i+1:] // with its dot
		rule, ok = r.byName[name]
	}
	if !ok {
		rule = r.Default
	}
	if rule.Roots == nil {
		rule.Roots = r.Roots
	}
	return rule, ok
}

// ParseFingerprint reads a SHA-256 digest, "ab:cd:…" or without colons.
func ParseFingerprint(s string) ([32]byte, error) {
	var sum [32]byte
	raw, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(raw) != len(sum) {
		return sum, fmt.Errorf("%q is not a SHA-256 digest: 64 hexadecimal digits are expected", s)
	}
	return [32]byte(raw), nil
}
