package tlspolicy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
)

// The fields of a TLSA record that mail uses (RFC 7672 §3.1).
const (
	daneTA = 2 // the authority that signs
	daneEE = 3 // the certificate itself

	wholeCertificate = 0
	publicKey        = 1

	wholeData = 0
	bySHA256  = 1
	bySHA512  = 2
)

// ErrTLSA: none of the TLSA records is for the certificate that the host shows.
var ErrTLSA = errors.New("the certificate does not match any TLSA record")

// tlsa are the records of a host that count.
type tlsa struct {
	base    string // whose they are: what we ask for in the handshake
	records []dns.TLSA
	usable  []dns.TLSA
}

// strings are the records as a report shows them (RFC 8460 §4.4).
func (t *tlsa) strings() []string {
	out := make([]string, len(t.records))
	for i, r := range t.records {
		out[i] = fmt.Sprintf("%d %d %d %x", r.Usage, r.Selector, r.Matching, r.Data)
	}
	return out
}

// tlsaOf finds the records of a host whose MX record is validated; nil when it has none
// that count. A name that is an alias has them where it leads, or with itself (RFC 7672
// §2.2.2).
func (k *Keeper) tlsaOf(ctx context.Context, h Host) (*tlsa, error) {
	bases, err := k.bases(ctx, h)
	if err != nil {
		return nil, err
	}
	for _, base := range bases {
		a := k.config.Resolver.LookupTLSA(ctx, base, h.Port)
		if a.State() == lookup.TryAgain {
			return nil, a.Err()
		}
		if set := a.Value(); set.Secure && len(set.Records) > 0 {
			return &tlsa{base: base, records: set.Records, usable: usable(set.Records)}, nil
		}
	}
	return nil, nil
}

func (k *Keeper) bases(ctx context.Context, h Host) ([]string, error) {
	alias := h.Addrs.Name != "" && !strings.EqualFold(h.Addrs.Name, h.Name)
	switch {
	case h.Addrs.Secure && alias:
		return []string{h.Addrs.Name, h.Name}, nil
	case h.Addrs.Secure:
		return []string{h.Name}, nil
	case !alias:
		return nil, nil
	}
	// The alias may stand in a signed zone, and lead out of it.
	a := k.config.Resolver.IsAlias(ctx, h.Name)
	switch {
	case a.State() == lookup.TryAgain:
		return nil, a.Err()
	case a.Value():
		return []string{h.Name}, nil
	}
	return nil, nil
}

// usable are the records that we can compare a certificate with. Where the same is said
// with several digests, only the strongest counts (RFC 7671 §9).
func usable(all []dns.TLSA) []dns.TLSA {
	var out []dns.TLSA
	strong := make(map[[2]uint8]bool)
	for _, r := range all {
		if r.Matching == bySHA512 && isUsable(r) {
			strong[[2]uint8{r.Usage, r.Selector}] = true
		}
	}
	for _, r := range all {
		if isUsable(r) && !(r.Matching == bySHA256 && strong[[2]uint8{r.Usage, r.Selector}]) {
			out = append(out, r)
		}
	}
	return out
}

func isUsable(r dns.TLSA) bool {
	if r.Usage != daneTA && r.Usage != daneEE || r.Selector > publicKey {
		return false // PKIX-TA and PKIX-EE are not for mail (RFC 7672 §3.1.3)
	}
	switch r.Matching {
	case wholeData:
		return wellFormed(r)
	case bySHA256:
		return len(r.Data) == sha256.Size
	case bySHA512:
		return len(r.Data) == sha512.Size
	}
	return false
}

func wellFormed(r dns.TLSA) bool {
	if r.Selector == publicKey {
		_, err := x509.ParsePKIXPublicKey(r.Data)
		return err == nil
	}
	_, err := x509.ParseCertificate(r.Data)
	return err == nil
}

// check wants a certificate that one of the records names. names are those that it may
// be for where a record names an authority. The host's own certificate counts by itself:
// neither its names nor its dates say more than the record does (RFC 7672 §3.1.1).
func (t *tlsa) check(names []string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return smtpc.ErrNoCertificate
		}
		leaf := s.PeerCertificates[0]
		if slices.ContainsFunc(t.usable, func(r dns.TLSA) bool { return r.Usage == daneEE && isAbout(r, leaf) }) {
			return nil
		}
		return t.byAuthority(s.PeerCertificates, names, time.Now())
	}
}

// byAuthority looks for an authority of the records among the certificates.
func (t *tlsa) byAuthority(certs []*x509.Certificate, names []string, now time.Time) error {
	roots := x509.NewCertPool()
	found := false
	for _, r := range t.usable {
		if r.Usage != daneTA {
			continue
		}
		for _, c := range certs {
			if isAbout(r, c) {
				roots.AddCert(c)
				found = true
			}
		}
		if r.Matching == wholeData && r.Selector == wholeCertificate { // it need not be sent
			if c, err := x509.ParseCertificate(r.Data); err == nil {
				roots.AddCert(c)
				found = true
			}
		}
	}
	if !found {
		return ErrTLSA
	}
	if err := chain(certs, roots, now); err != nil {
		return err
	}
	return certifies(certs[0], names, true)
}

// isAbout tells whether a record is about a certificate.
func isAbout(r dns.TLSA, c *x509.Certificate) bool {
	data := c.Raw
	if r.Selector == publicKey {
		data = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case bySHA256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case bySHA512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, r.Data)
}
