package intake

import (
	"context"

	"facteur/internal/mail/smtp"
)

// Visit is one connection at the desk, from before its banner to its end. It
// belongs to one goroutine.
type Visit struct {
	desk *Desk
}

// WantsName tells that Connect looks at the client's name.
func (d *Desk) WantsName() bool { return false }

// Connect opens a visit. A reply is why there is none: the client is told and the
// connection ends.
func (d *Desk) Connect(ctx context.Context, p Peer) (*Visit, *smtp.Reply) {
	return &Visit{desk: d}, nil
}

// Helo is told of each HELO and EHLO; a reply refuses it.
func (v *Visit) Helo(ctx context.Context, p Peer) *smtp.Reply { return nil }

// Begin opens a transaction; nil means accepted.
func (v *Visit) Begin(ctx context.Context, p Peer, m smtp.Mail) (*Transaction, *smtp.Reply) {
	return v.desk.Begin(ctx, p, m)
}

// Close ends the visit.
func (v *Visit) Close() {}

// Data is asked before the peer is told to send the message; a reply refuses it.
func (t *Transaction) Data(ctx context.Context) *smtp.Reply { return nil }

// Answers are, after Commit, one for each RCPT that was taken, in their order,
// repetitions included: nil where the message is kept for the recipient (RFC 2033
// §4.2).
func (t *Transaction) Answers() []*smtp.Reply { return make([]*smtp.Reply, len(t.recipients)) }
