package intake

import (
	"context"
	"fmt"
	"io"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// Classroom takes what our users report as spam, or as none, by sending it to an address of
// ours. What is sent there is read and goes nowhere else.
type Classroom struct {
	// Takes tells such an address.
	Takes func(address.Address) bool
	// Report looks at a letter for such addresses. The error is told to who sent it; then is
	// called when the letter was accepted.
	Report func(account string, to []address.Address, letter io.ReaderAt, size int64) (then func(), err error)
}

// Teaching says who takes reports. It comes before the first message.
func (d *Desk) Teaching(c Classroom) { d.classroom = c }

// forLessons is the recipient that is a report address; nil for any other. Only who has
// logged in may report: what strangers send there nobody asked for.
func (t *Transaction) forLessons(ctx context.Context, to address.Address, m meant) ([]recipient, *smtp.Reply) {
	if t.desk.classroom.Takes == nil || !t.desk.classroom.Takes(m.Address) || t.desk.router.Hosts(ctx, m.Address.Domain).State() != lookup.Found {
		return nil, nil
	}
	if t.peer.Account == "" {
		return nil, smtp.NewReply(550, "5.7.1", fmt.Sprintf("<%s>: Recipient address rejected: log in to report letters", to))
	}
	return []recipient{{original: to, lesson: true, dest: route.Destination{Kind: route.Discard, Address: m.Address}}}, nil
}

// readLessons refuses a report in which there is nothing to learn from.
func (t *Transaction) readLessons() *smtp.Reply {
	var to []address.Address
	for i := range t.recipients {
		if r := &t.recipients[i]; r.lesson && r.gets() {
			to = append(to, r.dest.Address)
		}
	}
	if len(to) == 0 || t.discard {
		return nil
	}
	then, err := t.desk.classroom.Report(t.peer.Account, to, t.spool, t.spool.Size())
	if err != nil {
		return smtp.NewReply(554, "5.6.0", "Report not taken: "+err.Error())
	}
	t.lessons = then
	return nil
}
