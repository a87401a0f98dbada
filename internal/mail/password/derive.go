package password

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what others stored
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // what others stored
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"golang.org/x/crypto/scrypt"

	"facteur/internal/mail/sasl"
)

// readArgon2 reads "$argon2id$v=19$m=65536,t=3,p=1$salt$hash".
func readArgon2(raw []byte) (Stored, error) {
	parts := strings.Split(string(raw), "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return Stored{}, ErrMalformed
	}
	name := map[string]string{"argon2i": "ARGON2I", "argon2id": "ARGON2ID"}[parts[1]]
	m, t, p, ok := argon2Cost(parts[3])
	switch {
	case name == "" || !ok || m < 8*p || t < 1 || p < 1:
		return Stored{}, ErrMalformed
	case m > maxMemory>>10 || p > 16 || t > 1<<20 || m*t > 8*maxMemory>>10:
		return Stored{}, ErrCostly
	}
	s, err := digest(name, "", string(raw), argon2.Decode)
	return s, err
}

// argon2Cost reads "m=65536,t=3,p=1": KiB, passes and lanes.
func argon2Cost(text string) (m, t, p uint64, ok bool) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	for i, to := range []*uint64{&m, &t, &p} {
		value, named := strings.CutPrefix(parts[i], "mtp"[i:i+1]+"=")
		n, err := strconv.ParseUint(value, 10, 32)
		if !named || err != nil {
			return 0, 0, 0, false
		}
		*to = n
	}
	return m, t, p, true
}

// readPBKDF2 reads "$1$salt$rounds$hash": PBKDF2 with SHA-1, the hash in hexadecimal.
func readPBKDF2(raw []byte) (Stored, error) {
	parts := strings.Split(string(raw), "$")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "1" || parts[2] == "" {
		return Stored{}, ErrMalformed
	}
	if err := bounded(parts[3], 1, maxRounds); err != nil {
		return Stored{}, err
	}
	want, err := hex.DecodeString(parts[4])
	if err != nil || len(want) != sha1.Size {
		return Stored{}, ErrMalformed
	}
	rounds, _ := strconv.Atoi(parts[3]) // bounded read it
	s := Stored{fits: func(p string) bool {
		key, err := pbkdf2.Key(sha1.New, p, []byte(parts[2]), rounds, sha1.Size)
		return err == nil && equal(key, want)
	}}
	if rounds < weakPBKDF2 {
		s.weak = fmt.Sprintf("PBKDF2 with %d rounds only", rounds)
	}
	return s, nil
}

// readSCRAM reads "rounds,salt,StoredKey,ServerKey", the last three in base64.
func readSCRAM(h sasl.Hash) func([]byte) (Stored, error) {
	return func(raw []byte) (Stored, error) {
		parts := strings.Split(string(raw), ",")
		if len(parts) != 4 {
			return Stored{}, ErrMalformed
		}
		if err := bounded(parts[0], 1, maxRounds); err != nil {
			return Stored{}, err
		}
		keys, err := sasl.ParseKeys(fmt.Sprintf("%s$%s:%s$%s:%s", h, parts[0], parts[1], parts[2], parts[3]))
		if err != nil {
			return Stored{}, ErrMalformed
		}
		return Stored{fits: func(p string) bool {
			made, err := sasl.MakeKeys(h, p, keys.Salt, keys.Iterations)
			return err == nil && equal(made.StoredKey, keys.StoredKey)
		}}, nil
	}
}

// readContext reads what Dovecot keeps for CRAM-MD5: the state of the outer half of
// HMAC-MD5 and then that of the inner one, each word with its lowest octet first.
func readContext(want []byte) (Stored, error) {
	if len(want) != 2*md5.Size {
		return Stored{}, ErrMalformed
	}
	return Stored{fits: func(p string) bool {
		ours, err := hex.DecodeString(sasl.MakeMD5Context(p).Encode())
		return err == nil && equal(turned(ours), want)
	}}, nil
}

// turned exchanges the halves of a context and turns its words round.
func turned(context []byte) []byte {
	half := len(context) / 2
	out := append(bytes.Clone(context[half:]), context[:half]...)
	for word := range slices.Chunk(out, 4) {
		slices.Reverse(word)
	}
	return out
}

// readScrypt reads "$7$", one digit for the logarithm of N, five each for r and p, the
// salt up to the next "$", and the hash.
func readScrypt(text string) (Stored, error) {
	head, hash, ok := strings.Cut(text[3:], "$")
	if !ok || len(head) < 11 || len(head) > 11+86 || len(hash) != 43 {
		return Stored{}, ErrMalformed
	}
	n, r, p := digit64(head[0]), number64(head[1:6]), number64(head[6:11])
	switch {
	case n < 1 || r < 1 || p < 1:
		return Stored{}, ErrMalformed
	case n > 30 || r > 1<<16 || p > 1<<16 || uint64(128*r)<<n > maxMemory || uint64(128*r*p)<<n > 4*maxMemory:
		return Stored{}, ErrCostly
	}
	return Stored{scheme: "SCRYPT", fits: func(password string) bool {
		if len(password) > maxPhrase {
			return false
		}
		key, err := scrypt.Key([]byte(password), []byte(head[11:]), 1<<n, r, p, 32)
		return err == nil && equal(encode64(key), []byte(hash))
	}}, nil
}

// number64 reads five digits, the lowest first; less than 0 for none.
func number64(text string) (n int) {
	for i := range len(text) {
		d := digit64(text[i])
		if d < 0 {
			return -1
		}
		n |= d << (6 * i)
	}
	return n
}

// encode64 writes octets in the digits of crypt(3), three in four, the lowest first.
func encode64(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		value, bits := 0, 0
		for ; bits < 24 && len(b) > 0; bits += 8 {
			value |= int(b[0]) << bits
			b = b[1:]
		}
		for ; bits > 0; bits -= 6 {
			out = append(out, digits64[value&63])
			value >>= 6
		}
	}
	return out
}
