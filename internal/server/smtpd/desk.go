package smtpd

import (
	"context"
	"io"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// desk is what the door asks of flow/intake. Dialogue tests have a double that
// needs no store.
type desk interface {
	Begin(ctx context.Context, p intake.Peer, m smtp.Mail) (transaction, *smtp.Reply)
	Authenticate(ctx context.Context, p intake.Peer, user, password string) (account string, reply *smtp.Reply)
	Limits() (size int64, recipients int)
}

// transaction is an intake.Transaction.
type transaction interface {
	Recipient(ctx context.Context, r smtp.Rcpt) *smtp.Reply
	Recipients() int
	Receive(ctx context.Context, r io.Reader) *smtp.Reply
	Commit(ctx context.Context) (queue.ID, *smtp.Reply)
	Abort()
}

// deskOf makes the real desk fit: the methods return what they return there.
type deskOf struct{ *intake.Desk }

// Begin implements desk.
func (d deskOf) Begin(ctx context.Context, p intake.Peer, m smtp.Mail) (transaction, *smtp.Reply) {
	t, reply := d.Desk.Begin(ctx, p, m)
	if reply != nil {
		return nil, reply
	}
	return t, nil
}
