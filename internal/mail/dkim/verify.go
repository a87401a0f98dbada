package dkim

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/lookup"
)

// Verify ends the body and judges the signatures, in the order of the header. Keys
// are asked for at the same time, each once; ctx bounds that.
func (s *Signatures) Verify(ctx context.Context, txt TXT, now time.Time) []Result {
	for _, sig := range s.all {
		if sig.result.Status == "" {
			sig.conclude(sig.inTime(now, s.options.Skew))
		}
	}
	keys := s.keys(ctx, txt)
	results := make([]Result, 0, len(s.all))
	for _, sig := range s.all {
		if sig.result.Status == "" {
			sig.conclude(s.judge(sig, keys[sig.key()]))
		}
		results = append(results, sig.result)
	}
	return results
}

type keyName struct{ selector, domain string }

func (s *signature) key() keyName { return keyName{s.result.Selector, s.result.Domain} }

// keys looks up what the signatures need that are not settled without.
func (s *Signatures) keys(ctx context.Context, txt TXT) map[keyName]lookup.Answer[*Record] {
	var names []keyName
	for _, sig := range s.all {
		if sig.result.Status == "" && !slices.Contains(names, sig.key()) {
			names = append(names, sig.key())
		}
	}
	answers := make([]lookup.Answer[*Record], len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { answers[i] = Lookup(ctx, txt, name.selector, name.domain) })
	}
	group.Wait()
	keys := make(map[keyName]lookup.Answer[*Record], len(names))
	for i, name := range names {
		keys[name] = answers[i]
	}
	return keys
}

// inTime looks at t= and x=.
func (s *signature) inTime(now time.Time, skew time.Duration) error {
	r := &s.result
	switch {
	case r.Time.After(now.Add(skew)):
		return &refused{Fail, "it was made in the future: " + r.Time.Format(time.RFC3339)}
	case !r.Expires.IsZero() && r.Expires.Before(now.Add(-skew)):
		return &refused{Fail, "it expired at " + r.Expires.Format(time.RFC3339)}
	}
	return nil
}

// judge gives the result of a signature whose key was asked for. A failure while
// the domain is testing is no worse than no signature (RFC 6376 §3.6.1).
func (s *Signatures) judge(sig *signature, key lookup.Answer[*Record]) error {
	r := &sig.result
	switch key.State() {
	case lookup.TryAgain:
		return &refused{TempError, "the DNS did not answer when it was asked for the key " + r.Selector + "._domainkey." + r.Domain}
	case lookup.NotFound:
		return permanent(key.Err().Error())
	}
	record := key.Value()
	r.Bits, r.Testing = record.Bits, record.Testing
	err := s.weigh(sig, record)
	if err != nil && record.Testing {
		return &refused{Neutral, err.Error() + " (its domain says that it is only testing)"}
	}
	if err == nil {
		r.Status = Pass
	}
	return err
}

func (s *Signatures) weigh(sig *signature, record *Record) error {
	if err := sig.fits(record); err != nil {
		return err
	}
	if err := s.size(sig, record); err != nil {
		return err
	}
	r := &sig.result
	hash := s.fields.Hash(r.Signed, r.Header, sig.raw)
	r.HeaderIntact = record.Check(hash, sig.b) == nil
	r.BodyIntact = bytes.Equal(s.body.Sum(sig.digest), sig.bh)
	length := s.body.Length(r.Body)
	if sig.limit >= 0 {
		r.Limited = max(length-sig.limit, 0)
	}
	switch {
	case sig.limit > length:
		r.BodyIntact = false
		return &refused{Fail, "the body is shorter than what was signed: something was cut off"}
	case !r.BodyIntact && r.HeaderIntact:
		return &refused{Fail, "the body was changed after signing; the header was not"}
	case !r.BodyIntact:
		return &refused{Fail, "the body was changed after signing, and the header or the key too"}
	case !r.HeaderIntact:
		return &refused{Fail, "a header field that it covers (" + listed(r.Signed) + ") was changed, added or removed after signing, or the key is another one; the body was not changed"}
	case s.fields.added(r.Signed) != "":
		return &refused{Policy, "it does not cover the second " + s.fields.added(r.Signed) + " field, which says something else: somebody added it"}
	case r.Limited > 0 && !s.options.Partial:
		return &refused{Policy, fmt.Sprintf("it covers only the first %d bytes of the body (l=); %d more stand below them", sig.limit, r.Limited)}
	}
	return nil
}

// fits holds the record against the signature (RFC 6376 §6.1.2).
func (s *signature) fits(record *Record) error {
	switch {
	case record.Public == nil:
		return permanent("its key was withdrawn by its owner")
	case record.Kind != s.kind:
		return permanent("its key is of another kind (k=) than the signature (a=)")
	case record.Hashes != nil && !slices.Contains(record.Hashes, s.hash):
		return permanent("its key may not be used with the hash of the signature (h=)")
	case record.Services != nil && !slices.Contains(record.Services, "email") && !slices.Contains(record.Services, "*"):
		return permanent("its key is not for mail (s=)")
	case record.Strict && identityDomain(s.result.Identity) != s.result.Domain:
		return permanent("its identity (i=) is below the signing domain, which the key does not allow (t=s)")
	}
	return nil
}

// size keeps weak keys from proving anything, and large ones from costing.
func (s *Signatures) size(sig *signature, record *Record) error {
	switch {
	case record.Kind != "rsa":
		return nil
	case record.Bits < s.options.MinBits:
		return &refused{Fail, fmt.Sprintf("its key has %d bits, which proves nothing; %d are the least", record.Bits, s.options.MinBits)}
	case record.Bits > s.options.MaxBits:
		return &refused{Policy, fmt.Sprintf("it was not looked at: its key has %d bits, and %d are the most", record.Bits, s.options.MaxBits)}
	}
	return nil
}

// listed names fields for people, each once, and as much of them as is told of names.
func listed(names []string) string {
	var once []string
	for _, n := range names {
		if !slices.Contains(once, n) && len(once) < 20 {
			once = append(once, n)
		}
	}
	list := strings.Join(once, ", ")
	return list[:min(len(list), maxTold)]
}
