package password

import (
	"crypto/md5"  //nolint:gosec // what others stored
	"crypto/sha1" //nolint:gosec // what others stored
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"strings"

	"facteur/internal/mail/sasl"
)

// encoding is how a scheme writes its octets when nothing else is said.
type encoding uint8

const (
	asText encoding = iota
	asHex
	asBase64
)

// scheme is how one kind of stored password is read.
type scheme struct {
	encoding encoding
	size     int // octets, where they are always as many
	weak     string
	read     func(raw []byte) (Stored, error)
}

// Why a scheme is weak, for people.
const (
	weakPlain    = "the password is kept as it is"
	weakUnsalted = "a fast hash without salt"
	weakFast     = "a fast hash, made to be fast"
	weakMD5Crypt = "MD5, a thousand times only"
	weakContext  = "it is as good as the password for CRAM-MD5"
)

// Known tells whether there is a scheme of this name, in any case, perhaps with an
// encoding behind a dot.
func Known(name string) bool {
	name, _, _ = strings.Cut(strings.ToUpper(name), ".")
	_, ok := schemeOf(name)
	return ok
}

// schemeOf gives a scheme by its name in capitals.
func schemeOf(name string) (scheme, bool) {
	switch name {
	case "PLAIN", "CLEAR", "CLEARTEXT":
		return scheme{weak: weakPlain, read: plain}, true
	case "CRYPT":
		return scheme{read: crypt}, true
	case "MD5-CRYPT", "MD5", "BLF-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT":
		return scheme{read: cryptOf(name)}, true
	case "ARGON2I", "ARGON2ID":
		return scheme{read: readArgon2}, true
	case "PBKDF2":
		return scheme{read: readPBKDF2}, true
	case sasl.SCRAMSHA1:
		return scheme{read: readSCRAM(sasl.SHA1)}, true
	case sasl.SCRAMSHA256:
		return scheme{read: readSCRAM(sasl.SHA256)}, true
	case "CRAM-MD5", "HMAC-MD5":
		return scheme{encoding: asHex, weak: weakContext, read: readContext}, true
	}
	return digestOf(name)
}

// digestOf gives the schemes that hash once.
func digestOf(name string) (scheme, bool) {
	switch name {
	case "SHA", "SHA1":
		return unsalted(asBase64, sha1.New), true
	case "SHA256":
		return unsalted(asBase64, sha256.New), true
	case "SHA512":
		return unsalted(asBase64, sha512.New), true
	case "PLAIN-MD5":
		return unsalted(asHex, md5.New), true
	case "LDAP-MD5":
		return unsalted(asBase64, md5.New), true
	case "SMD5":
		return salted(md5.New), true
	case "SSHA":
		return salted(sha1.New), true
	case "SSHA256":
		return salted(sha256.New), true
	case "SSHA512":
		return salted(sha512.New), true
	}
	return scheme{}, false
}

func plain(raw []byte) (Stored, error) {
	if len(raw) == 0 {
		return Stored{}, ErrMalformed // an empty password opens nothing
	}
	return Stored{fits: func(p string) bool { return equal([]byte(p), raw) }}, nil
}

func unsalted(e encoding, h func() hash.Hash) scheme {
	return scheme{encoding: e, size: h().Size(), weak: weakUnsalted, read: func(raw []byte) (Stored, error) {
		if len(raw) != h().Size() {
			return Stored{}, ErrMalformed
		}
		return Stored{fits: func(p string) bool { return equal(sum(h, p, nil), raw) }}, nil
	}}
}

// salted is the hash of the password and a salt, and then the salt.
func salted(h func() hash.Hash) scheme {
	return scheme{encoding: asBase64, weak: weakFast, read: func(raw []byte) (Stored, error) {
		size := h().Size()
		if len(raw) <= size {
			return Stored{}, ErrMalformed
		}
		return Stored{fits: func(p string) bool { return equal(sum(h, p, raw[size:]), raw[:size]) }}, nil
	}}
}

func sum(h func() hash.Hash, password string, salt []byte) []byte {
	s := h()
	s.Write([]byte(password))
	s.Write(salt)
	return s.Sum(nil)
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
