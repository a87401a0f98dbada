// Package certs keeps the certificates that this server shows and makes the TLS
// settings of its services.
//
// # On disk
//
// Certificates and keys are PEM files of the admin's, read at the start and at
// each reload; several pairs may be given, and a client gets the one that fits the
// name it asks for (SNI) and the signatures it can check (RSA and ECDSA side by side
// for one name), else the first. Without any, a self-signed certificate
// is made once and kept in one file, selfsigned.pem (certificate and key, mode
// 0600), in a directory of its own (0700), so that clients who accepted it find
// it again. It is made anew when the hostname changes or its time runs out. The
// file is written beside and renamed: a crash leaves the old one or the new one.
//
// # Invariants
//
// A reload takes all pairs or none: a bad file leaves the certificates in use as
// they are. Connections that are open keep what they have. Each service, and each
// policy within it, has its own keys for session tickets, and each service its own
// protocol names, so that a session begun at one port is not resumed at another, and
// a browser that is tricked into
// speaking to a mail port gets no handshake (RFC 7301, "ALPACA").
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Pair is the files of one certificate: its chain and its private key, in PEM.
type Pair struct{ Certificate, Key string }

// Source is where certificates come from.
type Source struct {
	// Pairs are the admin's files; none: self-signed.
	Pairs []Pair
	// Hostname is the name in the self-signed certificate.
	Hostname string
	// Dir keeps the self-signed certificate.
	Dir string
}

// Store holds the certificates in use. Its methods may be called from any
// goroutine.
type Store struct {
	current atomic.Pointer[[]*tls.Certificate]

	mu       sync.Mutex
	services []service
}

// Open loads the certificates of source, or makes one.
func Open(source Source) (*Store, error) {
	s := &Store{}
	return s, s.Reload(source)
}

// Reload replaces all certificates by those of source. On an error nothing
// changes.
func (s *Store) Reload(source Source) error {
	list, err := load(source)
	if err != nil {
		return err
	}
	s.current.Store(&list)
	return nil
}

func load(source Source) ([]*tls.Certificate, error) {
	if len(source.Pairs) == 0 {
		own, err := selfSigned(source.Dir, source.Hostname, time.Now())
		if err != nil {
			return nil, fmt.Errorf("self-signed certificate: %w", err)
		}
		return []*tls.Certificate{own}, nil
	}
	var list []*tls.Certificate
	for _, pair := range source.Pairs {
		c, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", pair.Certificate, pair.Key, err)
		}
		list = append(list, &c)
	}
	return list, nil
}

// Info describes a certificate in use, for the log.
type Info struct {
	Names   []string // DNS names it is for
	Expires time.Time
}

// shortly is before an end that somebody should know of: who renews by a program
// has done it by then.
const shortly = 14 * 24 * time.Hour

// Warning is what the admin should be told of the certificate, or "".
func (i Info) Warning(now time.Time) string {
	day := i.Expires.UTC().Format(time.DateOnly)
	switch names := strings.Join(i.Names, ", "); {
	case now.After(i.Expires):
		return fmt.Sprintf("the certificate for %s expired on %s; clients refuse it", names, day)
	case now.After(i.Expires.Add(-shortly)):
		return fmt.Sprintf("the certificate for %s expires on %s", names, day)
	}
	return ""
}

// Leaves are the certificates in use, without their chains.
func (s *Store) Leaves() []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range *s.current.Load() {
		out = append(out, c.Leaf)
	}
	return out
}

// Infos describes all certificates in use, in their order.
func (s *Store) Infos() []Info {
	var out []Info
	for _, c := range *s.current.Load() {
		out = append(out, Info{
			Names:   c.Leaf.DNSNames,
			Expires: c.Leaf.NotAfter,
		})
	}
	return out
}
