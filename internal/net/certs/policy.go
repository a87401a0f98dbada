package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
)

// Policy is how a listener speaks TLS. The zero Policy is what is good today.
type Policy struct {
	// MinVersion is the oldest version spoken; 0: TLS 1.2. What speaks nothing newer
	// than 1.1 gets no handshake; on port 25 such a peer sends in the clear, which is
	// no worse (RFC 8996).
	MinVersion uint16
	// Ciphers up to TLS 1.2; nil: Go's choice, without RSA key exchange and 3DES. The
	// ciphers of TLS 1.3 are always all of them.
	Ciphers []uint16
	// ClientAuth says whether the client is asked for a certificate and what becomes
	// of one that ClientCAs does not vouch for.
	ClientAuth tls.ClientAuthType
	ClientCAs  *x509.CertPool
}

func (p Policy) equal(q Policy) bool {
	return p.MinVersion == q.MinVersion && slices.Equal(p.Ciphers, q.Ciphers) && p.ClientAuth == q.ClientAuth &&
		(p.ClientCAs == q.ClientCAs || p.ClientCAs != nil && q.ClientCAs != nil && p.ClientCAs.Equal(q.ClientCAs))
}

// service is the TLS of listeners that have everything in common.
type service struct {
	name   string
	policy Policy
	config *tls.Config
}

// For is the server side's TLS settings of a service ("smtp", "submissions",
// "imap", …) under a policy. It is one Config for each service and policy as long as
// the Store lives, and it follows reloads by itself. Do not Clone it for another
// service: a clone would share its session ticket keys, and a session begun where a
// weak cipher or no certificate was good enough could be resumed where it is not.
func (s *Store) For(name string, p Policy) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.services {
		if known.name == name && known.policy.equal(p) {
			return known.config
		}
	}
	c := s.config(name, p)
	s.services = append(s.services, service{name, p, c})
	return c
}

func (s *Store) config(name string, p Policy) *tls.Config {
	if p.MinVersion == 0 {
		p.MinVersion = tls.VersionTLS12
	}
	return &tls.Config{
		MinVersion: p.MinVersion, CipherSuites: p.Ciphers,
		ClientAuth: p.ClientAuth, ClientCAs: p.ClientCAs,
		GetCertificate: s.choose, NextProtos: protocols(name),
	}
}

// protocols are the names that a client may give in ALPN. Most mail programs give
// none, and that is accepted.
func protocols(service string) []string {
	switch service {
	case "imap", "imaps":
		return []string{"imap"} // RFC 7301 registry
	case "pop3", "pop3s":
		return []string{"pop3"} // as above
	}
	return []string{"smtp", "esmtp"} // not registered; what Exim offers
}

// choose gives the certificate that fits what the client asks for: the name, then
// the signatures that it can check. Where nothing fits the name, the first that it
// can check at least.
func (s *Store) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	list := *s.current.Load()
	if c := fitting(list, hello); c != nil {
		return c, nil
	}
	nameless := *hello
	nameless.ServerName = ""
	if c := fitting(list, &nameless); c != nil {
		return c, nil
	}
	return list[0], nil
}

// fitting is the first certificate that the client can use, or one with an elliptic
// key for the same names, which costs a tenth of the work.
func fitting(list []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	var first *tls.Certificate
	for _, c := range list {
		if first != nil && (isElliptic(first) || !isElliptic(c) || !slices.Equal(c.Leaf.DNSNames, first.Leaf.DNSNames)) {
			continue
		}
		if hello.SupportsCertificate(c) == nil {
			first = c
		}
	}
	return first
}

func isElliptic(c *tls.Certificate) bool { return c.Leaf.PublicKeyAlgorithm != x509.RSA }
