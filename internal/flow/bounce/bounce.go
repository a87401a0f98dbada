// Package bounce writes the notices that tell a sender what became of his
// message: that it failed, or that it is late.
//
// A notice is a message like any other: it is committed to the queue in the same
// transaction as the failure that it reports, with the null sender, and leaves by
// the same corridor. Nobody is told who may not have sent the message: a bounce to
// a forged address is itself spam. There is no notice about a notice.
package bounce

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Recipient is what became of one recipient of the message.
type Recipient struct {
	Address, Original address.Address
	Status            string // RFC 3463
	// Text is the reply as people read it; Reply the reply itself, or nil; Host
	// who said it, "" when it was said here.
	Text, Host string
	Reply      *smtp.Reply
}

// Writer writes the notices of one server. It is safe for concurrent use.
type Writer struct {
	hostname string
	language func() string
	queue    *queue.Queue
	router   *route.Router
}

// New makes a Writer; hostname is who reports, language ("en", "fr") is asked for
// each notice.
func New(hostname string, language func() string, q *queue.Queue, r *route.Router) *Writer {
	return &Writer{hostname: hostname, language: language, queue: q, router: r}
}

// MayTell says whether the sender of an item may get a notice: it is known that he
// sent it, and he is not the null sender.
func (w *Writer) MayTell(it *queue.Item) bool {
	return !it.Sender.IsNull() && (it.Origin.Account != "" || it.Origin.Local)
}

// Failure writes the notice that recipients will never get the message.
func (w *Writer) Failure(ctx context.Context, it *queue.Item, failed []Recipient, now time.Time) (queue.Draft, error) {
	return w.notice(ctx, it, now, recipients(failed, dsn.Failed, now, time.Time{}))
}

// Delay writes the notice that the message is late, and until when it is tried.
func (w *Writer) Delay(ctx context.Context, it *queue.Item, delayed []Recipient, now, until time.Time) (queue.Draft, error) {
	return w.notice(ctx, it, now, recipients(delayed, dsn.Delayed, now, until))
}

func recipients(in []Recipient, a dsn.Action, now, until time.Time) []dsn.Recipient {
	out := make([]dsn.Recipient, len(in))
	for i, r := range in {
		out[i] = dsn.Recipient{
			Final: r.Address, Original: r.Original, Action: a, Status: r.Status,
			RemoteMTA: r.Host, Diagnostic: r.diagnostic(), LastAttempt: now, RetryUntil: until,
		}
	}
	return out
}

// diagnostic is the reply of the other side, or our own words.
func (r Recipient) diagnostic() string {
	if r.Host != "" && r.Reply != nil {
		return r.Reply.Error()
	}
	return r.Text
}

func (w *Writer) notice(ctx context.Context, it *queue.Item, now time.Time, to []dsn.Recipient) (queue.Draft, error) {
	// Without the bytes there is still something to tell, and nothing to wait for.
	original, _ := w.beginning(ctx, it)
	dest, err := w.destination(ctx, it.Sender)
	if err != nil {
		return queue.Draft{}, err
	}
	id := w.queue.NextID()
	report := dsn.Report{
		Host: w.hostname, Language: w.language(), To: it.Sender, Date: now, MessageID: w.messageID(now),
		QueueID: it.ID.String(), Arrived: it.Arrived, Recipients: to,
		Original: original, Size: it.Size, Full: it.Size <= dsn.MaxReturn,
	}
	spool := w.queue.Spool()
	if _, err := spool.Write(dsn.Build(report)); err != nil {
		spool.Discard()
		return queue.Draft{}, err
	}
	return queue.Draft{Spool: spool, Item: &queue.Item{
		ID: id, Arrived: now, UTF8: !it.Sender.IsASCII(),
		Origin:     queue.Origin{Local: true, Protocol: "internal"},
		Recipients: []queue.Recipient{{Address: it.Sender, Original: it.Sender, Route: dest.String()}},
	}}, nil
}

// destination routes the notice. A sender here who is unknown by now gets it all
// the same queued for his domain, where it ends as undeliverable in the open.
func (w *Writer) destination(ctx context.Context, sender address.Address) (route.Destination, error) {
	a := w.router.Resolve(ctx, sender)
	switch a.State() {
	case lookup.Found:
		return a.Value(), nil
	case lookup.NotFound:
		d := route.Destination{Kind: route.Mailbox, Address: sender}
		d.Account.Address = sender.Key()
		return d, nil
	}
	return route.Destination{}, fmt.Errorf("routing a notice: %w", a.Err())
}

// beginning is as much of the message as a notice can return.
func (w *Writer) beginning(ctx context.Context, it *queue.Item) ([]byte, error) {
	body, err := w.queue.Body(ctx, it)
	if err != nil {
		return nil, err
	}
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, dsn.MaxReturn))
}

func (w *Writer) messageID(now time.Time) string {
	return fmt.Sprintf("<%s.%s@%s>", now.UTC().Format("20060102150405"), rand.Text()[:16], w.hostname)
}
