package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// selfSignedLife is how long our own certificate is good for. Nobody but the
// people who accepted it trusts it, and each new one costs them a warning.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// renewBefore is how long before its end a self-signed certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// selfSigned is the certificate kept in dir, or a new one.
func selfSigned(dir, hostname string, now time.Time) (*tls.Certificate, error) {
	path := filepath.Join(dir, "selfsigned.pem")
	kept, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if c, err := tls.X509KeyPair(kept, kept); err == nil && stillGood(c.Leaf, hostname, now) {
		return &c, nil
	}
	made, err := makeSelfSigned(hostname, now)
	if err != nil {
		return nil, err
	}
	if err := keep(path, made); err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(made, made)
	return &c, err
}

func stillGood(leaf *x509.Certificate, hostname string, now time.Time) bool {
	return leaf.VerifyHostname(hostname) == nil && now.Before(leaf.NotAfter.Add(-renewBefore))
}

// makeSelfSigned makes a key and a certificate for it, both in PEM.
func makeSelfSigned(hostname string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hostname},
		NotBefore:             now.Add(-time.Hour), // for clients whose clock is late
		NotAfter:              now.Add(selfSignedLife),
		DNSNames:              []string{hostname, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// keep writes text to path, readable by us alone, whole or not at all.
func keep(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-*.pem") // 0600, whatever the umask
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
