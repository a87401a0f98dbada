package arc

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
)

// What can not be sealed.
var (
	// ErrEnded is a chain that takes no further set: it has 50, or has failed and says so.
	ErrEnded = errors.New("the chain has ended")
	// ErrUnknown is a chain that nobody has verified.
	ErrUnknown  = errors.New("nothing is known about the chain")
	errBegin    = errors.New("the header begins with what would belong to the field above it")
	errBodyHash = errors.New("the body has no SHA-256 hash")
)

// neverSigned are fields that the next server removes or adds to: an AMS that covers them
// does not hold (RFC 8617 §4.1.2).
var neverSigned = []string{"authentication-results", "arc-authentication-results", "arc-message-signature", "arc-seal", "received", "return-path"}

// Seal makes a set: three fields with their last CRLFs, to be put on top of the header. h is
// the header as it leaves without them, chain what was found out about its chain when it
// came, and found what was found out about the message; its ID names us. bodyHash is what
// f.Wants was answered with. Of the form, the canonical forms and the fields count; the
// DKIM-Signature fields are signed always.
//
// The key of the set is k's domain: who believes it believes our word, not that the message
// is ours (AUT-021).
func Seal(h message.Header, chain Status, found authres.Results, bodyHash []byte, k dkim.Key, f dkim.Form, now time.Time) ([]byte, error) {
	if len(bodyHash) != sha256.Size {
		return nil, errBodyHash
	}
	if len(h) > 0 && (h[0] == ' ' || h[0] == '\t') {
		return nil, errBegin
	}
	old, problem := collect(h)
	last, failed := highest(h)
	if err := mayFollow(last, failed, len(old) > 0 || problem != nil, chain); err != nil {
		return nil, err
	}
	domain, err := dkim.Domain(k.Domain)
	if err != nil {
		return nil, err
	}
	s := sealing{instance: last + 1, key: k, domain: domain, now: now}
	aar := found.ARCField(last + 1)
	ams, err := s.message(h, bodyHash, f)
	if err != nil {
		return nil, err
	}
	if chain == Fail {
		old = nil // RFC 8617 §5.1.2: as if it were the only one
	}
	as, err := s.seal(old, aar, ams, chain)
	if err != nil {
		return nil, err
	}
	return slices.Concat(as, ams, aar), nil
}

// mayFollow tells whether a set may be put on top of a chain, of which last is the highest
// instance, and which says itself that it has failed, or is there at all.
func mayFollow(last int, failed, there bool, chain Status) error {
	switch {
	case failed:
		return fmt.Errorf("%w: its newest seal says that it has failed", ErrEnded)
	case last >= maxSets:
		return fmt.Errorf("%w: it has %d sets", ErrEnded, last)
	case there != (chain != None), chain != None && chain != Pass && chain != Fail:
		return ErrUnknown
	}
	return nil
}

// sealing is a set that is being made.
type sealing struct {
	instance int
	key      dkim.Key
	domain   string
	now      time.Time
}

// begin writes what both signatures begin with.
func (s *sealing) begin(name string) *dkim.TagWriter {
	w := dkim.NewTagWriter(name)
	w.Tag("i", strconv.Itoa(s.instance))
	w.Tag("a", s.key.Algorithm())
	return w
}

// who writes whose it is, and when it was made.
func (s *sealing) who(w *dkim.TagWriter) {
	w.Tag("d", s.domain)
	w.Tag("s", s.key.Selector)
	w.Tag("t", strconv.FormatInt(s.now.Unix(), 10))
}

// message makes the AMS.
func (s *sealing) message(h message.Header, bodyHash []byte, f dkim.Form) ([]byte, error) {
	names := covered(h, f)
	w := s.begin(signatureField)
	w.Tag("c", f.Header.String()+"/"+f.Body.String())
	s.who(w)
	w.Names("h", names)
	w.Tag("bh", base64.StdEncoding.EncodeToString(bodyHash))
	field := w.Signature()
	b, err := s.key.Sign(dkim.NewFields(h).Hash(names, f.Header, append(field, "\r\n"...)))
	if err != nil {
		return nil, err
	}
	return dkim.AppendBase64(field, b), nil
}

// seal makes the AS.
func (s *sealing) seal(old []*set, aar, ams []byte, chain Status) ([]byte, error) {
	w := s.begin(sealField)
	s.who(w)
	w.Tag("cv", string(chain))
	field := w.Signature()
	whole := sha256.New()
	var buf []byte
	for _, o := range old {
		for _, raw := range [][]byte{o.results, o.message.raw, o.seal.raw} {
			buf = dkim.Relaxed.AppendField(buf[:0], raw)
			whole.Write(buf)
		}
	}
	whole.Write(dkim.Relaxed.AppendField(dkim.Relaxed.AppendField(nil, aar), ams))
	b, err := s.key.Sign(sealHash(whole, append(slices.Clone(field), "\r\n"...)))
	if err != nil {
		return nil, err
	}
	return dkim.AppendBase64(field, b), nil
}

// sealHash is the hash of all that came before a seal and of the seal without its b=. What
// came before can be written to still.
func sealHash(before hash.Hash, without []byte) []byte {
	clone, err := before.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // SHA-256 can be cloned
	}
	field := dkim.Relaxed.AppendField(nil, without)
	clone.Write(field[:len(field)-2])
	return clone.Sum(nil)
}

// covered is h= of an AMS: what DKIM covers, and the signatures that are there. Of what a
// reader takes for the truth none can be added: who brings a letter to somebody else under
// our seal must not give it another author.
func covered(h message.Header, f dkim.Form) (names []string) {
	fields, over := f.Fields, f.Oversign
	if fields == nil {
		fields = dkim.DefaultFields()
	}
	if over == nil {
		over = dkim.DefaultOversign()
	}
	there := make(map[string]int)
	for field := range h.Fields() {
		there[strings.ToLower(string(field.Name))]++
	}
	for _, name := range slices.Concat([]string{"From"}, fields, over, []string{"DKIM-Signature"}) {
		name = strings.ToLower(name)
		if slices.Contains(names, name) || slices.Contains(neverSigned, name) {
			continue
		}
		n := there[name]
		if name == "from" || slices.ContainsFunc(over, func(o string) bool { return strings.EqualFold(o, name) }) {
			n++
		}
		names = append(names, slices.Repeat([]string{name}, n)...)
	}
	return names
}
