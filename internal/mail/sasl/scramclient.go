package sasl

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// How often a client hashes because a server says so: enough to keep whoever hears
// the exchange busy (RFC 7677 §4), and not so often that the server keeps us busy
// (OUT-020).
const (
	minIterations = 4096
	maxIterations = 100_000
)

// The errors of a SCRAM client.
var (
	ErrIterations = fmt.Errorf("the server asks for fewer than %d or more than %d iterations", minIterations, maxIterations)
	// ErrImpostor: the other end does not know the password.
	ErrImpostor = errors.New("the server did not prove that it knows the password")
)

// SCRAM is the client's side of SCRAM.
type SCRAM struct {
	hash    Hash
	cred    Credentials
	header  string
	binding []byte
	nonce   string

	step      byte // 1: waits for the salt; 2: for the signature; 3: done
	bare      string
	signature []byte
}

// NewSCRAM makes a client. With a binding it speaks the mechanism with -PLUS;
// without one, mayBind says that it would have, had the server offered it.
func NewSCRAM(h Hash, c Credentials, b *Binding, mayBind bool) *SCRAM {
	s := &SCRAM{hash: h, cred: c, header: "n,,", nonce: makeNonce()}
	switch {
	case b != nil:
		s.header, s.binding = "p="+b.Type+",,", b.Data
	case mayBind:
		s.header = "y,,"
	}
	return s
}

// Start is the initial response.
func (s *SCRAM) Start() []byte {
	s.step = 1
	s.bare = "n=" + strings.NewReplacer(",", "=2C", "=", "=3D").Replace(Prep(s.cred.User)) + ",r=" + s.nonce
	return []byte(s.header + s.bare)
}

// Done tells that the server proved to know the password too. A success that it
// announces without that is none.
func (s *SCRAM) Done() bool { return s.step == 3 }

// Next answers a challenge.
func (s *SCRAM) Next(challenge []byte) ([]byte, error) {
	step := s.step
	s.step = 0
	switch {
	case len(challenge) > maxMessage:
	case step == 1:
		return s.prove(string(challenge))
	case step == 2:
		return s.verify(string(challenge))
	}
	return nil, ErrSyntax
}

func (s *SCRAM) prove(challenge string) ([]byte, error) {
	nonce, rest, ok := cutAttribute(challenge, "r")
	salt64, rest, ok2 := cutAttribute(rest, "s")
	count, _, ok3 := cutAttribute(rest, "i")
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if !ok || !ok2 || !ok3 || err != nil || len(salt) == 0 {
		return nil, ErrSyntax
	}
	if !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce) || !printable(nonce) {
		return nil, ErrImpostor
	}
	n, err := strconv.ParseUint(count, 10, 63)
	if err != nil || n < minIterations || n > maxIterations {
		return nil, ErrIterations
	}
	salted, err := saltPassword(s.hash, s.cred.Password, salt, int(n))
	if err != nil {
		return nil, err
	}
	final := "c=" + Encode(append([]byte(s.header), s.binding...)) + ",r=" + nonce
	message := s.bare + "," + challenge + "," + final
	client := s.hash.mac(salted, "Client Key")
	proof := make([]byte, len(client))
	subtle.XORBytes(proof, client, s.hash.mac(s.hash.sum(client), message))
	s.signature = s.hash.mac(s.hash.mac(salted, "Server Key"), message)
	s.step = 2
	return []byte(final + ",p=" + Encode(proof)), nil
}

func (s *SCRAM) verify(challenge string) ([]byte, error) {
	value, _, ok := cutAttribute(challenge, "v")
	signature, err := base64.StdEncoding.DecodeString(value)
	if !ok || err != nil || !hmac.Equal(signature, s.signature) {
		return nil, ErrImpostor
	}
	s.step = 3
	return []byte{}, nil
}
