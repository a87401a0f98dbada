package sign

import (
	"context"
	"time"

	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/store/queue"
)

// Outbox is the way of all letters that the server itself writes: notices, letters to the
// postmaster, reports. They are signed here and nowhere else.
type Outbox struct {
	queue  *queue.Queue
	signer *Signer
}

// NewOutbox makes an Outbox; without a signer, letters leave unsigned.
func NewOutbox(q *queue.Queue, s *Signer) *Outbox { return &Outbox{queue: q, signer: s} }

// Draft makes a draft of a letter: its text, signed, and its item, whose ID is given
// already. The caller commits it, with its cause where it has one.
func (o *Outbox) Draft(text []byte, it *queue.Item) (queue.Draft, error) {
	g := o.signer.whole(text, it.Arrived)
	spool := o.queue.Spool()
	_, err := spool.Write(text)
	if err == nil {
		err = spool.Prepend(g.Fields)
	}
	if err != nil {
		spool.Discard()
		return queue.Draft{}, err
	}
	return queue.Draft{Spool: spool, Item: it, Announce: func() { o.signer.Tell(it.ID, g, it.Arrived) }}, nil
}

// Commit queues a letter: it is durable when there is no error. messageID is for the log;
// "" where there is none.
func (o *Outbox) Commit(ctx context.Context, text []byte, it *queue.Item, messageID string) error {
	d, err := o.Draft(text, it)
	if err != nil {
		return err
	}
	d.MessageID = messageID
	return o.queue.Commit(ctx, d)
}

// whole signs a letter that is at hand.
func (s *Signer) whole(text []byte, now time.Time) Signature {
	if s == nil {
		return Signature{}
	}
	end := message.HeaderEnd(text)
	header, body := message.Header(text[:end]), dkim.NewBody()
	letter := s.Open(header, body)
	body.Write(text[end:])
	g, _ := letter.Sign(header, nil, nil, now) // the same header, the same keys; nobody is barred
	return g
}
