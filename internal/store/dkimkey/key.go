package dkimkey

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Algorithm is what a key signs with, by its name in k= (RFC 6376 §3.6.1, RFC 8463).
type Algorithm string

// The algorithms.
const (
	RSA     Algorithm = "rsa"
	Ed25519 Algorithm = "ed25519"
)

// State is where a key is in its life.
type State string

// The states, in the order of a life.
const (
	Made      State = "made"
	Published State = "published"
	Active    State = "active"
	Retiring  State = "retiring"
	Retired   State = "retired"
)

// Key is one key of a domain.
type Key struct {
	Domain, Selector string
	Algorithm        Algorithm
	State            State
	// Since is when it came into this state.
	Since time.Time
	// Private is nil for a retired key, and where Err says why it can't be read.
	Private crypto.Signer
	Err     error
}

// Name is where its record stands, without a dot at the end.
func (k Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// Living tells a key whose record has to be in the DNS, or is to be put there.
func (k Key) Living() bool { return k.State != Retired }

// Waiting tells a key that is to sign and does not yet.
func (k Key) Waiting() bool { return k.State == Made || k.State == Published }

// Bits is the length of an RSA key, 256 for Ed25519; 0 without a private key.
func (k Key) Bits() int {
	switch p := k.Private.(type) {
	case *rsa.PrivateKey:
		return p.N.BitLen()
	case ed25519.PrivateKey:
		return 256
	}
	return 0
}

// Record is the text of its TXT record: the public key, or that there is none any more
// (RFC 6376 §3.6.1: an empty p= is a key that was revoked). Empty if the key can't be read.
func (k Key) Record() string {
	begin := "v=DKIM1; k=" + string(k.Algorithm)
	if k.Algorithm == RSA {
		begin += "; h=sha256" // RFC 8301: nobody is to believe rsa-sha1
	}
	if k.State == Retired {
		return begin + "; p="
	}
	p := k.Public()
	if p == "" {
		return ""
	}
	return begin + "; p=" + p
}

// Public is the public key as p= has it: base64 of SubjectPublicKeyInfo for RSA, of the
// 32 bytes for Ed25519 (RFC 8463 §4.2). Empty without a private key.
func (k Key) Public() string {
	switch p := k.Private.(type) {
	case *rsa.PrivateKey:
		der, err := x509.MarshalPKIXPublicKey(&p.PublicKey)
		if err != nil {
			return ""
		}
		return base64.StdEncoding.EncodeToString(der)
	case ed25519.PrivateKey:
		return base64.StdEncoding.EncodeToString(p.Public().(ed25519.PublicKey))
	}
	return ""
}

// Shows tells whether one of the texts found under Name is the record of this key: the
// same key, whatever else it says.
func (k Key) Shows(texts []string) bool {
	public := k.Public()
	if k.State == Retired || public == "" {
		return false
	}
	for _, t := range texts {
		if p, ok := tag(t, "p"); ok && samePublic(p, public) {
			return true
		}
	}
	return false
}

// samePublic compares two values of p=. An RSA key may stand there without the frame that
// says that it is one (RFC 6376 §3.6.1).
func samePublic(found, ours string) bool {
	if found == ours {
		return true
	}
	a, errA := base64.StdEncoding.DecodeString(found)
	b, errB := base64.StdEncoding.DecodeString(ours)
	if errA != nil || errB != nil {
		return false
	}
	bare, err := x509.ParsePKCS1PublicKey(a)
	if err != nil {
		return false
	}
	full, err := x509.ParsePKIXPublicKey(b)
	return err == nil && bare.Equal(full)
}

// tag is the value of a tag of a record, without white space.
func tag(record, name string) (string, bool) {
	for part := range strings.SplitSeq(record, ";") {
		if n, v, ok := strings.Cut(part, "="); ok && strings.TrimSpace(n) == name {
			return strings.Join(strings.Fields(v), ""), true
		}
	}
	return "", false
}

// minBits and maxBits are what RSA keys are taken with: RFC 8301 wants 1024 at least, and
// verifiers need not take more than 4096.
const minBits, maxBits = 1024, 4096

// defaultBits is the length of RSA keys that are made here: what every verifier takes
// (RFC 8301 §3.2), and a record of it fits into one DNS answer.
const defaultBits = 2048

// generate makes a private key.
func generate(a Algorithm) (crypto.Signer, error) {
	switch a {
	case RSA:
		return rsa.GenerateKey(rand.Reader, defaultBits)
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("no algorithm %q of DKIM; expected rsa or ed25519", a)
}

// ParsePrivate reads a private key in PEM: PKCS#8, or PKCS#1 as opendkim-genkey and
// openssl genrsa write it.
func ParsePrivate(text []byte) (crypto.Signer, Algorithm, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, "", errors.New("no private key in PEM form is in it")
		}
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			text = rest
			continue
		}
		if err != nil {
			return nil, "", err
		}
		return usable(key)
	}
}

// usable tells the keys that DKIM knows.
func usable(key any) (crypto.Signer, Algorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < minBits || n > maxBits {
			return nil, "", fmt.Errorf("an RSA key of %d bits; others believe those of %d to %d (RFC 8301)", n, minBits, maxBits)
		}
		return k, RSA, nil
	case ed25519.PrivateKey:
		return k, Ed25519, nil
	}
	return nil, "", fmt.Errorf("a key of a kind that DKIM does not know (%T); expected RSA or Ed25519", key)
}

// privatePEM is a private key as it is kept.
func privatePEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
