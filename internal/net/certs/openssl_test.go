package certs

import (
	"crypto/tls"
	"net"
	"os/exec"
	"strings"
	"testing"

	"facteur/internal/test/interop"
)

// In TLS 1.3 a client says which signatures it can check; Go's has no say in that.
func TestOpenSSLChoosesBySignature(t *testing.T) {
	openssl := interop.Need(t, "openssl")
	s, err := Open(Source{Pairs: []Pair{issue(t, "a.example", rsaKey(t)), issue(t, "a.example", ellipticKey(t))}})
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				tls.Server(c, s.For("submissions", Policy{})).Handshake()
			}()
		}
	}()
	for algorithms, want := range map[string]string{
		"rsa_pss_rsae_sha256":                        "RSA-PSS",
		"ecdsa_secp256r1_sha256":                     "ECDSA",
		"rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256": "ECDSA",
	} {
		for _, version := range []string{"-tls1_3", "-tls1_2"} {
			out, _ := exec.Command(openssl, "s_client", "-connect", l.Addr().String(), "-servername", "a.example",
				version, "-sigalgs", algorithms).CombinedOutput()
			if !strings.Contains(string(out), "Peer signature type: "+want) {
				t.Errorf("%s %s: want %s\n%s", version, algorithms, want, out)
			}
		}
	}
}
