package arc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/dkim"
)

// TXT asks the DNS for the texts of a name.
type TXT = dkim.TXT

// temporary is a result that may be another one later.
type temporary struct{ error }

// Verify ends the body and judges the chain. Keys are asked for at the same time, each
// once, those of the newest set before the others; ctx bounds that.
func (c *Chain) Verify(ctx context.Context, txt TXT, now time.Time) Result {
	r := Result{Status: None, OldestPass: -1}
	if len(c.sets) == 0 && c.problem == nil {
		return r
	}
	err := c.problem
	if err == nil {
		err = c.verify(ctx, txt, now, &r)
	}
	for _, s := range c.sets {
		r.Sets = append(r.Sets, s.told())
	}
	var t temporary
	switch {
	case err == nil:
		r.Status = Pass
	case errors.As(err, &t):
		r.Status, r.Reason = TempError, err.Error()
	default:
		r.Status, r.Reason = Fail, err.Error()
	}
	return r
}

// verify follows RFC 8617 §5.2 from step 4 on.
func (c *Chain) verify(ctx context.Context, txt TXT, now time.Time, r *Result) error {
	last := c.sets[len(c.sets)-1]
	r.Author = slices.Contains(last.message.names, "from")
	if err := c.inTime(&last.message, now); err != nil {
		return fmt.Errorf("set %d: %s: %w", last.instance, signatureField, err)
	}
	if !bytes.Equal(c.body.Sum(last.digest), last.message.bh) {
		return fmt.Errorf("set %d: the body was changed since it was sealed", last.instance)
	}
	keys := keyring{}
	keys.fetch(ctx, txt, last.message.key(), last.seal.key())
	if err := c.holds(last, keys); err != nil {
		return err
	}
	hashes := c.hashes()
	if err := c.sealed(last, keys, hashes); err != nil {
		return err
	}
	var more []keyName
	for _, s := range c.sets[:last.instance-1] {
		more = append(more, s.seal.key())
		if c.options.Oldest {
			more = append(more, s.message.key())
		}
	}
	keys.fetch(ctx, txt, more...)
	for i := last.instance - 2; i >= 0; i-- {
		if err := c.sealed(c.sets[i], keys, hashes); err != nil {
			return err
		}
	}
	if c.options.Oldest {
		r.OldestPass = c.oldest(keys)
	}
	return nil
}

// inTime looks at t= and x=.
func (c *Chain) inTime(s *signed, now time.Time) error {
	switch {
	case s.made.After(now.Add(c.options.Skew)):
		return errors.New("it was made in the future: " + s.made.Format(time.RFC3339))
	case !s.end.IsZero() && s.end.Before(now.Add(-c.options.Skew)):
		return errors.New("it expired at " + s.end.Format(time.RFC3339))
	}
	return nil
}

// holds checks the AMS of a set, the body of which is known to be right.
func (c *Chain) holds(s *set, keys keyring) error {
	m := &s.message
	err := keys.check(m, c.fields.Hash(m.names, m.header, m.raw), c.options)
	if errors.Is(err, errSignature) {
		return fmt.Errorf("set %d: the header was changed since it was signed by %s, or the key is another one", s.instance, m.domain)
	}
	return inSet(s, signatureField, err)
}

// sealed checks the AS of a set.
func (c *Chain) sealed(s *set, keys keyring, hashes [][]byte) error {
	err := keys.check(&s.seal, hashes[s.instance-1], c.options)
	if errors.Is(err, errSignature) {
		return fmt.Errorf("set %d: the seal of %s is broken: an ARC field was changed", s.instance, s.seal.domain)
	}
	return inSet(s, sealField, err)
}

func inSet(s *set, field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("set %d: %s: %w", s.instance, field, err)
}

// hashes are what the seals are signatures of: all fields of the sets up to each one, in
// their order (RFC 8617 §5.1.1). Each field is hashed once, and the seals once more.
func (c *Chain) hashes() [][]byte {
	whole := sha256.New()
	out := make([][]byte, len(c.sets))
	var buf []byte
	for i, s := range c.sets {
		buf = dkim.Relaxed.AppendField(buf[:0], s.results)
		buf = dkim.Relaxed.AppendField(buf, s.message.raw)
		whole.Write(buf)
		out[i] = sealHash(whole, dkim.WithoutSignature(s.seal.raw))
		whole.Write(dkim.Relaxed.AppendField(buf[:0], s.seal.raw))
	}
	return out
}

// oldest is Result.OldestPass.
func (c *Chain) oldest(keys keyring) int {
	for i := len(c.sets) - 2; i >= 0; i-- {
		s := c.sets[i]
		if !bytes.Equal(c.body.Sum(s.digest), s.message.bh) || c.holds(s, keys) != nil {
			return s.instance + 1
		}
	}
	return 0
}

type keyName struct{ selector, domain string }

func (s *signed) key() keyName { return keyName{s.selector, s.domain} }

// keyring is the keys that were asked for.
type keyring map[keyName]lookup.Answer[*dkim.Record]

// fetch asks for keys at the same time, each once.
func (k keyring) fetch(ctx context.Context, txt TXT, names ...keyName) {
	var missing []keyName
	for _, n := range names {
		if _, known := k[n]; !known && !slices.Contains(missing, n) {
			missing = append(missing, n)
		}
	}
	answers := make([]lookup.Answer[*dkim.Record], len(missing))
	var group sync.WaitGroup
	for i, n := range missing {
		group.Go(func() { answers[i] = dkim.Lookup(ctx, txt, n.selector, n.domain) })
	}
	group.Wait()
	for i, n := range missing {
		k[n] = answers[i]
	}
}

// errSignature says that the numbers do not fit.
var errSignature = errors.New("the signature does not fit")

// check holds a signature against its key.
func (k keyring) check(s *signed, hash []byte, o Options) error {
	answer := k[s.key()]
	switch answer.State() {
	case lookup.TryAgain:
		return temporary{fmt.Errorf("the DNS did not answer where its key is: %w", answer.Err())}
	case lookup.NotFound:
		return answer.Err()
	}
	record := answer.Value()
	if err := usable(record, s.algorithm, o); err != nil {
		return err
	}
	if record.Check(hash, s.b) != nil {
		return errSignature
	}
	return nil
}

// usable holds a key against what it is used for.
func usable(r *dkim.Record, algorithm string, o Options) error {
	switch {
	case r.Public == nil:
		return errors.New("its key was withdrawn by its owner")
	case algorithm != r.Kind+"-sha256":
		return errors.New("its key is of another kind (k=) than the signature (a=)")
	case r.Hashes != nil && !slices.Contains(r.Hashes, "sha256"):
		return errors.New("its key may not be used with this hash (h=)")
	case r.Services != nil && !slices.Contains(r.Services, "email") && !slices.Contains(r.Services, "*"):
		return errors.New("its key is not for mail (s=)")
	case r.Kind == "rsa" && (r.Bits < o.MinBits || r.Bits > o.MaxBits):
		return fmt.Errorf("its key has %d bits; %d to %d are believed", r.Bits, o.MinBits, o.MaxBits)
	}
	return nil
}

// String tells a result in a few words, for a log.
func (r Result) String() string {
	words := []string{string(r.Status)}
	if len(r.Sets) > 0 {
		words = append(words, fmt.Sprintf("i=%d", len(r.Sets)), r.Sealer())
	}
	if r.Reason != "" {
		words = append(words, "("+r.Reason+")")
	}
	return strings.Join(words, " ")
}
