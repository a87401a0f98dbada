package records

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"path/filepath"

	"facteur/internal/app/config"
)

// For is a domain as the settings have it: this machine, its certificates and services.
func For(c *config.Config, domain string) House {
	certificates, _ := Certificates(c) //nolint:errcheck // what can't be read is told by who checks certificates
	smarthost := ""
	if list := c.Outbound.Smarthost; len(list) > 0 {
		smarthost = list[0].Host
	}
	return House{
		Smarthost: smarthost,
		Domain:    domain, Hostname: c.Hostname, Receives: true, NeverSends: neverSends(c, domain),
		Keys: Keys(c, domain), Addresses: c.PublicAddresses(), Certificates: leaves(certificates), Services: services(c), Secure: c.DNS.TrustAD,
	}
}

func neverSends(c *config.Config, domain string) bool {
	for _, name := range c.Doctor.NeverSend {
		if name == domain {
			return true
		}
	}
	return false
}

// services are those that a mail program may find by itself: not those on loopback, and
// those with TLS first.
func services(c *config.Config) (list []Service) {
	for _, want := range []config.Service{config.Submissions, config.IMAPS, config.POP3S, config.Submission, config.IMAP, config.POP3} {
		for _, l := range c.Listen {
			if l.Service == want && !l.Device() && l.Address.Path == "" && !onLoopback(l.Address.Host) {
				list = append(list, Service{Name: string(want), Port: l.Address.WithPort(want.Port()).Port})
				break
			}
		}
	}
	return list
}

func onLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func leaves(chains []tls.Certificate) (list []*x509.Certificate) {
	for _, c := range chains {
		list = append(list, c.Leaf)
	}
	return list
}

// Certificates are those that the server shows, read from where it has them: the files of
// the settings, or the self-signed one that it has made. Nothing is made here; without any
// the list is empty.
func Certificates(c *config.Config) (list []tls.Certificate, err error) {
	for i, file := range c.TLS.Certificate {
		pair, broken := tls.LoadX509KeyPair(file, c.TLS.Key[i])
		if err = errors.Join(err, broken); broken == nil {
			list = append(list, pair)
		}
	}
	if len(c.TLS.Certificate) > 0 {
		return list, err
	}
	text, err := os.ReadFile(filepath.Join(c.DataDir, "tls", "selfsigned.pem"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if leaf, broken := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && broken == nil {
			list = append(list, tls.Certificate{Certificate: [][]byte{block.Bytes}, Leaf: leaf})
		}
	}
	return list, err
}
