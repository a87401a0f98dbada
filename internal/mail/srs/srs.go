// Package srs is the Sender Rewriting Scheme: a reverse-path that names us, so that the
// next host may take a forwarded message from us (SPF), and that brings its bounces back
// through us to whom they are for.
//
//	alice@example.org      → SRS0=HHHH=TT=example.org=alice@srs.example.net
//	SRS0=…@other.example   → SRS1=HHHH=other.example==…@srs.example.net
//	SRS1=…=host==…@other   → SRS1=HHHH=host==…@srs.example.net
//
// HHHH are the first characters, in base64, of an HMAC-SHA1 over what follows, folded to
// lower case; TT is the day in two characters of base32. Nobody but us can make such an
// address, and none is good for ever: it is no way to relay. An address that was
// rewritten twice keeps the host of the first rewriter alone, to whom a bounce goes
// straight.
//
// The scheme, its order of hashed parts and its alphabets are those of libsrs2 and of
// postsrsd: each reads what the other wrote, as long as they share a secret.
//
// There is no standard; the scheme is described in M. Wong's and S. Haigh's papers on SRS.
package srs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

const (
	// DefaultHash is how many characters of the hash stand in an address: libsrs2's.
	DefaultHash = 4
	// DefaultDays is for how many days an address is good: libsrs2's.
	DefaultDays = 21
	// MaxHash is the whole of an HMAC-SHA1 in base64, without padding.
	MaxHash = 27
	// MaxDays is the longest time that two characters can tell from the past.
	MaxDays = 1000
)

// Why an address was not reversed, or not made.
var (
	// ErrForeign: it is no rewritten address of this domain.
	ErrForeign = errors.New("not an SRS address of ours")
	// ErrSyntax: it begins as one, and is none.
	ErrSyntax = errors.New("malformed SRS address")
	// ErrHash: it was not made with one of our secrets.
	ErrHash = errors.New("SRS address with a wrong hash")
	// ErrExpired: it was made too long ago.
	ErrExpired = errors.New("SRS address that has expired")
	// ErrTooLong: what would come out is longer than an address may be (RFC 5321
	// §4.5.3.1: 64 octets of local part).
	ErrTooLong = errors.New("address too long for SRS")
)

// Scheme is how one server rewrites. It is not changed once it is in use.
type Scheme struct {
	// Domain is what rewritten addresses have, in A-labels.
	Domain string
	// Secrets are the keys: the first signs, all verify. There is at least one.
	Secrets [][]byte
	// Hash is how many characters sign, 4 to MaxHash; fewer are not accepted.
	Hash int
	// Days is for how many days an address is good, 1 to MaxDays.
	Days int
}

// The parts of rewritten addresses. The separator behind the tag may be any of three when
// read; "=" is ours. Between the parts there is always "=".
const (
	tag0       = "SRS0"
	tag1       = "SRS1"
	separators = "=+-"
)

// Is tells whether an address looks like one that a server rewrote, whoever it was.
func Is(a address.Address) bool {
	_, _, ok := cutTag(a.Local)
	return ok
}

// cutTag cuts "SRS0=" or "SRS1=" off.
func cutTag(local string) (tag, rest string, ok bool) {
	if len(local) <= len(tag0) || strings.IndexByte(separators, local[len(tag0)]) < 0 {
		return "", "", false
	}
	switch tag = strings.ToUpper(local[:len(tag0)]); tag {
	case tag0, tag1:
		return tag, local[len(tag0)+1:], true
	}
	return "", "", false
}

// Forward is the reverse-path under which a message from a goes on. One that is in the
// domain of the scheme stays as it is, and so does the null path.
func (s *Scheme) Forward(a address.Address, now time.Time) (address.Address, error) {
	if a.IsNull() || a.Domain == s.Domain {
		return a, nil
	}
	return s.fits(s.rewritten(a, now))
}

func (s *Scheme) rewritten(a address.Address, now time.Time) string {
	switch tag, rest, _ := cutTag(a.Local); tag {
	case tag0:
		// The separator that its maker likes goes with it.
		return s.again(a.Domain, a.Local[len(tag0):])
	case tag1:
		if _, host, user, ok := cutAgain(rest); ok {
			if _, err := original(tag0+user, host); err == nil {
				return s.again(host, user)
			}
		}
	}
	stamp := stampOf(day(now))
	return tag0 + "=" + s.sign(stamp, a.Domain, a.Local) + "=" + stamp + "=" + a.Domain + "=" + a.Local
}

// again is the local part for what host had rewritten before; user begins with its separator.
func (s *Scheme) again(host, user string) string {
	return tag1 + "=" + s.sign(host, user) + "=" + host + "=" + user
}

// fits is the address with a local part, if there can be one. What comes back in a RCPT is
// read by the grammar of the envelope, and has to be there whole.
func (s *Scheme) fits(local string) (address.Address, error) {
	out := address.Address{Local: local, Domain: s.Domain}
	if read, err := address.Parse(out.String()); err != nil || read != out {
		return address.Address{}, ErrTooLong
	}
	return out, nil
}

// Reverse is who gets a bounce that came for a rewritten address. What passed here twice,
// with somebody else's hop between, was rewritten twice.
func (s *Scheme) Reverse(a address.Address, now time.Time) (address.Address, error) {
	back, err := s.reverse(a, now)
	if err == nil && back.Domain == s.Domain && Is(back) {
		back, err = s.reverse(back, now)
	}
	return back, err
}

func (s *Scheme) reverse(a address.Address, now time.Time) (address.Address, error) {
	tag, rest, ok := cutTag(a.Local)
	switch {
	case !ok || a.Domain != s.Domain:
		return address.Address{}, ErrForeign
	case tag == tag0:
		return s.reverse0(rest, now)
	}
	return s.reverse1(rest)
}

func (s *Scheme) reverse0(rest string, now time.Time) (address.Address, error) {
	parts := strings.SplitN(rest, "=", 4)
	if len(parts) < 4 || parts[2] == "" {
		return address.Address{}, ErrSyntax
	}
	hash, stamp, host, user := parts[0], parts[1], parts[2], parts[3]
	made, ok := dayOf(stamp)
	switch {
	case !ok:
		return address.Address{}, ErrSyntax
	case !s.signed(hash, stamp, host, user):
		return address.Address{}, ErrHash
	case age(made, now) > s.Days:
		return address.Address{}, ErrExpired
	}
	return original(user, host)
}

func (s *Scheme) reverse1(rest string) (address.Address, error) {
	hash, host, user, ok := cutAgain(rest)
	switch {
	case !ok:
		return address.Address{}, ErrSyntax
	case !s.signed(hash, host, user):
		return address.Address{}, ErrHash
	}
	return original(tag0+user, host)
}

// original is the address that comes out. Its domain was canonical when it went in, but a
// host on the way may have changed its case.
func original(user, host string) (address.Address, error) {
	out := address.Address{Local: user, Domain: strings.ToLower(host)}
	if read, err := address.Parse(out.String()); err != nil || read != out {
		return address.Address{}, ErrSyntax
	}
	return out, nil
}

// cutAgain cuts what follows "SRS1=": hash, host and, with its separator, the rest.
func cutAgain(rest string) (hash, host, user string, ok bool) {
	parts := strings.SplitN(rest, "=", 3)
	if len(parts) < 3 || parts[1] == "" || len(parts[2]) < 2 || strings.IndexByte(separators, parts[2][0]) < 0 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

func (s *Scheme) sign(parts ...string) string { return hash(s.Secrets[0], parts)[:s.Hash] }

// signed compares with each of the secrets, in a time that says nothing of where they
// differ. Case does not count: there are hosts that change it.
func (s *Scheme) signed(given string, parts ...string) bool {
	if len(given) < s.Hash || len(given) > MaxHash {
		return false
	}
	given = strings.ToLower(given)
	good := 0
	for _, secret := range s.Secrets {
		want := strings.ToLower(hash(secret, parts)[:len(given)])
		good |= subtle.ConstantTimeCompare([]byte(given), []byte(want))
	}
	return good == 1
}

func hash(secret []byte, parts []string) string {
	mac := hmac.New(sha1.New, secret)
	for _, part := range parts {
		mac.Write(lower(part))
	}
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil))
}

// lower folds ASCII alone: what other letters look like in another case is not known to
// everybody on the way.
func lower(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
