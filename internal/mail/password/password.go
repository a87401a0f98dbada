// Package password reads the forms in which other programs keep passwords, and says
// whether a password fits one. It reads
//
//	{SCHEME}text          Dovecot's: text is a hash by that scheme; {SCHEME.hex} and
//	                      {SCHEME.b64} tell how its octets are written
//	$1$… $2y$… $5$… $6$…  crypt(3) of the systems: MD5, bcrypt, SHA-256 and SHA-512,
//	$7$… $y$… $sha1$…     scrypt, yescrypt and NetBSD's SHA-1
//	$argon2id$… $argon2i$…
//
// Parse knows the schemes CLEARTEXT, CLEAR, PLAIN, CRYPT, MD5-CRYPT, MD5, BLF-CRYPT,
// SHA256-CRYPT, SHA512-CRYPT, ARGON2I, ARGON2ID, PBKDF2, SCRAM-SHA-1, SCRAM-SHA-256,
// SHA, SHA1, SHA256, SHA512, SSHA, SSHA256, SSHA512, PLAIN-MD5, LDAP-MD5, SMD5,
// CRAM-MD5 and HMAC-MD5. It does not know DES-CRYPT, OTP, DIGEST-MD5, PLAIN-MD4 and
// PLAIN-TRUNC.
//
// # Invariants
//
// What is stored was written by others. Parse refuses a hash that would cost more than
// some seconds or 256 MiB before anything is computed or allocated, so that Matches is
// bounded for whatever Parse let pass. Comparisons take the same time wherever the
// difference is. Neither a stored text nor a password stands in an error, and a Stored
// is not printed.
package password

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a stored password.
var (
	// ErrScheme: the scheme is not known here.
	ErrScheme = errors.New("the scheme of the stored password is not known")
	// ErrMalformed: it is not what its scheme makes.
	ErrMalformed = errors.New("the stored password is not what its scheme makes")
	// ErrCostly: to check it would take too much time or memory.
	ErrCostly = errors.New("the stored password asks for more time or memory than a log-in may cost")
)

// maxStored is the longest stored text that is read, in octets.
const maxStored = 4096

// Stored is a password as it is kept. The zero value fits no password.
type Stored struct {
	scheme string
	weak   string
	fits   func(password string) bool
}

// Format implements fmt.Formatter: a hash is not printed.
func (s Stored) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{%s}***", s.scheme) }

// Scheme is the name of the scheme in capitals, without what tells the encoding:
// "SHA512-CRYPT". A crypt(3) string has that of its kind.
func (s Stored) Scheme() string { return s.scheme }

// Weak is why the password should be stored in another way, for people; "" where
// nothing is wrong.
func (s Stored) Weak() string { return s.weak }

// Matches says whether the password is the one that was stored. The octets are taken as
// they are: who made the hash took them so. An empty one fits nothing, nor does one with
// a NUL, which some of the functions take for an end.
func (s Stored) Matches(password string) bool {
	return s.fits != nil && password != "" && strings.IndexByte(password, 0) < 0 && s.fits(password)
}

// Parse reads a stored password. scheme is that of texts that have neither "{…}" nor
// "$" in front; "": there is none.
func Parse(text, scheme string) (Stored, error) {
	if len(text) > maxStored || strings.ContainsAny(text, "\x00\r\n") {
		return Stored{}, ErrMalformed
	}
	if rest, ok := strings.CutPrefix(text, "{"); ok {
		if name, body, ok := strings.Cut(rest, "}"); ok {
			return parse(name, body)
		}
	}
	if scheme == "" {
		scheme = "CRYPT"
		if !strings.HasPrefix(text, "$") {
			return Stored{}, ErrScheme
		}
	}
	return parse(scheme, text)
}

// parse reads a text of the scheme "NAME" or "NAME.encoding".
func parse(name, text string) (Stored, error) {
	name, suffix, _ := strings.Cut(strings.ToUpper(name), ".")
	s, ok := schemeOf(name)
	if !ok {
		return Stored{}, fmt.Errorf("%w: %s", ErrScheme, printable(name))
	}
	raw, err := s.decode(text, suffix)
	if err != nil {
		return Stored{}, err
	}
	out, err := s.read(raw)
	if out.scheme == "" {
		out.scheme = name
	}
	if out.weak == "" {
		out.weak = s.weak
	}
	if err != nil {
		return Stored{}, err
	}
	return out, nil
}

// printable keeps a name that somebody mistyped from filling an error.
func printable(name string) string {
	if len(name) > 20 {
		name = name[:20]
	}
	return fmt.Sprintf("%q", name)
}

// decode gives the octets, or the text, that a scheme works on.
func (s scheme) decode(text, suffix string) ([]byte, error) {
	switch suffix {
	case "HEX":
		return decoded(hex.DecodeString(text))
	case "B64", "BASE64":
		return unbase64(text)
	case "":
	default:
		return nil, fmt.Errorf("%w: encoding %s", ErrScheme, printable(suffix))
	}
	switch {
	case s.encoding == asText:
		return []byte(text), nil
	case s.encoding == asHex, s.size > 0 && len(text) == 2*s.size:
		return decoded(hex.DecodeString(text))
	}
	return unbase64(text)
}

// unbase64 takes base64 with its padding and without.
func unbase64(text string) ([]byte, error) {
	return decoded(base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")))
}

func decoded(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, ErrMalformed
	}
	return b, nil
}
