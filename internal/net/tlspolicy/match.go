package tlspolicy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/net/smtpc"
)

// ErrFingerprint: neither the certificate nor its key is one of those that were named.
var ErrFingerprint = errors.New("the certificate is not one of those that the settings name")

// names are what a certificate may be for by a rule, for a host of a next hop: names,
// and domains with a dot in front.
func (r Rule) names(nexthop, host string) []string {
	match := r.Match
	if len(match) == 0 {
		if match = []string{"hostname", "nexthop"}; r.Level == Secure {
			match = []string{"nexthop", "dot-nexthop"}
		}
	}
	out := make([]string, 0, len(match))
	for _, m := range match {
		switch m {
		case "hostname":
			m = host
		case "nexthop":
			m = nexthop
		case "dot-nexthop":
			m = "." + nexthop
		}
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// check is the one that a rule wants for a host.
func (r Rule) check(nexthop, host string) func(tls.ConnectionState) error {
	if r.Level == Fingerprint {
		return fingerprints(r.Match)
	}
	names := r.names(nexthop, host)
	return func(s tls.ConnectionState) error {
		if err := chain(s.PeerCertificates, r.Roots, time.Now()); err != nil {
			return err
		}
		return certifies(s.PeerCertificates[0], names, false)
	}
}

// chain checks that the certificates lead to one of the roots, and are good now.
func chain(certs []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if len(certs) == 0 {
		return smtpc.ErrNoCertificate
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range certs[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(options)
	return err
}

// certifies tells whether a certificate is for one of the names; the error is about the
// first. Where it has no DNS names at all, its common name counts if old is set (RFC 7672
// §3.2.3 wants that).
func certifies(leaf *x509.Certificate, names []string, old bool) (first error) {
	for _, name := range names {
		err := isFor(leaf, name, old)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("there is no name that the certificate could be for")
	}
	return first
}

func isFor(leaf *x509.Certificate, name string, old bool) error {
	if strings.HasPrefix(name, ".") {
		for _, n := range leaf.DNSNames {
			if below := strings.ToLower(n); strings.HasSuffix(below, strings.ToLower(name)) && len(below) > len(name) {
				return nil
			}
		}
		return x509.HostnameError{Certificate: leaf, Host: "*" + name}
	}
	if old && len(leaf.DNSNames) == 0 && leaf.Subject.CommonName != "" {
		common := *leaf
		common.DNSNames = []string{leaf.Subject.CommonName}
		return common.VerifyHostname(name)
	}
	return leaf.VerifyHostname(name)
}

// fingerprints wants one of some certificates or keys, whoever signed them.
func fingerprints(digests []string) func(tls.ConnectionState) error {
	known := make(map[[32]byte]bool, len(digests))
	for _, d := range digests {
		if sum, err := ParseFingerprint(d); err == nil {
			known[sum] = true
		}
	}
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return smtpc.ErrNoCertificate
		}
		leaf := s.PeerCertificates[0]
		if known[sha256.Sum256(leaf.Raw)] || known[sha256.Sum256(leaf.RawSubjectPublicKeyInfo)] {
			return nil
		}
		return fmt.Errorf("%w: it has %X", ErrFingerprint, sha256.Sum256(leaf.Raw))
	}
}
