// Package sasl speaks the SASL mechanisms (RFC 4422) of mail, as state machines
// without clock, disk or socket:
//
//	PLAIN              RFC 4616
//	LOGIN              draft-murchison-sasl-login-00, never a standard, but what Outlook speaks
//	SCRAM-SHA-256      RFC 7677, RFC 5802; -PLUS with tls-exporter (RFC 9266)
//	SCRAM-SHA-1        RFC 5802           and tls-server-end-point (RFC 5929 §4)
//	CRAM-MD5           RFC 2195
//	EXTERNAL           RFC 4422 appendix A
//	OAUTHBEARER        RFC 7628
//	XOAUTH2            Google's older form of it
//
// A server machine is fed responses until it is done, and asks a Judge for what
// only others know: whether a password is right, which keys belong to a name. Its
// end without an error means that the client proved to be who it said it is. The
// framing, base64 included, belongs to the protocol around it; Encode and Decode
// are here because SMTP, IMAP and POP3 share it. None of these protocols carries
// data along with its "success", so the last word of SCRAM is a challenge of its
// own, answered by an empty response.
//
// Secrets appear in no error, and what holds some does not print them.
package sasl

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The mechanisms by their registered names.
const (
	PLAIN           = "PLAIN"
	LOGIN           = "LOGIN"
	SCRAMSHA256     = "SCRAM-SHA-256"
	SCRAMSHA256Plus = "SCRAM-SHA-256-PLUS"
	SCRAMSHA1       = "SCRAM-SHA-1"
	SCRAMSHA1Plus   = "SCRAM-SHA-1-PLUS"
	CRAMMD5         = "CRAM-MD5"
	EXTERNAL        = "EXTERNAL"
	OAUTHBEARER     = "OAUTHBEARER"
	XOAUTH2         = "XOAUTH2"
)

// Mechanisms are all that NewServer knows.
func Mechanisms() []string {
	return []string{PLAIN, LOGIN, SCRAMSHA256, SCRAMSHA256Plus, SCRAMSHA1, SCRAMSHA1Plus, CRAMMD5, EXTERNAL, OAUTHBEARER, XOAUTH2}
}

// Sizes, in octets.
const (
	// MaxField is how long a name or a password may be.
	MaxField = 1000
	// MaxToken is how long a bearer token may be: what fits into a line of AUTH
	// (RFC 4954 §4) after base64.
	MaxToken = 8 << 10
	// maxMessage is the longest message of SCRAM: two fields, twice as long when
	// every octet of a name is escaped, and the keys of a proof.
	maxMessage = 8 << 10
)

// What can be wrong with an exchange.
var (
	ErrSyntax   = errors.New("malformed authentication data")
	ErrProxy    = errors.New("authorization as somebody else is not supported")
	ErrCanceled = errors.New("authentication canceled by the client")
	// ErrWrong: the proof is none. It does not tell whether the user exists.
	ErrWrong = errors.New("authentication failed")
	// ErrBinding: the client sees another TLS connection than we do, or could not
	// see that we bind to it: somebody may stand in between (RFC 5802 §6).
	ErrBinding = errors.New("channel binding does not match")
)

// Credentials are what a client presented.
type Credentials struct{ User, Password string }

// Format implements fmt.Formatter: the password is not printed.
func (c Credentials) Format(f fmt.State, _ rune) { f.Write([]byte("{" + c.User + " ***}")) }

// Judge is who knows what a machine does not. Its functions give an error that
// ends the exchange as it is; ErrWrong where the proof is none. A mechanism whose
// function is nil does not exist.
type Judge struct {
	// Password judges a password (PLAIN, LOGIN).
	Password func(Credentials) error
	// Keys are the keys of a user; for a name that nobody has, some that look the
	// same each time and that no password fits.
	Keys func(user string, h Hash) (Keys, error)
	// Context is the same for CRAM-MD5.
	Context func(user string) (MD5Context, error)
	// Token judges a bearer token. user is the name that came along; it may be "".
	Token func(user, token string) error
	// Certificate tells whether the certificate of the connection is user's; user
	// is "" when the client leaves it to the server.
	Certificate func(user string) error

	// Bindings are what this end knows of the TLS connection. The mechanisms with
	// -PLUS exist only where there are some.
	Bindings []Binding
	// Hostname stands in the challenge of CRAM-MD5.
	Hostname string
	// Nonce is our part of SCRAM's nonce and of CRAM-MD5's challenge, printable
	// and without comma; "": 144 random bits. It is set by tests.
	Nonce string
}

// Server is the server's side of one exchange.
type Server interface {
	// Next takes the client's response and returns the next challenge, or done
	// when there is none: the client is who it says. The first call's response is
	// the initial one, nil when the client sent none (an empty one is not nil).
	// After done or an error there is nothing more to call.
	Next(response []byte) (challenge []byte, done bool, err error)
}

// NewServer makes the server's side of a mechanism, any case; nil when it is not
// known or the judge does not know it.
func NewServer(mechanism string, j Judge) Server {
	switch mechanism = strings.ToUpper(mechanism); mechanism {
	case PLAIN, LOGIN:
		if j.Password == nil {
			return nil
		}
		if mechanism == PLAIN {
			return &plainServer{judge: j}
		}
		return &loginServer{judge: j}
	case SCRAMSHA256, SCRAMSHA256Plus, SCRAMSHA1, SCRAMSHA1Plus:
		return newSCRAMServer(mechanism, j)
	case CRAMMD5:
		if j.Context != nil {
			return &cramServer{judge: j}
		}
	case EXTERNAL:
		if j.Certificate != nil {
			return &externalServer{judge: j}
		}
	case OAUTHBEARER, XOAUTH2:
		if j.Token != nil {
			return &bearerServer{judge: j, old: mechanism == XOAUTH2}
		}
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
