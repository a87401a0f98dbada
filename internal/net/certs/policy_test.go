package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// issue writes a certificate for a name and a key into two files in one.
func issue(t *testing.T, name string, key crypto.Signer) Pair {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		IsCA:     true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	path := filepath.Join(t.TempDir(), "pair.pem")
	must(t, os.WriteFile(path, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), 0o600))
	return Pair{path, path}
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return key
}

func ellipticKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func TestRSAAndECDSASideBySide(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Pairs: []Pair{
		issue(t, "a.example", rsaKey(t)), issue(t, "a.example", ellipticKey(t)), issue(t, "b.example", ellipticKey(t)),
	}})
	must(t, err)
	// Up to TLS 1.2, the ciphers say which keys a client can use.
	onlyRSA := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	onlyECDSA := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	for _, test := range []struct {
		what    string
		name    string
		ciphers []uint16
		want    string
		alg     x509.PublicKeyAlgorithm
	}{
		{"both", "a.example", append(onlyRSA, onlyECDSA...), "a.example", x509.ECDSA},
		{"RSA alone", "a.example", onlyRSA, "a.example", x509.RSA},
		{"ECDSA alone", "a.example", onlyECDSA, "a.example", x509.ECDSA},
		{"RSA alone, where there is none for the name", "b.example", onlyRSA, "a.example", x509.RSA},
		{"no name", "", append(onlyRSA, onlyECDSA...), "a.example", x509.ECDSA},
		{"a name we don't have, RSA alone", "c.example", onlyRSA, "a.example", x509.RSA},
	} {
		state, err := shake(t, s.For("smtp", Policy{}), &tls.Config{ServerName: test.name, InsecureSkipVerify: true,
			MaxVersion: tls.VersionTLS12, CipherSuites: test.ciphers})
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		if leaf := state.PeerCertificates[0]; leaf.DNSNames[0] != test.want || leaf.PublicKeyAlgorithm != test.alg {
			t.Errorf("%s: got %s of %s", test.what, leaf.PublicKeyAlgorithm, leaf.DNSNames)
		}
	}
	state, err := shake(t, s.For("smtp", Policy{}), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	if err != nil || state.Version != tls.VersionTLS13 || state.PeerCertificates[0].PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("today's client: %v", err)
	}
}

func TestOldPrinters(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Pairs: []Pair{issue(t, "a.example", rsaKey(t))}})
	must(t, err)
	old := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	printer := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: old}
	if _, err := shake(t, s.For("submission", Policy{}), printer); err == nil {
		t.Error("TLS 1.0 where nobody asked for it")
	}
	weak := Policy{MinVersion: tls.VersionTLS10, Ciphers: old}
	state, err := shake(t, s.For("submission", weak), printer)
	if err != nil || state.Version != tls.VersionTLS10 || state.CipherSuite != old[0] {
		t.Errorf("on the printers' listener: %x %x, %v", state.Version, state.CipherSuite, err)
	}
	modern := printer.Clone()
	modern.MaxVersion = tls.VersionTLS12
	if _, err := shake(t, s.For("submission", Policy{}), modern); err == nil {
		t.Error("RSA key exchange where nobody asked for it")
	}
	if _, err := shake(t, s.For("submission", Policy{MinVersion: tls.VersionTLS13}), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 where 1.3 is the oldest")
	}
}

// A session begun under a weak policy is not resumed under a strict one, though the
// service is the same.
func TestSMTP013TicketsStayInTheirPolicy(t *testing.T) {
	t.Parallel()
	pair := issue(t, "a.example", ellipticKey(t))
	s, err := Open(Source{Pairs: []Pair{pair}})
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert((*s.current.Load())[0].Leaf)
	policies := map[string]Policy{
		"today's": {}, "weak": {MinVersion: tls.VersionTLS10},
		"one cipher":   {Ciphers: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
		"certificates": {ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for from, first := range policies {
			for to, second := range policies {
				client := &tls.Config{ServerName: "a.example", RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(9), MaxVersion: version}
				_, err := shake(t, s.For("submission", first), client)
				must(t, err)
				state, err := shake(t, s.For("submission", second), client)
				must(t, err)
				if state.DidResume != (from == to) {
					t.Errorf("version %x: a session of policy %q at %q: resumed %v", version, from, to, state.DidResume)
				}
			}
		}
	}
	same := policies["certificates"]
	same.ClientCAs = same.ClientCAs.Clone()
	if s.For("imap", policies["certificates"]) != s.For("imap", same) {
		t.Error("a reload without a change makes all sessions invalid")
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Pairs: []Pair{issue(t, "mx.example", ellipticKey(t))}})
	must(t, err)
	pairs := map[string]tls.Certificate{}
	for _, name := range []string{"ours", "another's"} {
		p := issue(t, name+".example", ellipticKey(t))
		pairs[name], err = tls.LoadX509KeyPair(p.Certificate, p.Key)
		must(t, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pairs["ours"].Leaf)
	server := s.For("submission", Policy{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots})
	for name, want := range map[string]bool{"ours": true, "another's": false, "none": true} {
		client := &tls.Config{InsecureSkipVerify: true}
		if c, ok := pairs[name]; ok {
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
		}
		if _, err := shake(t, server, client); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
