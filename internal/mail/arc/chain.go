package arc

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"time"

	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
)

// The names of the fields.
const (
	resultsField   = "ARC-Authentication-Results"
	signatureField = "ARC-Message-Signature"
	sealField      = "ARC-Seal"
)

// maxSets is the longest chain (RFC 8617 §4.2.1).
const maxSets = 50

// Options are what an admin may change. The zero Options are the defaults.
type Options struct {
	// MinBits and MaxBits are the RSA keys that are believed, 1024 and 4096 if they
	// are 0.
	MinBits, MaxBits int
	// Skew is how wrong the clocks of others may be, 10 minutes if it is 0.
	Skew time.Duration
	// Oldest finds out which was the last server that changed the message; see
	// Result.OldestPass. It costs a signature for each set.
	Oldest bool
}

func (o Options) complete() Options {
	o.MinBits = max(cmp.Or(o.MinBits, 1024), 1024)
	o.MaxBits = cmp.Or(max(o.MaxBits, 0), 4096)
	o.Skew = cmp.Or(max(o.Skew, 0), 10*time.Minute)
	return o
}

// Chain is that of a message, between its header and the end of its body.
type Chain struct {
	sets    []*set // the oldest first; all three fields of each are there
	problem error  // what is known to be wrong from the fields alone
	fields  *dkim.Fields
	body    *dkim.Body
	options Options
}

// What the shape of a chain can suffer from.
var (
	errTooMany  = fmt.Errorf("the chain has more than %d sets", maxSets)
	errInstance = errors.New("an ARC field has no instance (i=) from 1 to 50")
	errFailed   = errors.New("the newest seal says that the chain had failed before (cv=fail)")
)

// Read finds the chain in a header, and claims from b what it needs: before the body is
// written to it. The header must not change until Verify is done.
func Read(h message.Header, b *dkim.Body, o Options) *Chain {
	c := &Chain{body: b, options: o.complete()}
	if c.sets, c.problem = collect(h); c.problem != nil || len(c.sets) == 0 {
		return c
	}
	if c.problem = c.check(); c.problem != nil {
		return c
	}
	for i, s := range c.sets {
		if c.options.Oldest || i == len(c.sets)-1 {
			s.digest = b.Want(s.message.body, crypto.SHA256, -1)
		}
	}
	c.fields = dkim.NewFields(h)
	return c
}

// Len is how many sets there are; 0 where the shape of the chain is wrong.
func (c *Chain) Len() int { return len(c.sets) }

// collect puts the fields together to sets. A message with a thousand of them costs no
// more than one with too many.
func collect(h message.Header) ([]*set, error) {
	var at [maxSets + 1]set
	highest, count := 0, 0
	for f := range h.Fields() {
		kind := kindOf(f)
		if kind == none {
			continue
		}
		if count++; count > 3*maxSets {
			return nil, errTooMany
		}
		i, err := instance(f, kind)
		if err != nil {
			return nil, err
		}
		if err := at[i].take(f, kind, h); err != nil {
			return nil, fmt.Errorf("set %d: %w", i, err)
		}
		highest = max(highest, i)
	}
	sets := make([]*set, highest)
	for i := range sets {
		s := at[i+1]
		if err := s.whole(); err != nil {
			return nil, fmt.Errorf("set %d: %w", i+1, err)
		}
		s.instance, sets[i] = i+1, &s
	}
	return sets, nil
}

// highest is the highest instance in a header, whatever else is wrong with its chain, and
// whether a seal of that instance says that it has failed.
func highest(h message.Header) (n int, failed bool) {
	for f := range h.Fields() {
		kind := kindOf(f)
		if kind == none {
			continue
		}
		i, err := instance(f, kind)
		if err != nil || i < n {
			continue
		}
		failed = i == n && failed
		if n = i; kind == seal {
			tags, _ := dkim.ParseTags(f.Value)
			cv, _ := tags.Get("cv")
			failed = failed || cv == string(Fail)
		}
	}
	return n, failed
}

type kind uint8

const (
	none kind = iota
	results
	signature
	seal
)

func kindOf(f message.Field) kind {
	switch {
	case len(f.Name) < len(sealField) || f.Name[0]|0x20 != 'a':
		return none
	case f.Is(resultsField):
		return results
	case f.Is(signatureField):
		return signature
	case f.Is(sealField):
		return seal
	}
	return none
}

// instance reads i=, and no more than that.
func instance(f message.Field, k kind) (int, error) {
	if k == results {
		text := f.Text()
		i, _, _ := authres.ParseARC(text[:min(len(text), 100)])
		if i == 0 {
			return 0, errInstance
		}
		return i, nil
	}
	tags, err := dkim.ParseTags(f.Value)
	if err != nil {
		return 0, fmt.Errorf("%s can't be read: %w", f.Name, err)
	}
	text, _ := tags.Get("i")
	return parseInstance(text)
}

func parseInstance(text string) (n int, err error) {
	for _, c := range []byte(text) {
		if n = 10*n + int(c-'0'); c < '0' || c > '9' || n > maxSets {
			return 0, errInstance
		}
	}
	if n == 0 {
		return 0, errInstance
	}
	return n, nil
}

// check reads the fields of all sets, before anything is asked or calculated: the newest
// first, as it may say that the rest need not be looked at.
func (c *Chain) check() error {
	last := len(c.sets) - 1
	if cv, _ := c.sets[last].seal.tags.Get("cv"); cv == string(Fail) {
		return errFailed
	}
	for i := last; i >= 0; i-- {
		if err := c.sets[i].read(); err != nil {
			return fmt.Errorf("set %d: %w", i+1, err)
		}
	}
	return nil
}
