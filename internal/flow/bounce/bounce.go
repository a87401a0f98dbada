// Package bounce writes the notices that tell a sender what became of his
// message: that it failed, that it is late, or, if he asked for it, that it arrived
// (RFC 3461, RFC 3464).
//
// A notice is a message like any other: it is committed to the queue in the same
// transaction as the end that it reports, with the null sender, and leaves by
// the same corridor. Nobody is told who may not have sent the message: a bounce to
// a forged address is itself spam, and so is a notice of success that somebody
// asked for in another's name. So NOTIFY=SUCCESS is kept for our own users and
// machines alone, and a door should offer DSN to nobody else (RFC 3461 §3: what is
// offered is to be kept). There is no notice about a notice.
//
// One notice tells of all recipients of a message that are settled together; see
// package deliver for which are.
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
	ORcpt             smtp.Original
	Action            dsn.Action
	Status            string // RFC 3463
	// Text is the reply as people read it; Reply the reply itself, or nil; Host
	// who said it, "" when it was said here.
	Text, Host string
	Reply      *smtp.Reply
	// RetryUntil is how long it will be tried; only for dsn.Delayed.
	RetryUntil time.Time
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

// Wants says whether the sender of an item is to hear of what became of a
// recipient: he may be told, and he asked for it. Who did not say what he wants
// hears of failures and delays (RFC 3461 §4.1).
func (w *Writer) Wants(it *queue.Item, r queue.Recipient, a dsn.Action) bool {
	return Asked(r.Notify, a) && w.MayTell(it)
}

// Asked tells whether NOTIFY asks for notices of an action.
func Asked(n smtp.Notify, a dsn.Action) bool {
	switch {
	case n&smtp.NotifyNever != 0:
		return false
	case a == dsn.Failed:
		return n == 0 || n&smtp.NotifyFailure != 0
	case a == dsn.Delayed:
		return n == 0 || n&smtp.NotifyDelay != 0
	}
	return n&smtp.NotifySuccess != 0
}

// reported are the recipients as the notice has them.
func reported(told []Recipient, now time.Time) []dsn.Recipient {
	out := make([]dsn.Recipient, len(told))
	for i, r := range told {
		out[i] = dsn.Recipient{
			Final: r.Address, Original: r.Original, ORcpt: dsn.Typed(r.ORcpt), Action: r.Action, Status: r.Status,
			RemoteMTA: r.Host, Diagnostic: r.diagnostic(), LastAttempt: now, RetryUntil: r.RetryUntil,
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

// Notice writes the notice of what became of recipients of an item, for its sender.
// About a message with REQUIRETLS it returns the header only, and is to travel
// under TLS itself (RFC 8689 §5).
func (w *Writer) Notice(ctx context.Context, it *queue.Item, told []Recipient, now time.Time) (queue.Draft, error) {
	// Without the bytes there is still something to tell, and nothing to wait for.
	original, _ := w.beginning(ctx, it)
	dest, err := w.destination(ctx, it)
	if err != nil {
		return queue.Draft{}, err
	}
	id := w.queue.NextID()
	report := dsn.Report{
		Host: w.hostname, Language: w.language(), To: it.Sender, Date: now, MessageID: w.messageID(now),
		QueueID: it.ID.String(), EnvelopeID: it.EnvelopeID, Arrived: it.Arrived, Recipients: reported(told, now),
		Original: original, Size: it.Size, Full: it.Ret != smtp.RetHeaders && !it.RequireTLS, UTF8: it.UTF8,
	}
	spool := w.queue.Spool()
	if _, err := spool.Write(dsn.Build(report)); err != nil {
		spool.Discard()
		return queue.Draft{}, err
	}
	return queue.Draft{Spool: spool, Item: &queue.Item{
		ID: id, Arrived: now, UTF8: !it.Sender.IsASCII(), RequireTLS: it.RequireTLS,
		Origin:     queue.Origin{Local: true, Protocol: "internal"},
		Recipients: []queue.Recipient{{Address: it.Sender, Original: it.Sender, Route: dest.String()}},
	}}, nil
}

// destination routes the notice. What a program of this machine sent in the name of a
// user without a mailbox (www-data) is the postmaster's to hear of. Another sender here
// who is unknown by now gets it all the same queued for his domain, where it ends as
// undeliverable in the open: a letter of a deleted account is nobody else's to read.
func (w *Writer) destination(ctx context.Context, it *queue.Item) (route.Destination, error) {
	sender := it.Sender
	a := w.router.Resolve(ctx, sender)
	if a.State() == lookup.NotFound && it.Origin.Local {
		if p := w.router.Resolve(ctx, address.Address{Local: "postmaster", Domain: sender.Domain}); p.State() != lookup.NotFound {
			a = p
		}
	}
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
