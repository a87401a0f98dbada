package password

import (
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/sha1crypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// The most that a hash may cost. Each bound is some seconds of a small machine.
const (
	maxMemory  = 256 << 20 // octets
	maxRounds  = 1_000_000 // of SHA-crypt, PBKDF2, SCRAM
	maxBcrypt  = 14        // a cost of 2^14
	weakBcrypt = 9         // less than 2^9 takes no time today
	weakPBKDF2 = 100_000
)

// maxPhrase is the longest password that crypt(3) takes, in octets.
const maxPhrase = 511

// crypt reads what crypt(3) makes, by its prefix.
func crypt(raw []byte) (Stored, error) {
	text := string(raw)
	kind, _, ok := strings.Cut(strings.TrimPrefix(text, "$"), "$")
	if !ok || text[0] != '$' {
		return Stored{}, ErrScheme
	}
	switch kind {
	case "1":
		return digest("MD5-CRYPT", weakMD5Crypt, text, md5crypt.Decode)
	case "2a", "2b", "2y":
		return readBcrypt(text)
	case "5":
		return readSHACrypt("SHA256-CRYPT", text)
	case "6":
		return readSHACrypt("SHA512-CRYPT", text)
	case "7":
		return readScrypt(text)
	case "y":
		return readYescrypt(text)
	case "sha1":
		return readSHA1Crypt(text)
	case "argon2i", "argon2id":
		return readArgon2(raw)
	}
	return Stored{}, ErrScheme
}

// cryptOf reads what crypt(3) makes of one kind.
func cryptOf(name string) func([]byte) (Stored, error) {
	return func(raw []byte) (Stored, error) {
		if name == "MD5" {
			name = "MD5-CRYPT"
		}
		s, err := crypt(raw)
		if err == nil && s.scheme != name {
			return Stored{}, ErrMalformed
		}
		return s, err
	}
}

// digest reads a text with a decoder, whose errors may quote it.
func digest(name, weak, text string, decode func(string) (algorithm.Digest, error)) (Stored, error) {
	d, err := decode(text)
	if err != nil {
		return Stored{}, ErrMalformed
	}
	return Stored{scheme: name, weak: weak, fits: func(p string) bool {
		if len(p) > maxPhrase {
			return false
		}
		ok, err := d.MatchAdvanced(p)
		return err == nil && ok
	}}, nil
}

// readBcrypt reads "$2y$10$" and 53 characters.
func readBcrypt(text string) (Stored, error) {
	if len(text) != 60 || text[6] != '$' {
		return Stored{}, ErrMalformed
	}
	cost, err := strconv.ParseUint(text[4:6], 10, 8)
	switch {
	case err != nil || cost < 4:
		return Stored{}, ErrMalformed
	case cost > maxBcrypt:
		return Stored{}, ErrCostly
	}
	weak := ""
	if cost < weakBcrypt {
		weak = "bcrypt with a cost of " + text[4:6] + " only"
	}
	s, err := digest("BLF-CRYPT", weak, text, bcrypt.Decode)
	if fits := s.fits; fits != nil {
		s.fits = func(p string) bool { return fits(p[:min(len(p), 72)]) } // the rest never counted
	}
	return s, err
}

// readSHACrypt reads "$6$[rounds=N$]salt$hash".
func readSHACrypt(name, text string) (Stored, error) {
	parts := strings.Split(text, "$")
	if rounds, ok := strings.CutPrefix(parts[2], "rounds="); ok {
		if err := bounded(rounds, 1000, maxRounds); err != nil {
			return Stored{}, err
		}
		parts = append(parts[:2:2], parts[3:]...)
	}
	if size := map[string]int{"SHA256-CRYPT": 43, "SHA512-CRYPT": 86}[name]; len(parts) != 4 || len(parts[2]) > 16 || len(parts[3]) != size {
		return Stored{}, ErrMalformed
	}
	return digest(name, "", text, shacrypt.Decode)
}

// readSHA1Crypt reads "$sha1$rounds$salt$hash".
func readSHA1Crypt(text string) (Stored, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 5 || len(parts[3]) > 64 {
		return Stored{}, ErrMalformed
	}
	if err := bounded(parts[2], 1, maxRounds); err != nil {
		return Stored{}, err
	}
	return digest("SHA1-CRYPT", "", text, sha1crypt.Decode)
}

// readYescrypt reads "$y$jNr$salt$hash": N and r are one character each in all that
// crypt(3) makes.
func readYescrypt(text string) (Stored, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 5 || len(parts[2]) != 3 || parts[2][0] != 'j' || len(parts[3]) > 86 || len(parts[4]) != 43 {
		return Stored{}, ErrMalformed
	}
	n, r := digit64(parts[2][1])+1, digit64(parts[2][2])+1
	if n < 1 || r < 1 {
		return Stored{}, ErrMalformed
	}
	if n > 30 || uint64(128*r)<<n > maxMemory {
		return Stored{}, ErrCostly
	}
	return digest("YESCRYPT", "", text, scrypt.Decode)
}

// digits64 are those of crypt(3), from 0 to 63.
const digits64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// digit64 is the value of a digit, or less than -1 for none.
func digit64(c byte) int {
	if at := strings.IndexByte(digits64, c); at >= 0 {
		return at
	}
	return -2
}

// bounded checks a number of rounds.
func bounded(text string, least, most uint64) error {
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil && strings.Trim(text, "0123456789") == "" && text != "":
		return ErrCostly // a number of more than 64 bits
	case err != nil || n < least:
		return ErrMalformed
	case n > most:
		return ErrCostly
	}
	return nil
}
