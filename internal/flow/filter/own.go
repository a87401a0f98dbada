package filter

import (
	"context"
	"io"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/policy"
)

// The letters of our own users, their devices and machines. Who sent them is known, and
// they are not scored: a user whose letters are taken for spam can't write any more. They
// are looked at for what must not go out, where somebody is set to do that.

// Inspects tells that somebody looks at the letters of our own users.
func (f *Filter) Inspects() bool { return f != nil && len(f.rules.Own) > 0 }

// Inspect has Rules.Own look at a letter of our own, of which l has client, sender,
// recipients and header, and text the whole of size bytes. What it is found to carry
// refuses it, whatever the destiny: its sender is there to hear it, and what is kept or
// thrown away without a word he would believe to be sent. Only what is to pass does. Its
// one fate is that of all recipients. id is how he may name the letter when he asks why.
func (f *Filter) Inspect(ctx context.Context, l Letter, text io.ReaderAt, size int64, id string) Outcome {
	l.Own = true
	c := &Case{filter: f, letter: l, header: l.Header, evidence: Evidence{Client: l.Client, Sender: l.Sender, Cut: l.Cut}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	defer c.Close()
	c.Addressed(l.Recipients)
	c.Holds(text, size)
	c.examine(ctx)
	fate := f.rules.ownFate(c.remarks, f.wants(ctx, address.Address{}))
	o := Outcome{Fates: []Fate{fate}, Shown: fate}
	o.settle(c.remarks, func(f Fate) *smtp.Reply { return c.refusal(f, id) })
	return o
}

// ownFate is what becomes of a letter of our own.
func (r *Rules) ownFate(remarks []Remark, wants *policy.Effective) Fate {
	f := Fate{Disposition: Accept, Wants: wants}
	for _, m := range remarks {
		m.Score = 0
		f.Tally.Rows = append(f.Tally.Rows, Counted{Remark: m})
	}
	for _, c := range [...]Category{Virus, Banned} {
		if is, because := r.category(remarks, "", c); is != "" && wants.Destinies[c] != policy.Pass {
			f.Disposition, f.Category, f.Because = Reject, c, because
			return f
		}
	}
	return f
}
