package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"facteur/internal/base/conf"
	"facteur/internal/net/tlspolicy"
)

// TLSPolicy is what TLS the connections to a destination have to have.
type TLSPolicy struct {
	// The destination: the domain of the recipients ("example.org"), ".example.org" for
	// all domains below it, or the name of a relay as its settings give it.
	Domain string `toml:"domain"`
	// What is demanded, in Postfix's words: "none" (no TLS), "may" (TLS if it is offered,
	// else in clear), "encrypt" (TLS, whoever the host proves to be), "dane" (as the host's
	// TLSA records say, "may" without any), "dane-only" (as they say, or not at all),
	// "fingerprint" (a certificate or key that match names), "verify" (a certificate for
	// the mail host or for the domain), "secure" (a certificate for the domain or a host in
	// it, whatever the MX records say). What can't be had makes the mail wait. Neither
	// DANE nor MTA-STS has a say where an entry stands, but for "dane" and "dane-only".
	Level TLSLevel `toml:"level"`
	// Instead of the usual, the names that the certificate may be for: names,
	// ".example.org" (all below it), "nexthop" (the domain), "dot-nexthop" (all below it),
	// "hostname" (the mail host). For "fingerprint", SHA-256 digests in hexadecimal.
	Match conf.Strings `toml:"match"`
	// The least version of TLS: "1.0", "1.1", "1.2" or "1.3". Empty: 1.2, and 1.0 where
	// TLS is not demanded.
	MinVersion TLSVersion `toml:"tls_min_version"`
	// A file with the authorities, PEM, that sign the certificates. Empty: those of
	// outbound.tls_ca_file.
	CAFile string `toml:"ca_file"`
}

// TLSLevel is what TLS has to be.
type TLSLevel string

// Form says what may be written.
func (TLSLevel) Form() string {
	return oneOf[TLSLevel]("none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure")
}

// UnmarshalText takes one of the choices, or nothing.
func (l *TLSLevel) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*l = ""
		return nil
	}
	return choose(l, text, "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure")
}

func (l TLSLevel) level() tlspolicy.Level {
	level, _ := tlspolicy.ParseLevel(string(l)) // UnmarshalText has read it
	return level
}

// TLSRules are what TLS destinations have to have. Files that are named in the settings
// are read each time.
func (c *Config) TLSRules() (*tlspolicy.Rules, error) {
	rules, mistakes := c.tlsRules()
	return rules, errors.Join(mistakes...)
}

func (c *Config) tlsRules() (*tlspolicy.Rules, []error) {
	w := weaver{c: c}
	o := c.Outbound
	all := tlspolicy.Rules{MTASTS: o.MTASTS, Default: tlspolicy.Rule{Level: o.TLSSecurityLevel.level(), MinVersion: o.TLSMinVersion.ID()}}
	all.Roots = w.roots("outbound.tls_ca_file", o.TLSCAFile)
	var list []tlspolicy.Rule
	for i, p := range c.TLSPolicies {
		list = append(list, w.tlsPolicy(fmt.Sprintf("tls_policy[%d]", i), p))
	}
	for i, file := range o.TLSPolicyMaps {
		for _, p := range w.pairs(fmt.Sprintf("outbound.tls_policy_maps[%d]", i), file) {
			rule, err := parseTLSPolicy(p.Key, p.Value)
			if err != nil {
				w.errs = append(w.errs, fmt.Errorf("%s: %w", p.Where, err))
				continue
			}
			list = append(list, rule)
		}
	}
	for _, r := range append(list, all.Default) {
		if r.Level == tlspolicy.DaneOnly && !c.DNS.TrustAD {
			w.failf("dns.trust_ad", "is needed for the level dane-only (%s): without a resolver whose word on DNSSEC is trusted, no mail could be sent there", orAll(r.Domain))
		}
	}
	return tlspolicy.NewRules(all, list), w.errs
}

func orAll(domain string) string {
	if domain == "" {
		return "outbound.tls_security_level"
	}
	return domain
}

// tlsPolicy checks an entry and puts it into the form of the house.
func (w *weaver) tlsPolicy(key string, p TLSPolicy) tlspolicy.Rule {
	r := tlspolicy.Rule{Level: p.Level.level(), Match: p.Match, MinVersion: p.MinVersion.ID(), Roots: w.roots(key+".ca_file", p.CAFile)}
	var err error
	switch r.Domain, err = tlsDestination(p.Domain); {
	case p.Domain == "":
		w.failf(key+".domain", `is missing; expected a domain such as "example.org"`)
	case err != nil:
		w.failf(key+".domain", "%v", err)
	}
	if p.Level == "" {
		w.failf(key+".level", "is missing; expected %s", p.Level.Form())
	}
	if err := checkMatch(r); err != nil {
		w.failf(key+".match", "%v", err)
	}
	return r
}

// checkMatch looks at the names or digests of a rule.
func checkMatch(r tlspolicy.Rule) error {
	if r.Level == tlspolicy.Fingerprint && len(r.Match) == 0 {
		return errors.New("is missing; the level fingerprint needs the SHA-256 digests of certificates or keys")
	}
	for _, m := range r.Match {
		switch {
		case r.Level == tlspolicy.Fingerprint:
			if _, err := tlspolicy.ParseFingerprint(m); err != nil {
				return err
			}
		case r.Level != tlspolicy.Verify && r.Level != tlspolicy.Secure:
			return fmt.Errorf("means nothing at the level %s; only verify, secure and fingerprint compare something", r.Level)
		case m == "hostname" || m == "nexthop" || m == "dot-nexthop":
		default:
			if _, err := canonicalName(strings.TrimPrefix(m, ".")); err != nil {
				return fmt.Errorf(`%w; expected a name, ".name", "nexthop", "dot-nexthop" or "hostname"`, err)
			}
		}
	}
	return nil
}

// tlsDestination is a destination as Postfix's tables name it, without the brackets and
// the port of a relay.
func tlsDestination(text string) (string, error) {
	name := text
	if inner, ok := strings.CutPrefix(name, "["); ok {
		name, _, _ = strings.Cut(inner, "]")
	} else if host, _, ok := strings.Cut(name, ":"); ok {
		name = host
	}
	dot := ""
	if below, ok := strings.CutPrefix(name, "."); ok {
		dot, name = ".", below
	}
	if strings.Trim(name, "0123456789.:abcdefABCDEF") == "" && strings.ContainsAny(name, ":.") && dot == "" {
		return name, nil // an address
	}
	name, err := canonicalName(name)
	return dot + name, err
}

// roots reads a file of authorities; nil without one.
func (w *weaver) roots(key, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	path := w.c.beside(file)
	text, err := os.ReadFile(path)
	if err != nil {
		w.failf(key, "%v", err)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		w.failf(key, "%s has no certificate in it; expected PEM", path)
	}
	return pool
}

// parseTLSPolicy reads a line of Postfix's smtp_tls_policy_maps: a level, and attributes
// such as match=…. The ciphers are the library's, all of them of Postfix's grade "high".
func parseTLSPolicy(key, value string) (tlspolicy.Rule, error) {
	domain, err := tlsDestination(key)
	if err != nil {
		return tlspolicy.Rule{}, err
	}
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
	if len(words) == 0 {
		return tlspolicy.Rule{}, errors.New("the level is missing")
	}
	var level TLSLevel
	if err := level.UnmarshalText([]byte(words[0])); err != nil {
		return tlspolicy.Rule{}, err
	}
	r := tlspolicy.Rule{Domain: domain, Level: level.level()}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "match":
			r.Match = append(r.Match, matches(r.Level, value)...)
		case "protocols":
			r.MinVersion = leastProtocol(value)
		case "ciphers":
			if !slices.Contains(cipherGrades, strings.ToLower(value)) {
				return r, fmt.Errorf("ciphers=%s is no grade that can be had; expected one of %s, for all of which those of \"high\" are used", value, strings.Join(cipherGrades, ", "))
			}
		case "exclude":
			if err := checkExcluded(value); err != nil {
				return r, err
			}
		case "connection_reuse":
		default:
			return r, fmt.Errorf("the attribute %q is not known; expected match=, protocols= or ciphers=", name)
		}
	}
	return r, checkMatch(r)
}

// cipherGrades are those of Postfix but "null", which would be no encryption: the ciphers in
// use are good enough for each.
var cipherGrades = []string{"export", "low", "medium", "high"}

// neverUsed are ciphers, in OpenSSL's words, that no connection here has.
var neverUsed = []string{"anull", "enull", "null", "adh", "aecdh", "export", "exp", "low", "medium", "md5", "rc2", "rc4", "des", "3des", "des-cbc3-sha",
	"idea", "seed", "camellia", "aria", "psk", "srp", "krsa", "dss", "adss", "kdh", "kecdh", "kedh", "edh", "kdhe", "dhe", "dh", "gost", "kgost", "agost", "aesccm", "aesccm8"}

// checkExcluded wants that nothing is to be left out which is in use: to pass over that would
// be less than was asked for.
func checkExcluded(value string) error {
	for name := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ':' || r == '|' }) {
		// "a+b" is what is both.
		if !slices.ContainsFunc(strings.Split(strings.ToLower(name), "+"), func(part string) bool { return slices.Contains(neverUsed, part) }) {
			return fmt.Errorf("exclude=%s can't be had: the ciphers in use are chosen by the TLS library; what is old (RC4, 3DES, MD5, aNULL, …) is never used and need not be named", name)
		}
	}
	return nil
}

// matches are the values of match=, which are separated by colons or bars; a digest has
// colons itself.
func matches(level tlspolicy.Level, value string) []string {
	if level == tlspolicy.Fingerprint {
		return strings.Split(value, "|")
	}
	return strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == '|' })
}

// leastProtocol reads ">=TLSv1.2" and "!SSLv2:!SSLv3:!TLSv1"; 0 is the usual.
func leastProtocol(value string) (least uint16) {
	names := []struct {
		name string
		v    TLSVersion
	}{{"TLSv1", "1.0"}, {"TLSv1.1", "1.1"}, {"TLSv1.2", "1.2"}, {"TLSv1.3", "1.3"}}
	barred := strings.Split(value, ":")
	for i, n := range names {
		for _, b := range barred {
			switch {
			case strings.EqualFold(b, ">="+n.name), strings.EqualFold(b, n.name):
				if v := n.v.ID(); least == 0 || v < least || strings.HasPrefix(b, ">=") {
					least = v
				}
			case strings.EqualFold(b, "!"+n.name) && i+1 < len(names):
				least = max(least, names[i+1].v.ID())
			}
		}
	}
	return least
}

// tlsPolicies checks what TLS is demanded of destinations.
func (k *checker) tlsPolicies() {
	_, errs := k.c.tlsRules()
	k.errs = append(k.errs, errs...)
	if l := k.c.Outbound.TLSSecurityLevel; l == "fingerprint" {
		k.failf("outbound.tls_security_level", "the level fingerprint is for single destinations; expected another, or a [[tls_policy]]")
	}
	if l := k.c.Outbound.TLSLogLevel; l < 0 || l > 4 {
		k.failf("outbound.tls_loglevel", "expected 0 to 4, found %d", l)
	}
}

func (c *Config) tlsWarnings() (out []string) {
	if c.DNS.TrustAD {
		return nil
	}
	for _, p := range c.TLSPolicies {
		if p.Level == "dane" {
			out = append(out, fmt.Sprintf("tls_policy %s: the level dane is only \"may\" without dns.trust_ad, because nobody tells us what DNSSEC validates", p.Domain))
		}
	}
	if c.Outbound.TLSSecurityLevel == "dane" {
		out = append(out, "outbound.tls_security_level: the level dane is only \"may\" without dns.trust_ad, because nobody tells us what DNSSEC validates")
	}
	return out
}
