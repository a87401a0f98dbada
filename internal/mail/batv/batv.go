// Package batv marks the reverse-path of mail that leaves, so that a notice about mail
// that we never sent is told by its lack of the mark (Bounce Address Tag Validation,
// draft-levine-smtp-batv-01, the scheme "prvs").
//
//	bob@example.org → prvs=KDDDSSSSSS=bob@example.org
//
// K is the number of the key, here always 0, as all keys are tried; DDD the last three
// digits of the day, counted from 1970, on which the mark expires; SSSSSS the first three
// octets, in hexadecimal, of an HMAC-SHA1 over K, DDD and the address in lower case.
package batv

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Days is for how many days a mark is good: longer than mail is tried (five days).
const Days = 7

// Why a mark is not believed.
var (
	// ErrUnsigned: there is none.
	ErrUnsigned = errors.New("address without a mark")
	// ErrSignature: it is not ours.
	ErrSignature = errors.New("address with a wrong mark")
	// ErrExpired: it is too old.
	ErrExpired = errors.New("address with a mark that has expired")
	// ErrTooLong: with it, the address would be longer than one may be.
	ErrTooLong = errors.New("address too long for a mark")
)

// Keys sign and verify: the first signs, all verify.
type Keys [][]byte

const (
	tag    = "prvs="
	tagLen = len("KDDDSSSSSS")
	slots  = 1000
)

// Cut takes the mark off; ok tells that there was one, good or not.
func Cut(a address.Address) (bare address.Address, mark string, ok bool) {
	if len(a.Local) < len(tag)+tagLen+2 || !strings.EqualFold(a.Local[:len(tag)], tag) {
		return a, "", false
	}
	mark, local := a.Local[len(tag):len(tag)+tagLen], a.Local[len(tag)+tagLen:]
	if local[0] != '=' || !isMark(mark) {
		return a, "", false
	}
	return address.Address{Local: local[1:], Domain: a.Domain}, mark, true
}

// isMark tells KDDDSSSSSS.
func isMark(s string) bool {
	for i := 0; i < len(s); i++ {
		digit, letter := s[i] >= '0' && s[i] <= '9', s[i]|0x20 >= 'a' && s[i]|0x20 <= 'f'
		if !digit && (i < 4 || !letter) {
			return false
		}
	}
	return true
}

// Sign marks an address.
func (k Keys) Sign(a address.Address, now time.Time) (address.Address, error) {
	when := fmt.Sprintf("0%03d", (day(now)+Days)%slots)
	out := address.Address{Local: tag + when + signature(k[0], when, a) + "=" + a.Local, Domain: a.Domain}
	if read, err := address.Parse(out.String()); err != nil || read != out {
		return a, ErrTooLong
	}
	return out, nil
}

// CanSign tells whether there is room for a mark. Whom nobody can mark, a notice finds
// without.
func CanSign(a address.Address) bool {
	a.Local = tag + strings.Repeat("0", tagLen) + "=" + a.Local
	read, err := address.Parse(a.String())
	return err == nil && read == a
}

// Verify gives the address without its mark, and whether that is ours; the address even
// with an error.
func (k Keys) Verify(a address.Address, now time.Time) (address.Address, error) {
	bare, mark, ok := Cut(a)
	if !ok {
		return a, ErrUnsigned
	}
	when, given := mark[:4], []byte(strings.ToLower(mark[4:]))
	good := 0
	for _, key := range k {
		good |= subtle.ConstantTimeCompare(given, []byte(signature(key, when, bare)))
	}
	if good != 1 {
		return bare, ErrSignature
	}
	expires, _ := strconv.Atoi(when[1:]) // isMark saw that these are digits
	if left := (expires - day(now) + slots) % slots; left > Days {
		return bare, ErrExpired
	}
	return bare, nil
}

func signature(key []byte, when string, a address.Address) string {
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(when))
	mac.Write([]byte(strings.ToLower(a.Local + "@" + a.Domain)))
	return hex.EncodeToString(mac.Sum(nil)[:3])
}

func day(t time.Time) int { return int(t.Unix()/(24*60*60)) % slots }
