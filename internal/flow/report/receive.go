package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	mail "facteur/internal/mail/report"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
)

const (
	// maxLetter is the largest letter that is read, in bytes.
	maxLetter = 20 << 20
	// patience is how long one letter may take, once it is its turn.
	patience = 30 * time.Second
	// maxDomains is how many domains one TLS report is believed to be about, and in how
	// many records of a DMARC report one of ours is looked for.
	maxDomains = 100
)

var (
	errNotOurs = errors.New("it is about a domain that is not ours")
	errBusy    = errors.New("too many reports come at a time")
)

// Read looks at a letter that is about to be committed: if it is for an address that takes
// reports, it is copied, and read when then is called with true. Of what goes wrong there
// nobody hears but the log.
func (o *Office) Read(it *queue.Item, seen *dmarc.Result, letter io.ReaderAt, size int64) (then func(committed bool)) {
	s := o.Settings()
	if size > maxLetter || s.Takes == nil || !slices.ContainsFunc(it.Recipients, func(r queue.Recipient) bool { return s.Takes(r.Original) }) {
		return nil
	}
	by := author(seen)
	place := o.readers.reserve(by, size, o.now())
	if place == nil {
		o.Events.Emit(Unreadable{it.ID.String(), errBusy})
		return nil
	}
	data, err := io.ReadAll(io.NewSectionReader(letter, 0, size))
	return func(committed bool) {
		if !committed || err != nil {
			place.leave()
			return
		}
		place.spend(func() { o.read(it.ID.String(), data, by) })
	}
}

// author is who wrote a letter. He is known if the letter passed DMARC here; what our own
// users and machines hand in nobody has looked at.
func author(seen *dmarc.Result) report.Author {
	if seen == nil || len(seen.From) != 1 {
		return report.Author{}
	}
	return report.Author{Domain: seen.From[0], Verified: seen.Status == dmarc.Pass}
}

// read takes in what is in a letter. A reader that fails in a way nobody thought of takes
// its letter's figures with it, and nothing else.
func (o *Office) read(item string, data []byte, by report.Author) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			o.Events.Emit(Unreadable{item, fmt.Errorf("reading it failed: %v", p)})
		}
	}()
	if by.Domain == "" {
		by.Domain = strings.Join(dmarc.ReadAuthor(message.Header(data[:message.HeaderEnd(data)])).Domains, " ")
	}
	found, err := mail.Read(data, mail.Limits{})
	if errors.Is(err, mail.ErrNoReport) {
		return // somebody writes to the postmaster
	}
	if err == nil {
		err = o.take(ctx, found, by, item)
	}
	if err != nil {
		o.Events.Emit(Unreadable{item, err})
	}
}

// take keeps what was found in a letter.
func (o *Office) take(ctx context.Context, found *mail.Found, by report.Author, item string) error {
	t := taking{Office: o, by: by, item: item}
	var failed []error
	for _, p := range found.Problems {
		failed = append(failed, errors.New(p))
	}
	for _, a := range found.Aggregates {
		failed = append(failed, t.aggregate(ctx, a))
	}
	for _, r := range found.TLS {
		failed = append(failed, t.tls(ctx, r))
	}
	for _, f := range found.Feedback {
		failed = append(failed, t.feedback(ctx, f))
	}
	return errors.Join(failed...)
}

// taking is one letter being taken in.
type taking struct {
	*Office
	by   report.Author
	item string
}

// isOurs tells a domain that mail is received for here, or one below it. A directory that
// is out of order is no reason to lose a report.
func (t *taking) isOurs(ctx context.Context, domain string) bool {
	for ; domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		if t.Router.Hosts(ctx, domain).State() != lookup.NotFound {
			return true
		}
	}
	return false
}

// concerns tells a report about one of our domains, or about the one above it: then the
// letters are in the name of ours.
func (t *taking) concerns(ctx context.Context, a *mail.Aggregate) bool {
	if t.isOurs(ctx, a.Published.Domain) {
		return true
	}
	asked := ""
	for i := range a.Records[:min(len(a.Records), maxDomains)] {
		from := a.Records[i].HeaderFrom
		if from != asked && strings.HasSuffix(from, "."+a.Published.Domain) && t.isOurs(ctx, from) {
			return true
		}
		asked = from
	}
	return false
}

func (t *taking) aggregate(ctx context.Context, a *mail.Aggregate) error {
	if !t.concerns(ctx, a) {
		return errNotOurs
	}
	fresh, err := t.Store.TakeAggregate(ctx, a, t.by, t.Settings().KeepDays)
	return t.tell(fmt.Sprintf("a DMARC report of %s about %s", t.by.Domain, a.Published.Domain), fresh, err)
}

func (t *taking) tls(ctx context.Context, r *mail.TLS) error {
	domains := t.domains(ctx, r)
	if len(domains) == 0 {
		return errNotOurs
	}
	for _, d := range domains {
		fresh, err := t.Store.TakeTLS(ctx, r, d, t.by, t.Settings().KeepDays)
		if err := t.tell(fmt.Sprintf("a TLS report of %s about %s", t.by.Domain, d), fresh, err); err != nil {
			return err
		}
	}
	return nil
}

// domains are those of ours that a TLS report is about.
func (t *taking) domains(ctx context.Context, r *mail.TLS) (out []string) {
	for i := range r.Policies[:min(len(r.Policies), maxDomains)] {
		if d := r.Policies[i].Policy.Domain; !slices.Contains(out, d) && t.isOurs(ctx, d) {
			out = append(out, d)
		}
	}
	return out
}

// tell tells what was kept.
func (t *taking) tell(what string, fresh bool, err error) error {
	if err == nil {
		t.Events.Emit(Taken{What: what, Item: t.item, Verified: t.by.Verified, Fresh: fresh})
	}
	return err
}
