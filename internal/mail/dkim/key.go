package dkim

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
)

// Key is a private key and the name under which the DNS has the public one.
type Key struct {
	Domain, Selector string
	// Private is an *rsa.PrivateKey or an ed25519.PrivateKey.
	Private crypto.Signer
}

// What a key of ours can suffer from.
var (
	errPrivate = errors.New("the private key is neither RSA nor Ed25519")
	errHalves  = errors.New("the halves of the Ed25519 key do not belong together")
	errPEM     = errors.New("there is no private key in PEM form (PKCS #8, or PKCS #1 for RSA) in it")
)

// Algorithm is a=, "" for a key of another kind.
func (k Key) Algorithm() string {
	switch k.Private.(type) {
	case *rsa.PrivateKey:
		return "rsa-sha256"
	case ed25519.PrivateKey:
		return "ed25519-sha256"
	}
	return ""
}

// Name is where the public key stands in the DNS; an error for what no verifier
// would look up.
func (k Key) Name() (string, error) { return Name(k.Selector, k.Domain) }

// check refuses to sign what would not be verified.
func (k Key) check() error {
	if _, err := k.Name(); err != nil {
		return err
	}
	switch p := k.Private.(type) {
	case *rsa.PrivateKey:
		if bits := p.N.BitLen(); bits < 1024 || bits > 4096 {
			return fmt.Errorf("the key has %d bits; 1024 to 4096 are believed", bits)
		}
		return nil
	case ed25519.PrivateKey:
		if len(p) == ed25519.PrivateKeySize {
			return nil
		}
	}
	return errPrivate
}

// Sign signs a SHA-256 hash. Ed25519 signs the hash as if it were the message
// (RFC 8463 §3).
func (k Key) Sign(hash []byte) ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if _, ok := k.Private.(ed25519.PrivateKey); ok {
		return k.Private.Sign(nil, hash, crypto.Hash(0))
	}
	return k.Private.Sign(rand.Reader, hash, crypto.SHA256)
}

// Record is the text of the key record for the DNS.
func (k Key) Record() (string, error) {
	switch p := k.Private.(type) {
	case *rsa.PrivateKey:
		der, err := x509.MarshalPKIXPublicKey(&p.PublicKey)
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), err
	case ed25519.PrivateKey:
		public := p.Public().(ed25519.PublicKey)
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	}
	return "", errPrivate
}

// ParsePrivateKey reads a private key in PEM form, as openssl, opendkim-genkey and
// rspamadm write it, and an Ed25519 key in bare base64, as dkimpy (the seed) and
// rspamadm (the seed and the public half) do.
func ParsePrivateKey(text []byte) (crypto.Signer, error) {
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil:
			return parseSeed(text)
		case block.Type == "RSA PRIVATE KEY":
			return x509.ParsePKCS1PrivateKey(block.Bytes)
		case block.Type == "PRIVATE KEY":
			return parsePKCS8(block.Bytes)
		}
	}
}

func parseSeed(text []byte) (crypto.Signer, error) {
	raw, err := decodeBase64(solid(string(text)))
	if err != nil || len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize {
		return nil, errPEM
	}
	key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && !key.Equal(ed25519.PrivateKey(raw)) {
		return nil, errHalves
	}
	return key, nil
}

func parsePKCS8(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errPrivate
}
