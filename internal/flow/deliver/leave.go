package deliver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
	"facteur/internal/store/queue"
)

// headerMax is how much of a message is looked at as its header, in bytes, where addresses
// in it are replaced. A longer header stays as it is.
const headerMax = 256 << 10

// departure is a message as it leaves this server, where that is not how it is kept.
type departure struct {
	sender     address.Address
	recipients []address.Address // nil: as they are
	head       []byte            // instead of the first bytes
	instead    int64             // so many
	utf8       bool              // it is internationalised by now
	edited     bool              // the header says other things than it did
	trouble    error             // why the sender stays as he is
}

// departs makes of the message of an attempt what leaves: the sender whom bounces reach us
// by, addresses that mean something elsewhere, and a trace of whom it was forwarded from.
// Letters that stay on our own machines (LMTP, programs, Maildirs) are not asked about.
func (o *Outbound) departs(ctx context.Context, a *attempt, r io.ReadSeeker, now time.Time) (departure, error) {
	d := departure{sender: a.item.Sender}
	if a.choice.Transport.Kind != transport.SMTP {
		return d, nil
	}
	if err := o.readdress(ctx, a, &d, r); err != nil {
		return d, err
	}
	from, to := a.item.Recipients[0].Forwarder, a.item.Recipients[0]
	if !from.IsNull() {
		d.sender, d.trouble = o.Forward.Sender(ctx, d.sender, now)
		d.head = append([]byte("Delivered-To: "+from.String()+"\r\n"), d.head...)
		d.utf8 = !from.IsASCII()
	}
	if isOwn(a.item) || to.Owned {
		d.sender = o.Forward.Mark(ctx, d.sender, now)
	}
	return d, nil
}

// readdress replaces addresses by the generic tables.
func (o *Outbound) readdress(ctx context.Context, a *attempt, d *departure, r io.ReadSeeker) error {
	if o.Rewrite == nil || o.Rewrite.Generic.Empty() {
		return nil
	}
	become := func(from address.Address) (address.Address, error) {
		to := o.Rewrite.Leaving(ctx, from)
		if to.State() != lookup.Found {
			return from, to.Err()
		}
		return to.Value(), nil
	}
	var err error
	if d.sender, err = become(d.sender); err != nil {
		return err
	}
	d.recipients = make([]address.Address, len(a.item.Recipients))
	for i, to := range a.item.Recipients {
		if d.recipients[i], err = become(to.Address); err != nil {
			return err
		}
	}
	return o.readdressHeader(ctx, d, r)
}

func (o *Outbound) readdressHeader(ctx context.Context, d *departure, r io.ReadSeeker) error {
	h, _, err := message.ReadHeader(r, headerMax)
	if _, serr := r.Seek(0, io.SeekStart); serr != nil {
		return serr
	}
	if err != nil {
		return nil // not whole
	}
	changed, err := o.Rewrite.HeaderLeaving(ctx, h)
	if err != nil || len(h) == 0 || &changed[0] == &h[0] {
		return err
	}
	d.head, d.instead, d.edited = changed, int64(len(h)), true
	return nil
}

// apply puts the departure into the envelope, and gives the bytes.
func (d *departure) apply(e *smtpc.Envelope, r io.ReadSeeker) io.ReadSeeker {
	e.Sender = d.sender
	e.UTF8 = e.UTF8 || d.utf8
	for i, to := range d.recipients {
		e.Recipients[i].To = to
	}
	if d.head == nil {
		return r
	}
	e.Size += int64(len(d.head)) - d.instead
	return &reheaded{head: d.head, instead: d.instead, body: r}
}

// tell says under which sender a message leaves, where that is another than we know it by.
func (d *departure) tell(events event.Sink, a *attempt) {
	if d.sender != a.item.Sender || d.trouble != nil {
		events.Emit(Departed{ID: a.item.ID, Sender: a.item.Sender, As: d.sender, Forwarder: a.item.Recipients[0].Forwarder, Trouble: d.trouble})
	}
}

// Departed: a message is handed over with another sender than we know it by, or could not
// be.
type Departed struct {
	ID         queue.ID
	Sender, As address.Address
	// Forwarder is the address here that it was for; zero where it was for none.
	Forwarder address.Address
	// Trouble is why a forwarded message leaves with its sender as he is.
	Trouble error
}

// Level implements event.Event.
func (Departed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Departed) Record() (string, []slog.Attr) {
	attrs := []slog.Attr{slog.String("id", e.ID.String()), slog.String("from", e.Sender.String()), slog.String("as", e.As.String())}
	if !e.Forwarder.IsNull() {
		attrs = append(attrs, slog.String("forwarder", e.Forwarder.String()))
	}
	if e.Trouble != nil {
		attrs = append(attrs, slog.String("error", e.Trouble.Error()))
	}
	return "departed", attrs
}

// Line implements event.Event.
func (e Departed) Line() (string, string) {
	if e.Trouble != nil {
		return "postfix/smtp", fmt.Sprintf("warning: %s: from=<%s> is forwarded without SRS: %v", e.ID, e.Sender, e.Trouble)
	}
	return "postfix/smtp", fmt.Sprintf("%s: from=<%s> leaves as from=<%s>", e.ID, e.Sender, e.As)
}

var _ event.Event = Departed{}

// reheaded reads a message with other first bytes.
type reheaded struct {
	head    []byte
	instead int64 // bytes of the body
	body    io.ReadSeeker
	at      int // in head
	begun   bool
}

// Read implements io.Reader.
func (h *reheaded) Read(p []byte) (int, error) {
	if h.at < len(h.head) {
		n := copy(p, h.head[h.at:])
		h.at += n
		return n, nil
	}
	if !h.begun {
		if _, err := h.body.Seek(h.instead, io.SeekStart); err != nil {
			return 0, err
		}
		h.begun = true
	}
	return h.body.Read(p)
}

// Seek goes back to the start, and reads on to any other place.
func (h *reheaded) Seek(offset int64, whence int) (int64, error) {
	if offset < 0 || whence != io.SeekStart {
		return 0, fmt.Errorf("a message that leaves is read from its start, not from %d (%d)", offset, whence)
	}
	h.at, h.begun = 0, false
	return io.CopyN(io.Discard, h, offset)
}

// loops refuses a message that has been forwarded from the same address before (LOOP-002).
func (a *attempt) loops(r io.ReadSeeker) ([]result, error) {
	from := a.item.Recipients[0].Forwarder
	if from.IsNull() {
		return nil, nil
	}
	arrived, err := hasArrived(r, from)
	if err != nil || !arrived {
		return nil, err
	}
	reply := smtp.NewReply(554, "5.4.6", "mail forwarding loop for "+from.String())
	return a.all(reply, reply.Text()), nil
}

// notNow is for a table that did not answer: the mail waits.
func (a *attempt) notNow(err error) []result {
	reply := smtp.NewReply(451, "4.3.0", "address rewriting: "+err.Error())
	return a.all(reply, reply.Text())
}
