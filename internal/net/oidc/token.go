package oidc

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// maxToken is the longest token that is looked at, in octets.
const maxToken = 16 << 10

// algorithms are those of RFC 7518 §3.1 and RFC 8037 that prove something: asymmetric, with
// SHA-2.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// token is a JWT in its compact form (RFC 7515 §7.1), taken apart.
type token struct {
	algorithm, key string // "alg" and "kid"
	claims         claims
	signed         *jose.JSONWebSignature
}

var errToken = errors.New("that is no token of an OpenID Connect issuer")

// parse takes a token apart. Nothing of it is true before its signature was checked.
func parse(text string) (t token, err error) {
	if len(text) > maxToken {
		return t, errToken
	}
	// The library's errors may have parts of the token in them.
	t.signed, err = jose.ParseSignedCompact(text, algorithms)
	if err != nil || len(t.signed.Signatures) != 1 {
		return t, errToken
	}
	header := t.signed.Signatures[0].Protected
	if _, critical := header.ExtraHeaders["crit"]; critical { // nothing critical is understood: RFC 7515 §4.1.11
		return t, errToken
	}
	t.algorithm, t.key = header.Algorithm, header.KeyID
	d := json.NewDecoder(bytes.NewReader(t.signed.UnsafePayloadWithoutVerification()))
	d.UseNumber()
	if err := d.Decode(&t.claims); err != nil || d.More() {
		return t, errToken
	}
	return t, nil
}

// fits tells whether a key may have signed the token: its name and its algorithm are right.
func (t token) fits(k jose.JSONWebKey) bool {
	return (t.key == "" || k.KeyID == t.key) && (k.Algorithm == "" || k.Algorithm == t.algorithm)
}

// signedBy tells whether a key signed the token. A key of another kind did not.
func (t token) signedBy(k jose.JSONWebKey) bool {
	_, err := t.signed.Verify(k.Key)
	return err == nil
}
