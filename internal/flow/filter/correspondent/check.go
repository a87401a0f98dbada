// Package correspondent is a check: a letter from somebody whom the recipient wrote to
// speaks for itself, if the sender is proven to be who he says.
//
// Who may be proven: the author of the letter, by DMARC, or by SPF or a signature of his
// domain when he is the envelope's sender as well. A forged sender gains nothing, and a
// correspondent whose account was broken into no more than the score says: no remark of
// one family decides alone.
package correspondent

import (
	"context"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dmarc"
)

// Score is what it counts that the recipient wrote to the sender.
const Score = -3

// Check asks whom recipients wrote to.
type Check struct {
	// Knows says whether an account wrote to an address.
	Knows func(ctx context.Context, account string, peer address.Address) bool
}

// Name implements filter.Check.
func (*Check) Name() string { return name }

// Known is its remark.
func Known() filter.Known { return filter.Known{Check: (*Check)(nil).Name(), Name: name} }

const name = "correspondent"

// At implements filter.Check.
func (*Check) At() filter.Stage { return filter.End }

// Examine implements filter.Check. A remark is for one recipient: whom he writes to is
// nobody else's business.
func (c *Check) Examine(ctx context.Context, l *filter.Letter) (remarks []filter.Remark) {
	author := proven(l.Evidence)
	if author.IsNull() || l.Own {
		return nil
	}
	asked := map[string]bool{"": true}
	for _, r := range l.Recipients {
		if asked[r.Account] || ctx.Err() != nil {
			continue
		}
		asked[r.Account] = true
		if c.Knows(ctx, r.Account, author) {
			remarks = append(remarks, filter.Remark{Check: c.Name(), Name: name, Score: Score, Of: r.Account,
				Sentence: r.Account + " wrote to the sender, who is proven to be who he says."})
		}
	}
	return remarks
}

// proven is who wrote the letter, if that is proven; else null.
func proven(e *filter.Evidence) address.Address {
	switch {
	case e == nil || e.Author.IsNull():
	case e.DMARC.Status == dmarc.Pass, e.Authentic() && e.Sender.Key() == e.Author.Key():
		return e.Author
	}
	return address.Address{}
}
