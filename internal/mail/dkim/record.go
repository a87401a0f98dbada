package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxRecord is the longest key record looked at, in bytes; an RSA key of 4096 bits
// takes 750.
const maxRecord = 16 << 10

// Record is what a domain says of a key (RFC 6376 §3.6.1).
type Record struct {
	// Kind is k=: "rsa" or "ed25519".
	Kind string
	// Public is the *rsa.PublicKey or ed25519.PublicKey; nil when it was withdrawn.
	Public crypto.PublicKey
	// Bits is the size of the key.
	Bits int
	// Hashes are those that may be used, of h=; nil: all.
	Hashes []string
	// Services are those that the key is for, of s=; nil: all.
	Services []string
	// Testing is t=y: the domain is trying DKIM out.
	Testing bool
	// Strict is t=s: an identity is of the domain itself, not of one below it.
	Strict bool
	// Notes is n=, for people.
	Notes string
}

// What a key record can suffer from.
var (
	errRecordTooLong = fmt.Errorf("the key record is longer than %d bytes", maxRecord)
	errRecordVersion = errors.New("the record is not of the version DKIM1")
	errNoPublic      = errors.New("the key record has no p=")
	errKind          = errors.New("the key record has a kind of key (k=) that is unknown")
	errBase64        = errors.New("the key (p=) is not in base64")
	errKeyForm       = errors.New("the key (p=) is no public key of its kind")
	errExponent      = errors.New("the key has an exponent that no honest key has")
)

// ParseRecord reads the text of a key record.
func ParseRecord(text string) (*Record, error) {
	if len(text) > maxRecord {
		return nil, errRecordTooLong
	}
	tags, err := ParseTags([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the key record can not be read: %w", err)
	}
	if v, ok := tags.Get("v"); ok && (v != "DKIM1" || tags[0].Name != "v") {
		return nil, errRecordVersion
	}
	r := &Record{Kind: "rsa", Hashes: tags.list("h"), Services: tags.list("s")}
	if k, ok := tags.Get("k"); ok {
		r.Kind = strings.ToLower(k)
	}
	flags := tags.list("t")
	r.Testing, r.Strict = slices.Contains(flags, "y"), slices.Contains(flags, "s")
	r.Notes, _ = tags.Get("n")
	p, ok := tags.Get("p")
	if !ok {
		return nil, errNoPublic
	}
	return r, r.public(solid(p))
}

// list is a tag that holds names; nil when it is not there.
func (t Tags) list(name string) []string {
	if value, ok := t.Get(name); ok {
		return Names(value)
	}
	return nil
}

func (r *Record) public(p string) error {
	if r.Kind != "rsa" && r.Kind != "ed25519" {
		return errKind
	}
	if p == "" {
		return nil
	}
	raw, err := decodeBase64(p)
	if err != nil {
		return errBase64
	}
	if r.Kind == "rsa" {
		return r.rsa(raw)
	}
	if len(raw) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: it has %d bytes, and Ed25519 has %d", errKeyForm, len(raw), ed25519.PublicKeySize)
	}
	r.Public, r.Bits = ed25519.PublicKey(raw), 256
	return nil
}

// rsa reads a SubjectPublicKeyInfo, as all publish, or the bare RSAPublicKey that
// the text of RFC 6376 asks for.
func (r *Record) rsa(der []byte) error {
	key, err := parseRSA(der)
	if err != nil {
		return errKeyForm
	}
	if key.E < 3 || key.E%2 == 0 || key.E > math.MaxInt32 || key.N.Bit(0) == 0 {
		return errExponent
	}
	r.Public, r.Bits = key, key.N.BitLen()
	return nil
}

func parseRSA(der []byte) (*rsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return x509.ParsePKCS1PublicKey(der)
	}
	if key, ok := parsed.(*rsa.PublicKey); ok {
		return key, nil
	}
	return nil, errKeyForm
}

// decodeBase64 takes padding that is missing: keys are pasted by people.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// errSignature says that the numbers do not fit.
var errSignature = errors.New("the signature does not fit")

// Check tells whether a signature of a SHA-256 hash was made with the private half
// of the key. The algorithm, of a=, is of the key's kind.
func (r *Record) Check(hash, signature []byte) error {
	switch key := r.Public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash, signature)
	case ed25519.PublicKey:
		if ed25519.Verify(key, hash, signature) {
			return nil
		}
	}
	return errSignature
}
