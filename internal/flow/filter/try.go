package filter

import (
	"context"
	"io"

	"facteur/internal/mail/message"
)

// Trial is what a Filter makes of a letter that nobody sent.
type Trial struct {
	Verdict Verdict
	Outcome Outcome
	// Fields are what would stand above it.
	Fields string
}

// headerMost is how much of the header of a letter on trial is looked at, in bytes.
const headerMost = 1 << 20

// Try looks at a letter of size bytes as if a stranger handed it over now, with the checks
// and rules that strangers have, and changes nothing that anybody remembers. l has the
// client, sender and recipients, for each of whom there is a fate. Where the client is not
// known, nothing is asked of him.
func (f *Filter) Try(ctx context.Context, l Letter, text io.ReaderAt, size int64) (t Trial, err error) {
	header, _, err := message.ReadHeader(io.NewSectionReader(text, 0, size), headerMost)
	if err != nil {
		return t, err
	}
	l.Own, l.Returned = false, false
	c := f.onTrial(l.Client.Addr.IsValid()).Open(ctx, nil, l)
	defer c.Close()
	c.Addressed(l.Recipients)
	if body := c.Read(header, false); body != nil {
		if _, err := io.Copy(body, io.NewSectionReader(text, int64(len(header)), size-int64(len(header)))); err != nil {
			return t, err
		}
	}
	c.Holds(text, size)
	t.Verdict = c.Judge(ctx)
	t.Outcome = c.Weigh(ctx, t.Verdict, l.Recipients, "it")
	t.Fields = string(c.filter.rules.SpamFields(t.Outcome.Shown))
	return t, nil
}

// onTrial is the same Filter for letters on trial: no host is spared, and all is scored.
func (f *Filter) onTrial(client bool) *Filter {
	r := *f.rules
	r.Ignored, r.IgnoredNames, r.Scoring = nil, nil, true
	r.SPF.Enabled, r.DKIM, r.ARC = client, true, true
	if r.DMARC.Policy == Off {
		r.DMARC.Policy = Score
	}
	if !client {
		r.Checks = nil
		for _, c := range f.rules.Checks {
			if c.At() > Helo {
				r.Checks = append(r.Checks, c)
			}
		}
	}
	return &Filter{rules: &r, resolver: f.resolver, known: f.known, events: f.events, policies: f.policies, standard: f.standard, now: f.now, reading: f.reading}
}
