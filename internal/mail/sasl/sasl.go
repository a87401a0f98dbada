// Package sasl speaks the SASL mechanisms that carry a user name and a
// password, PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00, never a
// standard, but what Outlook speaks), as state machines for both ends. The
// framing, base64 included, belongs to the protocol around it; Encode and
// Decode are here because SMTP, IMAP and POP3 share it.
//
// A machine is fed responses until it is done; it checks no password. Secrets
// appear in no error.
package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxField is how long a name or a password may be, in octets.
const MaxField = 1000

// What can be wrong with an exchange.
var (
	ErrSyntax   = errors.New("malformed authentication data")
	ErrProxy    = errors.New("authorization as somebody else is not supported")
	ErrCanceled = errors.New("authentication canceled by the client")
)

// Credentials are what a client presented.
type Credentials struct{ User, Password string }

// Server is the server's side of one exchange.
type Server interface {
	// Next takes the client's response and returns the next challenge, or done
	// when there is none. The first call's response is the initial one, nil
	// when the client sent none (an empty one is not nil).
	Next(response []byte) (challenge []byte, done bool, err error)
	// Credentials is valid once Next was done.
	Credentials() Credentials
}

// NewServer makes the server's side of a mechanism, any case; nil when it is
// not known.
func NewServer(mechanism string) Server {
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		return &plainServer{}
	case "LOGIN":
		return &loginServer{}
	}
	return nil
}

// Decode reads a response line. "*" is the client's cancel, and "=" the empty
// initial response (RFC 4954 §4). The result is never nil without an error.
func Decode(line []byte) ([]byte, error) {
	switch {
	case len(line) == 1 && line[0] == '*':
		return nil, ErrCanceled
	case len(line) == 1 && line[0] == '=':
		return []byte{}, nil
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(out, line)
	if err != nil || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return nil, ErrSyntax
	}
	return out[:n], nil
}

// Encode writes a challenge or a response as a line without its ending.
func Encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// field checks a name or a password.
func field(b []byte) (string, error) {
	if len(b) > MaxField || bytes.IndexByte(b, 0) >= 0 || !utf8.Valid(b) {
		return "", ErrSyntax
	}
	return string(b), nil
}

// check makes credentials of two fields. An empty one proves nothing: some
// directories take a bind without password for success.
func check(user, password []byte) (c Credentials, err error) {
	if c.User, err = field(user); err == nil {
		c.Password, err = field(password)
	}
	if err != nil || c.User == "" || c.Password == "" {
		return Credentials{}, ErrSyntax
	}
	return c, nil
}
