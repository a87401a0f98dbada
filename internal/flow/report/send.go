package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/route"
	"facteur/internal/net/dns"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
)

const (
	// aside is how long a letter lies before it may leave: until then it is noted that it
	// does.
	aside = time.Minute
	// gap is between two reports to one host.
	gap = 5 * time.Second
	// days is for how many days back reports are still sent.
	days = 2
	// afterStart and again are when it is looked after a start, and after a night in which
	// something could not be sent, at the latest.
	afterStart, again = 30 * time.Minute, time.Hour
	// night is how long after midnight UTC the reports begin to leave, at the latest.
	night = 5 * time.Hour
	// soonest is after midnight, when all has been counted.
	soonest = 10 * time.Minute
	// questions is how many the DNS may be asked for one report.
	questions = 100
)

// Run sends the reports of each day in the night after it, until ctx ends.
func (o *Office) Run(ctx context.Context) {
	wait := time.Minute + rand.N(afterStart)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		later := o.sendAndExpire(ctx)
		if wait = untilNight(o.now()); later {
			wait = min(wait, again/2+rand.N(again/2))
		}
	}
}

// untilNight is how long it is to a random minute of the next night.
func untilNight(now time.Time) time.Duration {
	midnight := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	return midnight.Sub(now) + soonest + rand.N(night-soonest)
}

func (o *Office) sendAndExpire(ctx context.Context) (later bool) {
	out, err := o.Send(ctx, false)
	for _, s := range out {
		later = later || s.Stage == report.Later
	}
	if err == nil {
		err = o.Store.Expire(ctx, o.Settings().KeepDays)
	}
	if err != nil && ctx.Err() == nil {
		o.tell("the reports of the night are not all sent: " + err.Error())
		return true
	}
	return later
}

// Recover finds out what became of the reports that were on their way when the process
// ended. It comes before anything leaves the queue. What it can't find out is never sent
// again, and nothing else waits for it.
func (o *Office) Recover(ctx context.Context) {
	open, items, err := o.Store.Unfinished(ctx)
	for i, r := range open {
		if err == nil {
			err = o.recover(ctx, r, queue.ID(items[i]))
		}
	}
	if err != nil {
		o.tell("what became of reports on their way is not known: " + err.Error())
	}
}

func (o *Office) recover(ctx context.Context, r report.Sending, id queue.ID) error {
	p := report.Progress{Stage: report.Later, Item: int64(id), Note: "the server ended before it was in the queue"}
	if id != 0 {
		switch _, _, err := o.Queue.Show(ctx, id); {
		case err == nil:
			p.Stage, p.Note = report.Sent, "as "+id.String()
		case !errors.Is(err, queue.ErrNoItem):
			return err
		}
	}
	return o.Store.Mark(ctx, r, p)
}

func (o *Office) tell(text string) {
	o.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: program, Text: text})
}

// Sent is what became of one report, or would.
type Sent struct {
	Kind   report.Kind  `json:"kind"`
	Day    string       `json:"day"`
	Domain string       `json:"domain"`
	URI    string       `json:"uri"`
	Stage  report.Stage `json:"stage"`
	Note   string       `json:"note,omitempty"`
	Size   int          `json:"size,omitempty"` // bytes
}

// round is one run.
type round struct {
	*Office
	settings Settings
	preview  bool
	hosts    map[string]int // reports of the day, by host
	out      []Sent
}

// Send sends all reports that are due and not sent yet; with preview it only tells what
// it would do.
func (o *Office) Send(ctx context.Context, preview bool) ([]Sent, error) {
	o.working.Lock()
	defer o.working.Unlock()
	if err := errors.Join(o.settle(ctx), o.Store.Write(ctx)); err != nil {
		return nil, err
	}
	r := &round{Office: o, settings: o.Settings(), preview: preview}
	var failed error
	for back := days; back >= 1; back-- { // the oldest first
		failed = errors.Join(failed, r.day(ctx, o.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -back)))
	}
	return r.out, failed
}

func (r *round) day(ctx context.Context, day time.Time) (err error) {
	if r.hosts, err = r.Store.SentHosts(ctx, day); err != nil {
		return err
	}
	if r.settings.Aggregate {
		err = r.aggregates(ctx, day)
	}
	if r.settings.TLS {
		err = errors.Join(err, r.tlsReports(ctx, day))
	}
	return err
}

func (r *round) aggregates(ctx context.Context, day time.Time) error {
	domains, err := r.Store.SeenDomains(ctx, day)
	if err != nil {
		return err
	}
	var failed error
	for _, domain := range domains {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !r.settings.Never[domain] {
			failed = errors.Join(failed, r.aggregate(ctx, day, domain))
		}
	}
	return failed
}

// send sends one paper to all who want it and did not get it.
func (r *round) send(ctx context.Context, kind report.Kind, day time.Time, to []destination, p paper) error {
	for _, d := range to {
		s := report.Sending{Kind: kind, Day: day, Domain: p.domain, URI: d.uri}
		was, err := r.Store.Progress(ctx, s)
		if err != nil {
			return err
		}
		if was.Stage == report.Sent || was.Stage == report.LeftOut || was.Stage == report.Begun {
			continue
		}
		now, size, err := r.sendOne(ctx, s, d, p)
		if err != nil {
			return err
		}
		r.out = append(r.out, Sent{kind, day.Format(time.DateOnly), p.domain, d.uri, now.Stage, now.Note, size})
		if r.preview {
			continue
		}
		if err := r.note(ctx, s, now); err != nil {
			return err
		}
		r.Events.Emit(Reported{Kind: kind, Domain: p.domain, URI: d.uri, Stage: now.Stage, Note: now.Note, Size: size})
	}
	return nil
}

// owed is what became of a report, and could not be noted.
type owed struct {
	report.Sending
	report.Progress
}

// note notes what became of a report that was begun. That is done also when nobody waits
// for it any more; and what the disk does not take comes before all that is sent next.
func (o *Office) note(ctx context.Context, s report.Sending, p report.Progress) error {
	err := o.Store.Mark(context.WithoutCancel(ctx), s, p)
	if err != nil {
		o.owed = append(o.owed, owed{s, p})
	}
	return err
}

// settle notes what is owed.
func (o *Office) settle(ctx context.Context) error {
	for len(o.owed) > 0 {
		if err := o.Store.Mark(ctx, o.owed[0].Sending, o.owed[0].Progress); err != nil {
			return err
		}
		o.owed = o.owed[1:]
	}
	return nil
}

// sendOne sends to one destination. The error is one of our own disk.
func (r *round) sendOne(ctx context.Context, s report.Sending, d destination, p paper) (report.Progress, int, error) {
	host := d.host()
	switch {
	case d.later:
		return report.Progress{Stage: report.Later, Note: d.problem}, 0, nil
	case d.problem != "":
		return report.Progress{Stage: report.LeftOut, Note: d.problem}, 0, nil
	case r.hosts[host] >= r.settings.PerHost:
		return report.Progress{Stage: report.LeftOut, Note: fmt.Sprintf("%s gets no more than %d reports a day", host, r.settings.PerHost)}, 0, nil
	}
	r.hosts[host]++
	if d.web != "" {
		return r.post(ctx, s, d, p)
	}
	return r.mail(ctx, s, d, p)
}

// mail commits a letter.
func (r *round) mail(ctx context.Context, s report.Sending, d destination, p paper) (report.Progress, int, error) {
	now := r.now()
	text, messageID, err := p.letter(r.Hostname, r.settings.From, d.to, now)
	if err != nil {
		return report.Progress{Stage: report.LeftOut, Note: err.Error()}, 0, nil
	}
	size := len(text)
	if d.max > 0 && int64(size) > d.max || int64(size) > r.settings.MaxSize {
		return report.Progress{Stage: report.LeftOut, Note: fmt.Sprintf("it is too large (%d bytes)", size)}, size, nil
	}
	it, why := r.item(ctx, d, p, now)
	if it == nil || r.preview {
		return why, size, nil
	}
	draft, err := r.Draft(text, it)
	if err != nil {
		return report.Progress{}, size, err
	}
	draft.MessageID = messageID
	if err := r.Store.Mark(ctx, s, report.Progress{Stage: report.Begun, Item: int64(it.ID)}); err != nil {
		draft.Spool.Discard()
		return report.Progress{}, size, err
	}
	if err := r.Queue.Commit(ctx, draft); err != nil {
		return report.Progress{Stage: report.Later, Note: err.Error()}, size, nil
	}
	return report.Progress{Stage: report.Sent, Item: int64(it.ID), Note: "as " + it.ID.String()}, size, nil
}

// item is the letter's envelope: from nobody, and not before it is noted.
func (r *round) item(ctx context.Context, d destination, p paper, now time.Time) (*queue.Item, report.Progress) {
	a := r.Router.Expand(ctx, route.Question{Recipient: d.to})
	switch a.State() {
	case lookup.NotFound:
		return nil, report.Progress{Stage: report.LeftOut, Note: "there is no such address here"}
	case lookup.TryAgain:
		return nil, report.Progress{Stage: report.Later, Note: "where it goes is not known now"}
	}
	it := &queue.Item{
		ID: r.Queue.NextID(), Arrived: now, UTF8: !d.to.IsASCII(), TLSOptional: p.tls,
		Release: now.Add(aside + time.Duration(r.hosts[d.host()]-1)*gap),
		Origin:  queue.Origin{Local: true, Protocol: bounce.FromReport},
	}
	for _, to := range a.Value().Destinations {
		it.Recipients = append(it.Recipients, queue.Recipient{Address: to.Address, Original: d.to, Route: to.String()})
	}
	return it, report.Progress{Stage: report.Sent, Note: "would be sent"}
}

// look bounds the questions of one report.
func look(ctx context.Context) context.Context { return dns.WithBudget(ctx, questions) }
