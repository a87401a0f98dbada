package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
)

const (
	// maxLetter is the largest letter that is read, in bytes; maxReading how many at a time.
	maxLetter  = 20 << 20
	maxReading = 2
	// maxDomains is how many domains one TLS report is believed to be about.
	maxDomains = 100
)

var (
	errLarge    = errors.New("the letter is too large")
	errNotOurs  = errors.New("it is about a domain that is not ours")
	errNobodyIs = errors.New("it has no author")
)

// Read takes in what is in a letter that is about to be committed, if it is for an address
// that takes reports. Whatever goes wrong, the letter is delivered.
func (o *Office) Read(ctx context.Context, it *queue.Item, letter io.ReaderAt, size int64) {
	s := o.Settings()
	if s.Takes == nil || !slices.ContainsFunc(it.Recipients, func(r queue.Recipient) bool { return s.Takes(r.Original) }) {
		return
	}
	err := o.read(ctx, it, letter, size)
	if err != nil && !errors.Is(err, mail.ErrNoReport) {
		o.Events.Emit(Unreadable{it.ID.String(), err})
	}
}

func (o *Office) read(ctx context.Context, it *queue.Item, letter io.ReaderAt, size int64) error {
	if size > maxLetter {
		return errLarge
	}
	select {
	case o.reading <- struct{}{}:
		defer func() { <-o.reading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	data, err := io.ReadAll(io.NewSectionReader(letter, 0, size))
	if err != nil {
		return err
	}
	found, err := mail.Read(data, mail.Limits{})
	if err != nil {
		return err
	}
	by, err := o.author(message.Header(data[:message.HeaderEnd(data)]), it)
	if err != nil {
		return err
	}
	_, err = o.Take(ctx, found, by, it.ID.String())
	return err
}

// author is who wrote a letter, and whether that is known: by our own word on it, which
// nobody else can write (package filter takes away what looks like it).
func (o *Office) author(h message.Header, it *queue.Item) (report.Author, error) {
	a := dmarc.ReadAuthor(h)
	if len(a.Domains) != 1 {
		return report.Author{}, errNobodyIs
	}
	by := report.Author{Domain: a.Domains[0]}
	if it.Origin.Account != "" || it.Origin.Local {
		return by, nil
	}
	if ours := authres.Of(h, cmp.Or(o.Settings().AuthservID, o.Hostname)); len(ours) > 0 {
		for _, m := range ours[0].Find("dmarc") {
			by.Verified = by.Verified || m.Result == "pass"
		}
	}
	return by, nil
}

// Took is what Take did.
type Took struct {
	Reports, Known, Complaints, NotOurs int
	Problems                            []string
}

// Take keeps what was found; item is the queue ID of its letter, or "".
func (o *Office) Take(ctx context.Context, found *mail.Found, by report.Author, item string) (Took, error) {
	t := taking{Office: o, by: by, item: item}
	t.Problems = found.Problems
	for _, a := range found.Aggregates {
		t.aggregate(ctx, a)
	}
	for _, r := range found.TLS {
		t.tls(ctx, r)
	}
	for _, f := range found.Feedback {
		t.feedback(ctx, f)
	}
	return t.Took, errors.Join(t.failed...)
}

// taking is one letter being taken in.
type taking struct {
	*Office
	Took
	by     report.Author
	item   string
	failed []error
}

// isOurs tells a domain that mail is received for here. A directory that is out of order
// is no reason to lose a report.
func (t *taking) isOurs(ctx context.Context, domain string) bool {
	if t.Router.Hosts(ctx, domain).State() != lookup.NotFound {
		return true
	}
	t.NotOurs++
	return false
}

func (t *taking) done(what string, fresh bool, err error) {
	switch {
	case err != nil:
		t.failed = append(t.failed, err)
		return
	case fresh:
		t.Reports++
	default:
		t.Known++
	}
	t.Events.Emit(Taken{What: what, Item: t.item, Verified: t.by.Verified, Fresh: fresh})
}

func (t *taking) aggregate(ctx context.Context, a *mail.Aggregate) {
	if !t.isOurs(ctx, a.Published.Domain) {
		t.failed = append(t.failed, errNotOurs)
		return
	}
	fresh, err := t.Store.TakeAggregate(ctx, a, t.by, t.Settings().KeepDays)
	t.done(fmt.Sprintf("a DMARC report of %s about %s", t.by.Domain, a.Published.Domain), fresh, err)
}

func (t *taking) tls(ctx context.Context, r *mail.TLS) {
	var domains []string
	for _, p := range r.Policies {
		if d := p.Policy.Domain; len(domains) < maxDomains && !slices.Contains(domains, d) && t.isOurs(ctx, d) {
			domains = append(domains, d)
		}
	}
	if len(domains) == 0 {
		t.failed = append(t.failed, errNotOurs)
	}
	for _, d := range domains {
		fresh, err := t.Store.TakeTLS(ctx, r, d, t.by, t.Settings().KeepDays)
		t.done(fmt.Sprintf("a TLS report of %s about %s", t.by.Domain, d), fresh, err)
	}
}
