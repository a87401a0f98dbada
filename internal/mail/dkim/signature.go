package dkim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signature is a DKIM-Signature field that was read (RFC 6376 §3.5).
type signature struct {
	raw    []byte // the whole field
	result Result // what is known before the DNS was asked; Status "" while nothing is wrong

	kind, hash string // the halves of a=
	b, bh      []byte
	limit      int64 // l=; -1: none
	digest     Digest
}

// refused is a result that is known from the field alone.
type refused struct {
	status Status
	reason string
}

// Error is the reason.
func (r *refused) Error() string { return r.reason }

func permanent(reason string) error { return &refused{PermError, reason} }

// readSignature reads a field, raw and its value. What is wrong with it stands in
// its result.
func readSignature(raw, value []byte) *signature {
	s := &signature{raw: raw, limit: -1}
	tags, err := ParseTags(value)
	if err == nil {
		err = s.read(tags)
	}
	s.conclude(err)
	return s
}

// conclude keeps what is wrong. A field that does not follow the grammar is
// "neutral" (RFC 8601 §2.7.1).
func (s *signature) conclude(err error) {
	if err == nil || s.result.Status != "" {
		return
	}
	s.result.Status, s.result.Reason = Neutral, "the signature field can not be read: "+err.Error()
	if r := (*refused)(nil); errors.As(err, &r) {
		s.result.Status, s.result.Reason = r.status, r.reason
	}
}

// read takes the tags in. Who it was is taken first, so that a result can tell it
// whatever else is wrong.
func (s *signature) read(tags Tags) error {
	s.who(tags)
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if _, ok := tags.Get(name); !ok {
			return fmt.Errorf("it has no %s=", name)
		}
	}
	for _, step := range []func(Tags) error{s.readForm, s.readHashes, s.readTimes, s.readLimit, s.readNames, s.readOwner} {
		if err := step(tags); err != nil {
			return err
		}
	}
	return nil
}

func (s *signature) who(tags Tags) {
	r := &s.result
	r.Domain, _ = tags.Get("d")
	r.Selector, _ = tags.Get("s")
	r.Identity, _ = tags.Get("i")
	r.Algorithm, _ = tags.Get("a")
	b, _ := tags.Get("b")
	b = solid(b)
	r.B = b[:min(len(b), 8)]
	if d, err := Domain(r.Domain); err == nil {
		r.Domain = d
	}
	r.Selector = strings.ToLower(r.Selector)
	for _, told := range []*string{&r.Domain, &r.Selector, &r.Identity, &r.Algorithm} {
		*told = (*told)[:min(len(*told), maxTold)]
	}
}

// maxTold is how much of a name is told, in bytes. It is more than any name has that
// can stand in the DNS: what is cut is none.
const maxTold = 320

// readForm reads v=, a=, c= and q=.
func (s *signature) readForm(tags Tags) error {
	if v, _ := tags.Get("v"); v != "1" {
		return errors.New("its version (v=) is not 1")
	}
	s.result.Algorithm = strings.ToLower(s.result.Algorithm)
	s.kind, s.hash, _ = strings.Cut(s.result.Algorithm, "-")
	if c, ok := tags.Get("c"); !ok {
		s.result.Header, s.result.Body = Simple, Simple
	} else if s.result.Header, s.result.Body, ok = ParseCanons(c); !ok {
		return errors.New("its canonical form (c=) is unknown")
	}
	if q, ok := tags.Get("q"); ok && !slices.Contains(Names(q), "dns/txt") {
		return errors.New("its key is not in the DNS (q=)")
	}
	return s.algorithm()
}

// algorithm refuses what is not believed. SHA-1 has failed for good (RFC 8301 §3.1).
func (s *signature) algorithm() error {
	switch s.result.Algorithm {
	case "rsa-sha256", "ed25519-sha256":
		return nil
	case "rsa-sha1":
		return &refused{Fail, "it is made with SHA-1, which proves nothing any more (rsa-sha1)"}
	}
	return errors.New("its algorithm (a=) is unknown")
}

// ParseCanons reads c=: the form of the header and that of the body, which is
// simple where it is not said.
func ParseCanons(c string) (header, body Canon, ok bool) {
	h, b, found := strings.Cut(strings.ToLower(c), "/")
	if !found {
		b = "simple"
	}
	header, ok1 := parseCanon(strings.Trim(h, fws))
	body, ok2 := parseCanon(strings.Trim(b, fws))
	return header, body, ok1 && ok2
}

func parseCanon(word string) (Canon, bool) {
	switch word {
	case "simple":
		return Simple, true
	case "relaxed":
		return Relaxed, true
	}
	return Relaxed, false
}

func (s *signature) readHashes(tags Tags) (err error) {
	bh, _ := tags.Get("bh")
	if s.bh, err = decodeBase64(solid(bh)); err != nil || len(s.bh) != 32 {
		return errors.New("its body hash (bh=) is no SHA-256 hash in base64")
	}
	b, _ := tags.Get("b")
	if s.b, err = decodeBase64(solid(b)); err != nil || len(s.b) == 0 {
		return errors.New("its signature (b=) is not in base64")
	}
	return nil
}

func (s *signature) readTimes(tags Tags) error {
	t, err := tags.number("t")
	if err != nil {
		return err
	}
	x, err := tags.number("x")
	if err != nil {
		return err
	}
	if t >= 0 {
		s.result.Time = time.Unix(t, 0).UTC()
	}
	if x >= 0 {
		s.result.Expires = time.Unix(x, 0).UTC()
	}
	if t >= 0 && x >= 0 && x <= t {
		return errors.New("it expires (x=) before it was made (t=)")
	}
	return nil
}

func (s *signature) readLimit(tags Tags) (err error) {
	s.limit, err = tags.number("l")
	return err
}

// number is a tag of digits; -1 when it is not there. Numbers that no calendar and
// no body can have are cut at a billion years.
func (t Tags) number(name string) (int64, error) {
	value, ok := t.Get(name)
	if !ok {
		return -1, nil
	}
	if value == "" || len(value) > 76 || strings.Trim(value, "0123456789") != "" {
		return 0, fmt.Errorf("%s= is no number", name)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n > math.MaxInt64>>10 {
		n = math.MaxInt64 >> 10
	}
	return n, nil
}

// readNames reads h=, which must have From (RFC 6376 §5.4).
func (s *signature) readNames(tags Tags) error {
	h, _ := tags.Get("h")
	s.result.Signed = Names(h)
	if slices.Contains(s.result.Signed, "") {
		return errors.New("a name in h= is empty")
	}
	if !slices.Contains(s.result.Signed, "from") {
		return permanent("it does not cover the From field")
	}
	return nil
}

// readOwner checks d=, s= and i= (RFC 6376 §6.1.1).
func (s *signature) readOwner(tags Tags) error {
	r := &s.result
	if i, _ := tags.Get("i"); len(i) > maxTold {
		return permanent("its identity (i=) is longer than any address")
	}
	if _, err := Name(r.Selector, r.Domain); err != nil {
		return permanent(err.Error())
	}
	if r.Identity == "" {
		r.Identity = "@" + r.Domain
		return nil
	}
	of := identityDomain(r.Identity)
	if of != r.Domain && !strings.HasSuffix(of, "."+r.Domain) {
		return permanent("its identity (i=) is not of the signing domain (d=)")
	}
	return nil
}

// identityDomain is the domain of i=; "" when it has none.
func identityDomain(i string) string {
	at := strings.LastIndexByte(i, '@')
	if at < 0 {
		return ""
	}
	name, err := Domain(i[at+1:])
	if err != nil {
		return ""
	}
	return name
}
