package sign

import (
	"errors"
	"io"
	"time"

	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
)

// headerMax is how much of a message is looked at as its header, in bytes. One with a
// longer header leaves as it is.
const headerMax = 256 << 10

// Resigned is a letter of ours that was changed at departure: Head stands instead of its
// first bytes, Instead of them. Without a Head it leaves as it is.
type Resigned struct {
	Signature
	Head    []byte
	Instead int64
}

// Resign signs what goes over the wire: r reads that from its start, and stands there
// again afterwards. The signatures of ours that it bore, and that do not hold any more,
// are taken off; those of others stay. It is for letters of insiders and of the server.
// barred is asked as in Letter.Sign: who has no right to an author's signature when a
// letter comes has none when it leaves. Its error is given back.
func (s *Signer) Resign(r io.ReadSeeker, barred Barred, now time.Time) (out Resigned, err error) {
	if s == nil || !s.rules().Enabled {
		return out, nil
	}
	out, err = s.resign(r, barred, now)
	if _, again := r.Seek(0, io.SeekStart); err == nil {
		err = again
	}
	return out, err
}

func (s *Signer) resign(r io.Reader, barred Barred, now time.Time) (out Resigned, err error) {
	h, rest, err := message.ReadHeader(r, headerMax)
	if errors.Is(err, message.ErrHeaderTooLong) {
		return out, nil
	} else if err != nil {
		return out, err
	}
	body, fresh := dkim.NewBody(), s.withoutOurs(h)
	letter := s.Open(fresh, body)
	if _, err := io.Copy(body, rest); err != nil {
		return out, err
	}
	if out.Signature, err = letter.Sign(fresh, func() io.Reader { return rest }, barred, now); err != nil {
		return out, err
	}
	if len(out.Fields) > 0 || len(fresh) != len(h) {
		out.Head, out.Instead = append(out.Fields, fresh...), int64(len(h))
	}
	return out, nil
}

// withoutOurs is a header without the signatures of our own keys.
func (s *Signer) withoutOurs(h message.Header) message.Header {
	rules, out, at := s.rules(), make(message.Header, 0, len(h)), 0
	for f := range h.Fields() {
		if f.Is("DKIM-Signature") && s.isOurs(rules, f.Value) {
			out, at = append(out, h[at:f.Start]...), f.End
		}
	}
	return append(out, h[at:]...)
}

// isOurs tells a signature by one of our keys, whatever became of that.
func (s *Signer) isOurs(rules *Rules, value []byte) bool {
	tags, err := dkim.ParseTags(value)
	if err != nil {
		return false
	}
	d, _ := tags.Get("d")
	selector, _ := tags.Get("s")
	domain, err := dkim.Domain(d)
	if err != nil {
		return false
	}
	for _, o := range rules.Own {
		if o.Selector == selector && (o.Domain == domain || o.Domain == "%") {
			return true
		}
	}
	ring, err := s.keys.Ring(domain)
	_, found := ring.Find(selector)
	return err == nil && found
}
