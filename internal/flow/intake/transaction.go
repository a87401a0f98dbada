package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Transaction is one message on its way in. It belongs to one goroutine.
type Transaction struct {
	desk  *Desk
	rules *Rules
	peer  Peer
	mail  smtp.Mail
	id    queue.ID

	recipients []recipient
	seen       map[string]bool
	spool      *queue.Spool
	messageID  string
	arrived    time.Time
}

// recipient is a forward-path that was accepted.
type recipient struct {
	original address.Address
	dest     route.Destination
	free     int64 // bytes left in its quota; meaningless without a quota
}

// key is equal for recipients that are the same place: a mailbox of ours, whatever
// the spelling, or a foreign address, whose local part only its host understands.
func (r recipient) key() string {
	if r.dest.Kind == route.Mailbox {
		return r.dest.Account.Address
	}
	return r.dest.Address.String()
}

// ID is the queue ID that the message will have.
func (t *Transaction) ID() queue.ID { return t.id }

// Recipients is how many were accepted. A repeated address counts once.
func (t *Transaction) Recipients() int { return len(t.recipients) }

// Recipient takes or refuses a forward-path; nil means accepted.
func (t *Transaction) Recipient(ctx context.Context, c smtp.Rcpt) *smtp.Reply {
	if len(t.recipients) >= t.rules.Recipients {
		return smtp.NewReply(452, "4.5.3", "Error: too many recipients")
	}
	r, reply := t.recipientAllowed(ctx, c.To)
	if reply != nil {
		return reply
	}
	if t.seen[r.key()] {
		return nil // one copy is enough
	}
	if reply := t.hasRoom(ctx, &r); reply != nil {
		return reply
	}
	if t.seen == nil {
		t.seen = make(map[string]bool)
	}
	t.seen[r.key()] = true
	t.recipients = append(t.recipients, r)
	return nil
}

// Receive reads the message to its end; nil means kept, though not yet durable.
// Whatever is refused here has been read: the session stays in step. When r fails
// with an error that knows its own reply, that is the answer.
func (t *Transaction) Receive(ctx context.Context, r io.Reader) *smtp.Reply {
	t.arrived = time.Now()
	t.spool = t.desk.queue.Spool()
	text := r
	if t.peer.insider() {
		text = mended{smtp.CRLF(r)}
	}
	head, rest, err := readHead(text)
	if err == nil {
		err = t.stamp(head)
	}
	if err == nil {
		err = t.keep(head.header, rest)
	}
	if err != nil {
		return t.refuse(r, err)
	}
	if head.received > maxHops {
		return smtp.NewReply(554, "5.4.6", "Error: too many hops")
	}
	return t.weigh()
}

// mended is the text of one of our own users: bare line feeds, which the door
// complains about at the end, have been made line ends (SMTP-001, SMTP-004).
type mended struct{ io.Reader }

// Read implements io.Reader.
func (m mended) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	var data *smtp.DataError
	if errors.As(err, &data) && *data == (smtp.DataError{BareLF: true}) {
		err = io.EOF
	}
	return n, err
}

// maxHops is how many Received fields a message may have on entry (Postfix's
// hopcount_limit; RFC 5321 §6.3 wants at least 100 be allowed, which few do).
const maxHops = 50

// errTooLarge is how keep says it; the reply is tooLarge.
var errTooLarge = errors.New("message is too large")

// keep writes the header and the rest of the message, up to the limit.
func (t *Transaction) keep(header []byte, rest io.Reader) error {
	if _, err := t.spool.Write(header); err != nil {
		return storageError{err}
	}
	left := t.rules.SizeLimit - int64(len(header))
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for left >= 0 {
		n, err := rest.Read(*buf)
		left -= int64(n)
		if _, werr := t.spool.Write((*buf)[:n]); werr != nil {
			return storageError{werr}
		}
		if err == io.EOF && left >= 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	return errTooLarge
}

// copyBuffers are for keep.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// storageError is a fault of our disk, not of the peer's data.
type storageError struct{ err error }

func (e storageError) Error() string { return e.err.Error() }
func (e storageError) Unwrap() error { return e.err }

// refuse answers for what went wrong in Receive, after reading what is left.
func (t *Transaction) refuse(r io.Reader, err error) *smtp.Reply {
	t.Abort()
	var own interface{ Reply() *smtp.Reply }
	if errors.As(err, &own) {
		return own.Reply()
	}
	io.Copy(io.Discard, r) // the verdict stands; how the rest ends is the door's to see
	if errors.Is(err, errTooLarge) {
		return tooLarge(t.rules)
	}
	var disk storageError
	if errors.As(err, &disk) {
		return t.notKept("receiving", err)
	}
	// The peer went away, and hears no answer.
	return smtp.NewReply(451, "4.3.0", "Error: message was cut off")
}

// notKept is the answer to a fault of our disk.
func (t *Transaction) notKept(what string, err error) *smtp.Reply {
	t.desk.events.Emit(Trouble{Peer: t.peer, ID: t.id, What: what, Err: err})
	if queue.IsFull(err) {
		return noRoom()
	}
	return smtp.NewReply(451, "4.3.0", "Error: queue file write error")
}

// weigh compares the size received with what the mailboxes have room for. Refused
// is only a message that fits into none of them: one answer serves all recipients,
// and a letter that exceeds a quota once does less harm than a bounce.
func (t *Transaction) weigh() *smtp.Reply {
	for i := range t.recipients {
		r := &t.recipients[i]
		if r.dest.Account.Quota <= 0 || t.spool.Size() <= r.free {
			return nil
		}
	}
	r := &t.recipients[0]
	if t.spool.Size() > r.dest.Account.Quota {
		return neverFits(r)
	}
	return full(r)
}

// Commit hands the message to the queue. When the reply is nil, message and
// envelope are on stable storage.
func (t *Transaction) Commit(ctx context.Context) (queue.ID, *smtp.Reply) {
	item := t.item()
	err := t.desk.queue.Commit(ctx, queue.Draft{Item: item, Spool: t.spool, Announce: func() { t.announce(item) }})
	if err != nil {
		return 0, t.notKept("committing", err)
	}
	return t.id, nil
}

func (t *Transaction) item() *queue.Item {
	it := &queue.Item{
		ID: t.id, Arrived: t.arrived, Sender: t.mail.Sender,
		Origin: queue.Origin{
			Account: t.peer.Account, Local: t.peer.Trusted,
			ClientAddr: t.peer.Addr.Unmap().String(), ClientName: t.peer.Name,
			Helo: t.peer.Helo, Protocol: t.peer.Protocol,
		},
		Body8Bit: t.mail.Body == "8BITMIME", UTF8: t.mail.UTF8,
		Recipients: make([]queue.Recipient, len(t.recipients)),
	}
	for i, r := range t.recipients {
		it.Recipients[i] = queue.Recipient{Address: r.dest.Address, Original: r.original, Route: r.dest.String()}
	}
	return it
}

// Abort forgets the transaction. It may be called at any time, more than once.
func (t *Transaction) Abort() {
	if t.spool != nil {
		t.spool.Discard()
	}
}

func (t *Transaction) String() string {
	return fmt.Sprintf("%s from <%s>", t.id, t.mail.Sender)
}
