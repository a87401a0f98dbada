package oidc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// maxToken is the longest token that is looked at, in octets.
const maxToken = 16 << 10

// token is a JWT in its compact form (RFC 7515 §7.1), taken apart.
type token struct {
	algorithm, key string // "alg" and "kid"
	claims         claims
	signed         string
	signature      []byte
}

var errToken = errors.New("that is no token of an OpenID Connect issuer")

// parse takes a token apart. Nothing of it is true before its signature was checked.
func parse(text string) (t token, err error) {
	parts := strings.Split(text, ".")
	if len(text) > maxToken || len(parts) != 3 {
		return t, errToken
	}
	var header struct {
		Alg  string          `json:"alg"`
		Kid  string          `json:"kid"`
		Crit json.RawMessage `json:"crit"`
	}
	if err := decode(parts[0], &header); err != nil {
		return t, err
	}
	if _, known := algorithms[header.Alg]; !known || header.Crit != nil { // nothing critical is understood: RFC 7515 §4.1.11
		return t, errToken
	}
	t.algorithm, t.key, t.signed = header.Alg, header.Kid, parts[0]+"."+parts[1]
	if err := decode(parts[1], &t.claims); err != nil {
		return t, err
	}
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil || len(t.signature) == 0 {
		return t, errToken
	}
	return t, nil
}

// decode reads a part: JSON in base64url without padding.
func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return errToken
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil || d.More() {
		return errToken
	}
	return nil
}

// algorithm is one of RFC 7518 §3.1 that proves something: asymmetric, with SHA-2.
type algorithm struct {
	kind  string // of the key: "RSA", "EC", "OKP"
	hash  crypto.Hash
	curve elliptic.Curve
	pss   bool
}

var algorithms = map[string]algorithm{
	"RS256": {kind: "RSA", hash: crypto.SHA256}, "RS384": {kind: "RSA", hash: crypto.SHA384}, "RS512": {kind: "RSA", hash: crypto.SHA512},
	"PS256": {kind: "RSA", hash: crypto.SHA256, pss: true}, "PS384": {kind: "RSA", hash: crypto.SHA384, pss: true}, "PS512": {kind: "RSA", hash: crypto.SHA512, pss: true},
	"ES256": {kind: "EC", hash: crypto.SHA256, curve: elliptic.P256()}, "ES384": {kind: "EC", hash: crypto.SHA384, curve: elliptic.P384()},
	"ES512": {kind: "EC", hash: crypto.SHA512, curve: elliptic.P521()}, "EdDSA": {kind: "OKP"},
}

// key is one public key of an issuer.
type key struct {
	id, algorithm string
	public        crypto.PublicKey
}

// fits tells whether a key may have signed a token: its name and its kind are right.
func (k key) fits(t token) bool {
	return (t.key == "" || k.id == t.key) && (k.algorithm == "" || k.algorithm == t.algorithm)
}

// verifies tells whether a key signed a token.
func (k key) verifies(t token) bool {
	a := algorithms[t.algorithm]
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		return a.kind == "OKP" && ed25519.Verify(public, []byte(t.signed), t.signature)
	case *rsa.PublicKey:
		return a.kind == "RSA" && a.verifyRSA(public, t)
	case *ecdsa.PublicKey:
		return a.kind == "EC" && public.Curve == a.curve && a.verifyEC(public, t)
	}
	return false
}

func (a algorithm) digest(signed string) []byte {
	h := a.hash.New()
	h.Write([]byte(signed))
	return h.Sum(nil)
}

func (a algorithm) verifyRSA(public *rsa.PublicKey, t token) bool {
	if a.pss {
		return rsa.VerifyPSS(public, a.hash, a.digest(t.signed), t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	}
	return rsa.VerifyPKCS1v15(public, a.hash, a.digest(t.signed), t.signature) == nil
}

// verifyEC: the signature is R and S, each as long as the curve (RFC 7518 §3.4).
func (a algorithm) verifyEC(public *ecdsa.PublicKey, t token) bool {
	size := (a.curve.Params().BitSize + 7) / 8
	if len(t.signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(t.signature[:size]), new(big.Int).SetBytes(t.signature[size:])
	return ecdsa.Verify(public, a.digest(t.signed), r, s)
}
