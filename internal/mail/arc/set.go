package arc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
)

// set is the three fields of an instance.
type set struct {
	instance int
	results  []byte // the whole field
	text     string // its value, unfolded
	message  signed
	seal     signed
	cv       Status
	digest   dkim.Digest
}

// signed is an AMS or an AS.
type signed struct {
	raw       []byte // the whole field
	value     []byte
	tags      dkim.Tags
	domain    string
	selector  string
	algorithm string
	b, bh     []byte
	names     []string // h=
	header    dkim.Canon
	body      dkim.Canon
	made, end time.Time // t=, x=
}

// take keeps a field.
func (s *set) take(f message.Field, k kind, h message.Header) error {
	raw := h[f.Start:f.End]
	var place *signed
	switch k {
	case results:
		if s.results != nil {
			return fmt.Errorf("there is more than one %s", resultsField)
		}
		s.results, s.text = raw, f.Text()
		return nil
	case signature:
		place = &s.message
	default:
		place = &s.seal
	}
	if place.raw != nil {
		return fmt.Errorf("there is more than one %s", f.Name)
	}
	place.raw, place.value = raw, f.Value
	var err error
	place.tags, err = dkim.ParseTags(f.Value)
	return err
}

// whole tells whether all three fields are there.
func (s *set) whole() error {
	switch {
	case s.results == nil:
		return errors.New("it has no " + resultsField)
	case s.message.raw == nil:
		return errors.New("it has no " + signatureField)
	case s.seal.raw == nil:
		return errors.New("it has no " + sealField)
	}
	return nil
}

// read reads all of the fields.
func (s *set) read() error {
	if err := s.message.read(); err != nil {
		return fmt.Errorf("%s: %w", signatureField, err)
	}
	if err := s.message.readMessage(); err != nil {
		return fmt.Errorf("%s: %w", signatureField, err)
	}
	if err := s.seal.read(); err != nil {
		return fmt.Errorf("%s: %w", sealField, err)
	}
	if err := s.readSeal(); err != nil {
		return fmt.Errorf("%s: %w", sealField, err)
	}
	return nil
}

// read takes in what both signatures have.
func (s *signed) read() error {
	if hasEmptyTag(s.value) {
		return errors.New("a tag in it is empty")
	}
	for _, name := range []string{"a", "b", "d", "s"} {
		if v, ok := s.tags.Get(name); !ok || v == "" {
			return errors.New("it has no " + name + "=")
		}
	}
	s.algorithm, _ = s.tags.Get("a")
	if s.algorithm != "rsa-sha256" && s.algorithm != "ed25519-sha256" {
		return errors.New("its algorithm (a=) is not believed")
	}
	if err := s.readOwner(); err != nil {
		return err
	}
	b, _ := s.tags.Get("b")
	var err error
	if s.b, err = decode(b); err != nil {
		return errors.New("its signature (b=) is not in base64")
	}
	s.made, err = instant(s.tags, "t")
	return err
}

func (s *signed) readOwner() (err error) {
	d, _ := s.tags.Get("d")
	s.selector, _ = s.tags.Get("s")
	if s.domain, err = dkim.Domain(d); err != nil {
		return err
	}
	s.selector = strings.ToLower(s.selector)
	_, err = dkim.Name(s.selector, s.domain)
	return err
}

// instant reads a tag of seconds since 1970; zero where there is none.
func instant(tags dkim.Tags, name string) (time.Time, error) {
	text, ok := tags.Get(name)
	if !ok {
		return time.Time{}, nil
	}
	n, err := strconv.ParseUint(text, 10, 40)
	if err != nil {
		return time.Time{}, errors.New("its " + name + "= is no time")
	}
	return time.Unix(int64(n), 0).UTC(), nil
}

// readMessage takes in what an AMS has beside. It may cover anything, nothing too, but no
// seal (RFC 8617 §4.1.2): that one comes later.
func (s *signed) readMessage() (err error) {
	bh, _ := s.tags.Get("bh")
	if s.bh, err = decode(bh); err != nil || len(s.bh) != 32 {
		return errors.New("its body hash (bh=) is no SHA-256 hash in base64")
	}
	h, ok := s.tags.Get("h")
	if !ok {
		return errors.New("it has no h=")
	}
	if s.names = dkim.Names(h); slices.Contains(s.names, strings.ToLower(sealField)) {
		return errors.New("it covers a seal, which must not be (h=)")
	}
	// Without c= it is relaxed, other than in DKIM: so do those who seal (and the suite).
	s.header, s.body = dkim.Relaxed, dkim.Relaxed
	if c, ok := s.tags.Get("c"); ok {
		if s.header, s.body, ok = dkim.ParseCanons(c); !ok {
			return errors.New("its canonical form (c=) is unknown")
		}
	}
	if _, ok := s.tags.Get("l"); ok {
		return errors.New("it covers only a part of the body (l=)")
	}
	s.end, err = instant(s.tags, "x")
	return err
}

// readSeal takes in what an AS has beside, and holds it against its place.
func (s *set) readSeal() error {
	if _, ok := s.seal.tags.Get("h"); ok {
		return errors.New("it has h=, which must not be")
	}
	cv, _ := s.seal.tags.Get("cv")
	switch s.cv = Status(cv); {
	case s.instance == 1 && s.cv != None:
		return errors.New("it is the first, and does not say cv=none")
	case s.instance > 1 && s.cv != Pass:
		return errors.New("it is not the first, and does not say cv=pass")
	}
	return nil
}

// told is the set for those who ask.
func (s *set) told() Set {
	out := Set{Instance: s.instance, Domain: s.seal.domain, Selector: s.seal.selector, Algorithm: s.seal.algorithm, Chain: s.cv, Time: s.seal.made}
	if _, r, err := authres.ParseARC(s.text); err == nil || len(r.Methods) > 0 {
		out.Results = &r
	}
	return out
}

// hasEmptyTag tells a list with nothing between two semicolons, which DKIM's readers put up
// with, and ARC's don't.
func hasEmptyTag(list []byte) bool {
	for {
		tag, rest, more := bytes.Cut(list, []byte(";"))
		if !more {
			return false
		}
		if len(bytes.TrimSpace(tag)) == 0 {
			return true
		}
		list = rest
	}
}

var unfold = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")

func decode(text string) ([]byte, error) {
	out, err := base64.StdEncoding.DecodeString(unfold.Replace(text))
	if err == nil && len(out) == 0 {
		err = errors.New("it is empty")
	}
	return out, err
}
