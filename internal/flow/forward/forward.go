// Package forward is what has to be right about mail that goes on to another machine
// though it was for somebody here: its reverse-path (SRS), how much of it there is, and
// that it is no spam; and about the marks that our own reverse-paths carry (BATV).
//
// Nothing of this is kept in the queue: a rewritten reverse-path is made when the message
// leaves, for the attempt at hand. So letters that stay here, and all that is shown here,
// have the sender as he is; and a key that is replaced counts for what waits.
//
//	goes on:    MAIL FROM:<alice@example.com>  →  MAIL FROM:<SRS0=…=alice@srs.example.org>
//	leaves:     MAIL FROM:<bob@example.org>    →  MAIL FROM:<prvs=…=bob@example.org>
//	comes back: RCPT TO:<SRS0=…>, RCPT TO:<prvs=…>  →  who is meant
//
// A reverse-path that can't be rewritten, because it would be too long (RFC 5321
// §4.5.3.1.1), stays as it is: the next host may not like it, but a bounce finds its way.
package forward

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/batv"
	"facteur/internal/mail/srs"
)

// Rules is what the admin set. A Rules is not changed once it is in use; nil changes no
// address.
type Rules struct {
	// SRS rewrites; nil does not.
	SRS *srs.Scheme
	// Exclude are domains whose senders stay as they are, in canonical form; ".example.org"
	// is all below it. Ours tells our own domains, which stay, too.
	Exclude []string
	Ours    func(ctx context.Context, domain string) lookup.Answer[bool]
	// Marks are the keys of BATV; nil: no marks. Marked are the domains that carry them, in
	// canonical form; nil: those that are Ours.
	Marks  batv.Keys
	Marked []string
	// PerHour is how many messages one address forwards; 0 is none.
	PerHour int
	// Spam is forwarded, too.
	Spam bool
}

// MarkKeys are keys for marks, made of those for SRS: what one of them signed tells nothing
// about the other.
func MarkKeys(keys [][]byte) batv.Keys {
	out := make(batv.Keys, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("batv"))
		out[i] = mac.Sum(nil)
	}
	return out
}

// Sender is the reverse-path of a message that goes on, and why it is the old one where it
// had to be.
func (r *Rules) Sender(ctx context.Context, from address.Address, now time.Time) (address.Address, error) {
	if r == nil || r.SRS == nil || from.IsNull() || r.excluded(from.Domain) {
		return from, nil
	}
	// A directory that does not answer tells nothing; rewriting does no harm then.
	if ours := r.Ours(ctx, from.Domain); ours.Value() {
		return from, nil
	}
	to, err := r.SRS.Forward(from, now)
	if err != nil {
		return from, err
	}
	return to, nil
}

func (r *Rules) excluded(domain string) bool { return covers(r.Exclude, domain) }

// covers tells whether a list has a domain, or ".parent" of it.
func covers(list []string, domain string) bool {
	for _, d := range list {
		if d == domain || strings.HasPrefix(d, ".") && strings.HasSuffix(domain, d) {
			return true
		}
	}
	return false
}

// Mark is the reverse-path of a message of our own user that leaves.
func (r *Rules) Mark(ctx context.Context, from address.Address, now time.Time) address.Address {
	if r == nil || r.Marks == nil || from.IsNull() || !r.marks(ctx, from.Domain).Value() {
		return from
	}
	to, err := r.Marks.Sign(from, now)
	if err != nil {
		return from // too long; Verify knows of such
	}
	return to
}

// marks tells a domain whose senders carry marks.
func (r *Rules) marks(ctx context.Context, domain string) lookup.Answer[bool] {
	if r == nil || r.Marks == nil {
		return lookup.Yes(false)
	}
	if r.Marked != nil {
		return lookup.Yes(covers(r.Marked, domain))
	}
	return r.Ours(ctx, domain)
}

// Bare is an address without the mark that it may carry, good or not: who is meant.
func (r *Rules) Bare(ctx context.Context, a address.Address) address.Address {
	if bare, _, ok := batv.Cut(a); ok && r.marks(ctx, a.Domain).Value() {
		return bare
	}
	return a
}

// unmarked are the users who are never expected to carry one: everybody may write to them
// about anything (RFC 5321 §4.5.1, RFC 2142 §2).
var unmarked = map[string]bool{"postmaster": true, "abuse": true}

// CheckMark tells whether a notice for an address is about mail that left here; the error
// is why it is not. TryAgain: it is not known now whose address it is.
func (r *Rules) CheckMark(ctx context.Context, a address.Address, now time.Time) lookup.Answer[error] {
	switch marks := r.marks(ctx, a.Domain); {
	case marks.State() == lookup.TryAgain:
		return lookup.Later[error](marks.Err())
	case !marks.Value():
		return lookup.Yes[error](nil)
	}
	bare, err := r.Marks.Verify(a, now)
	if errors.Is(err, batv.ErrUnsigned) && (unmarked[strings.ToLower(bare.Local)] || !batv.CanSign(bare)) {
		return lookup.Yes[error](nil)
	}
	return lookup.Yes(err)
}

// IsRewritten tells an address that only SRS makes, in the domain where we do.
func (r *Rules) IsRewritten(a address.Address) bool {
	return r != nil && r.SRS != nil && a.Domain == r.SRS.Domain && srs.Is(a)
}

// Back is who is meant by an address of which IsRewritten is true.
func (r *Rules) Back(a address.Address, now time.Time) (address.Address, error) {
	return r.SRS.Reverse(a, now)
}

// Original is whom a notice of ours goes to that is for an address: the address as it was
// before it left here, if it was ever changed.
func (r *Rules) Original(ctx context.Context, a address.Address, now time.Time) address.Address {
	if r.IsRewritten(a) {
		if back, err := r.Back(a, now); err == nil {
			a = back
		}
	}
	return r.Bare(ctx, a)
}
