package dkimkey

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"facteur/internal/mail/dkim"
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
	// Private and Public are nil for a retired key, and where Err says why it can't be read.
	Private crypto.Signer
	Public  crypto.PublicKey
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
	if k.State == Retired {
		return "v=DKIM1; k=" + string(k.Algorithm) + "; p="
	}
	text, err := dkim.Key{Domain: k.Domain, Selector: k.Selector, Private: k.Private}.Record()
	if err != nil {
		return ""
	}
	return text
}

// Shows tells whether a record that was found under Name is that of this key, whatever
// else it says.
func (k Key) Shows(r *dkim.Record) bool {
	return samePublic(k.Public, r.Public)
}

// samePublic compares public keys, of whatever kinds.
func samePublic(a, b crypto.PublicKey) bool {
	ours, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && b != nil && ours.Equal(b)
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

// ParsePrivate reads a private key in PEM, as facteur keeps it and as others write it.
func ParsePrivate(text []byte) (crypto.Signer, Algorithm, error) {
	key, err := dkim.ParsePrivateKey(text)
	if err != nil {
		return nil, "", err
	}
	return usable(key)
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
