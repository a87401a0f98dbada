package login

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Fingerprint is the SHA-256 of a certificate in DER.
type Fingerprint [sha256.Size]byte

// Certificates say whose a client's certificate is. TLS has shown that the client
// holds its key; what the certificate is worth is decided here, so that a client
// with one that means nothing to us is not cut off in the handshake.
type Certificates struct {
	// Roots sign certificates that name their owner by e-mail address (rfc822Name
	// in subjectAltName); nil: nobody does.
	Roots *x509.CertPool
	// Owners are the accounts of single certificates, whoever signed them and
	// however old they are.
	Owners map[Fingerprint]string
}

// maxChain is how many certificates a client may show, its own included. Each way
// through them costs signatures to check, and clients ask for it with every greeting;
// real chains are shorter.
const maxChain = 4

// names are the accounts that a connection's certificate stands for.
func (c Certificates) names(state *tls.ConnectionState, now time.Time) []string {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	if owner := c.Owners[sha256.Sum256(leaf.Raw)]; owner != "" {
		return []string{owner}
	}
	if c.Roots == nil || len(state.PeerCertificates) > maxChain {
		return nil
	}
	between := x509.NewCertPool()
	for _, next := range state.PeerCertificates[1:] {
		between.AddCert(next)
	}
	options := x509.VerifyOptions{Roots: c.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(options); err != nil {
		return nil
	}
	return leaf.EmailAddresses
}
