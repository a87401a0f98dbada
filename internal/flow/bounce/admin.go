package bounce

import (
	"context"
	"fmt"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
)

// TellAdmin commits a letter to the postmaster, or to the address that is given, about
// this server itself. Nothing is ever written because of it. Where nobody reads it, the
// error says whose mailbox is missing.
func (w *Writer) TellAdmin(ctx context.Context, reader address.Address, subject, text string, now time.Time) error {
	if reader.IsNull() {
		reader = address.Address{Local: "postmaster"}
	}
	a := w.router.Resolve(ctx, reader)
	switch a.State() {
	case lookup.NotFound:
		return fmt.Errorf("there is no mailbox for %s; make an account or an alias of that name", reader)
	case lookup.TryAgain:
		return a.Err()
	}
	to := a.Value()
	letter := dsn.Letter{Host: w.hostname, To: to.Address, Date: now, MessageID: w.messageID(now), Language: "en",
		Sender: summarySender.In("en"), Subject: subject, Text: text}
	return w.outbox.Commit(ctx, dsn.BuildLetter(letter), w.item(to, fromPostmaster, now), letter.MessageID)
}
