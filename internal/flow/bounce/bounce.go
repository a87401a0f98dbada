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
// package deliver for which are. Of a refusal that is known (package refusal) it says
// what it means and what to do.
//
// A notice that can't be delivered has nobody to go back to. The postmaster gets it,
// once, in the same transaction (LOOP-005); what is for the postmaster and can't be
// delivered ends in the log. Beside that he may have letters about other topics, one a
// topic and hour at most (Summary).
package bounce

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/refusal"
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
	settings func() Settings
	queue    *queue.Queue
	router   *route.Router
	outbox   *sign.Outbox

	readers, postmasters flood
}

// New makes a Writer; hostname is who reports, language ("en", "fr") is asked for each
// notice. All else is as in the zero Settings; see Configure.
func New(hostname string, language func() string, q *queue.Queue, r *route.Router) *Writer {
	return &Writer{hostname: hostname, settings: func() Settings { return Settings{Language: language()} }, queue: q, router: r, outbox: sign.NewOutbox(q, nil)}
}

// Configure has settings asked for each notice. It comes before the first.
func (w *Writer) Configure(settings func() Settings) { w.settings = settings }

// Sign has notices signed. It comes before the first.
func (w *Writer) Sign(s *sign.Signer) { w.outbox = sign.NewOutbox(w.queue, s) }

// MayTell says whether the sender of an item may get a notice: it is known that he
// sent it, or his domain says so itself (SPF or DKIM; LOOP-007), or he answers for the
// list that it came by, and he is not the null sender.
func (w *Writer) MayTell(it *queue.Item) bool {
	o := &it.Origin
	return !it.Sender.IsNull() && (o.Account != "" || o.Local || o.Authentic || it.Owned())
}

// Wants says whether the sender of an item is to hear of what became of a
// recipient: he may be told, and he asked for it. Who did not say what he wants
// hears of failures and delays (RFC 3461 §4.1).
func (w *Writer) Wants(it *queue.Item, r queue.Recipient, a dsn.Action) bool {
	if !Asked(r.Notify, a) || !w.MayTell(it) {
		return false
	}
	return a == dsn.Failed || w.readers.count(it.Sender.Key(), time.Now()) < perReader
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
func reported(told []Recipient, language string, now time.Time) []dsn.Recipient {
	out := make([]dsn.Recipient, len(told))
	for i, r := range told {
		out[i] = dsn.Recipient{
			Final: r.Address, Original: r.Original, ORcpt: dsn.Typed(r.ORcpt), Action: r.Action, Status: r.Status,
			RemoteMTA: r.Host, Diagnostic: r.diagnostic(), LastAttempt: now, RetryUntil: r.RetryUntil,
		}
		if x, known := r.reading(); known {
			out[i].Cause, out[i].Cure, out[i].Link = x.Cause.In(language), x.Advice(r.Action == dsn.Failed).In(language), x.Link
		}
	}
	return out
}

// reading is what the other side's refusal means, or why it did not get the message.
func (r Recipient) reading() (refusal.Reading, bool) {
	switch {
	case r.Reply == nil || r.Reply.Code < 400:
		return refusal.Reading{}, false
	case r.Host == "":
		return refusal.ReadOwn(r.Text)
	}
	return refusal.Read(r.Host, r.Reply.Code, r.Reply.Enhanced, r.Reply.Text())
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
	s := w.settings()
	// Without the bytes there is still something to tell, and nothing to wait for.
	original, _ := w.beginning(ctx, it, s)
	dest, err := w.destination(ctx, it)
	if err != nil {
		return queue.Draft{}, err
	}
	report := w.report(it, s, it.Sender, s.language(it.Sender, original), told, original, now)
	if w.readers.add(it.Sender.Key(), now) >= perReader {
		report.Full = false
	}
	d, err := w.draft(report, dest[0], fromHouse, it.RequireTLS, now)
	if err != nil {
		return queue.Draft{}, err
	}
	d.Item.Recipients = d.Item.Recipients[:0]
	for _, to := range dest {
		d.Item.Recipients = append(d.Item.Recipients, queue.Recipient{Address: to.Address, Original: it.Sender, Route: to.String()})
	}
	d.Item.UTF8 = !it.Sender.IsASCII()
	return d, nil
}

// report is what a notice about an item tells its reader.
func (w *Writer) report(it *queue.Item, s Settings, reader address.Address, language string, told []Recipient, original []byte, now time.Time) dsn.Report {
	language = dsn.Language(language)
	return dsn.Report{
		Host: w.hostname, Language: language, Templates: s.Templates[language], To: reader, Date: now, MessageID: w.messageID(now),
		DelayWarning: s.DelayWarning, Lifetime: s.Lifetime, BounceLifetime: s.BounceLifetime,
		QueueID: it.ID.String(), EnvelopeID: it.EnvelopeID, Arrived: it.Arrived, Recipients: reported(told, language, now),
		Original: original, Size: it.Size, MaxReturn: s.Return, Full: it.Ret != smtp.RetHeaders && !it.RequireTLS,
		EightBit: it.Body8Bit, UTF8: it.UTF8,
	}
}

// draft is the notice as an item of the queue.
func (w *Writer) draft(report dsn.Report, dest route.Destination, protocol string, requireTLS bool, now time.Time) (queue.Draft, error) {
	it := w.item(dest, protocol, now)
	it.RequireTLS, it.Body8Bit = requireTLS, report.EightBit
	d, err := w.outbox.Draft(dsn.Build(report), it)
	d.MessageID = report.MessageID
	return d, err
}

// item is a letter of the house to one reader, from nobody.
func (w *Writer) item(dest route.Destination, protocol string, now time.Time) *queue.Item {
	return &queue.Item{
		ID: w.queue.NextID(), Arrived: now, UTF8: !dest.Address.IsASCII(),
		Origin:     queue.Origin{Local: true, Protocol: protocol},
		Recipients: []queue.Recipient{{Address: dest.Address, Original: dest.Address, Route: dest.String()}},
	}
}

// routing is how long it may take to find where a notice goes. Whoever writes it has
// other mail to see to.
const routing = 10 * time.Second

// destination routes the notice. What a program of this machine sent in the name of a
// user without a mailbox (www-data) is the postmaster's to hear of. Another sender here
// who is unknown by now gets it all the same queued for his domain, where it ends as
// undeliverable in the open: a letter of a deleted account is nobody else's to read.
func (w *Writer) destination(ctx context.Context, it *queue.Item) ([]route.Destination, error) {
	ctx, cancel := context.WithTimeout(ctx, routing)
	defer cancel()
	sender := it.Sender
	a := w.router.Expand(ctx, route.Question{Recipient: sender})
	if a.State() == lookup.NotFound && it.Origin.Local {
		if p := w.router.Expand(ctx, route.Question{Recipient: address.Address{Local: "postmaster", Domain: sender.Domain}}); p.State() != lookup.NotFound {
			a = p
		}
	}
	switch a.State() {
	case lookup.Found:
		return a.Value().Destinations, nil
	case lookup.NotFound:
		d := route.Destination{Kind: route.Mailbox, Address: sender}
		d.Account.Address = sender.Key()
		return []route.Destination{d}, nil
	}
	return nil, fmt.Errorf("routing a notice: %w", a.Err())
}

// beginning is as much of the message as a notice can return.
func (w *Writer) beginning(ctx context.Context, it *queue.Item, s Settings) ([]byte, error) {
	body, err := w.queue.Body(ctx, it)
	if err != nil {
		return nil, err
	}
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(max(s.Return, dsn.DefaultReturn))))
}

func (w *Writer) messageID(now time.Time) string {
	return fmt.Sprintf("<%s.%s@%s>", now.UTC().Format("20060102150405"), rand.Text()[:16], w.hostname)
}
