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
	// WantsName tells that Connect looks at the client's name, so that the banner
	// has to wait for it.
	WantsName() bool
	Connect(ctx context.Context, p intake.Peer) (visit, *smtp.Reply)
	Limits() (size int64, recipients int)
}

// visit is an intake.Visit.
type visit interface {
	Helo(ctx context.Context, p intake.Peer) *smtp.Reply
	Begin(ctx context.Context, p intake.Peer, m smtp.Mail) (transaction, *smtp.Reply)
	Close()
}

// transaction is an intake.Transaction.
type transaction interface {
	Recipient(ctx context.Context, r smtp.Rcpt) *smtp.Reply
	Recipients() int
	Data(ctx context.Context) *smtp.Reply
	Receive(ctx context.Context, r io.Reader) *smtp.Reply
	Commit(ctx context.Context) (queue.ID, *smtp.Reply)
	Answers() []*smtp.Reply
	Abort()
}

// deskOf and visitOf make the real ones fit: the methods return what they return
// there.
type (
	deskOf  struct{ *intake.Desk }
	visitOf struct{ *intake.Visit }
)

// Connect implements desk.
func (d deskOf) Connect(ctx context.Context, p intake.Peer) (visit, *smtp.Reply) {
	v, reply := d.Desk.Connect(ctx, p)
	if reply != nil {
		return nil, reply
	}
	return visitOf{v}, nil
}

// Begin implements visit.
func (v visitOf) Begin(ctx context.Context, p intake.Peer, m smtp.Mail) (transaction, *smtp.Reply) {
	t, reply := v.Visit.Begin(ctx, p, m)
	if reply != nil {
		return nil, reply
	}
	return t, nil
}
