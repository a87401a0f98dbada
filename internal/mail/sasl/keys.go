package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 needs no collision resistance
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Hash is the hash function of a SCRAM mechanism.
type Hash uint8

// The hash functions.
const (
	SHA1 Hash = iota + 1
	SHA256
)

func (h Hash) new() func() hash.Hash {
	if h == SHA1 {
		return sha1.New
	}
	return sha256.New
}

// Size is the length of a key in octets.
func (h Hash) Size() int { return h.new()().Size() }

// String is the name of the mechanism without -PLUS.
func (h Hash) String() string {
	if h == SHA1 {
		return SCRAMSHA1
	}
	return SCRAMSHA256
}

func (h Hash) mac(key []byte, text string) []byte {
	m := hmac.New(h.new(), key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (h Hash) sum(b []byte) []byte {
	s := h.new()()
	s.Write(b)
	return s.Sum(nil)
}

// Keys are what a server keeps of a password for SCRAM (RFC 5802 §3). Whoever
// reads them can guess passwords at leisure and pretend to be the server, but not
// log in.
type Keys struct {
	Hash                       Hash
	Salt, StoredKey, ServerKey []byte
	Iterations                 int
}

// MakeKeys derives the keys of a password, after SASLprep.
func MakeKeys(h Hash, password string, salt []byte, iterations int) (Keys, error) {
	salted, err := saltPassword(h, password, salt, iterations)
	if err != nil {
		return Keys{}, err
	}
	return Keys{
		Hash: h, Salt: salt, Iterations: iterations,
		StoredKey: h.sum(h.mac(salted, "Client Key")), ServerKey: h.mac(salted, "Server Key"),
	}, nil
}

func saltPassword(h Hash, password string, salt []byte, iterations int) ([]byte, error) {
	salted, err := pbkdf2.Key(h.new(), Prep(password), salt, iterations, h.Size())
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	return salted, nil
}

// Format implements fmt.Formatter: keys are not printed.
func (k Keys) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{%s ***}", k.Hash) }

// Encode is the form in which keys are kept, that of RFC 5803:
// "SCRAM-SHA-256$60000:salt$StoredKey:ServerKey", in base64.
func (k Keys) Encode() string {
	return fmt.Sprintf("%s$%d:%s$%s:%s", k.Hash, k.Iterations, Encode(k.Salt), Encode(k.StoredKey), Encode(k.ServerKey))
}

// errKeys does not tell what is in them.
var errKeys = errors.New("sasl: stored keys can not be read")

// ParseKeys reads what Encode wrote.
func ParseKeys(text string) (Keys, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 3 {
		return Keys{}, errKeys
	}
	k := Keys{}
	switch parts[0] {
	case SCRAMSHA1:
		k.Hash = SHA1
	case SCRAMSHA256:
		k.Hash = SHA256
	default:
		return Keys{}, errKeys
	}
	count, salt, _ := strings.Cut(parts[1], ":")
	stored, server, _ := strings.Cut(parts[2], ":")
	n, err := strconv.ParseUint(count, 10, 31)
	for _, f := range []struct {
		to   *[]byte
		text string
	}{{&k.Salt, salt}, {&k.StoredKey, stored}, {&k.ServerKey, server}} {
		b, e := base64.StdEncoding.DecodeString(f.text)
		*f.to, err = b, errors.Join(err, e)
	}
	if k.Iterations = int(n); err != nil || n == 0 || len(k.Salt) == 0 || len(k.StoredKey) != k.Hash.Size() || len(k.ServerKey) != k.Hash.Size() {
		return Keys{}, errKeys
	}
	return k, nil
}
