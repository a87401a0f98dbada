package intake

import (
	"context"
	"fmt"
	"io"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// Classroom takes what our users say of letters that came by letters that they send. What they
// send to an address for reports is read and goes nowhere else.
type Classroom struct {
	// Takes tells such an address.
	Takes func(address.Address) bool
	// Busy tells that a report of a size, in bytes, is to come later.
	Busy func(size int64) bool
	// Report looks at a letter for such addresses. The error is told to who sent it; then is
	// called when the letter was accepted.
	Report func(account string, to []address.Address, letter io.ReaderAt, size int64) (then func(), err error)
	// Sent hears of each letter that an account sent on its way, once it was accepted: its
	// header, and whom it is for. It must not wait, and not keep the header. nil: nobody does.
	Sent func(account string, header message.Header, to []address.Address)
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
	if t.desk.classroom.Busy(t.spool.Size()) {
		return smtp.NewReply(451, "4.3.2", "Report not taken: too many wait to be learnt; try again later")
	}
	then, err := t.desk.classroom.Report(t.peer.Account, to, t.spool, t.spool.Size())
	if err != nil {
		return smtp.NewReply(554, "5.6.0", "Report not taken: "+err.Error())
	}
	t.lessons = then
	return nil
}

// teach has done what a letter that was accepted teaches. What is on hold is not sent yet,
// and perhaps not by its owner.
func (t *Transaction) teach() {
	if t.lessons != nil {
		t.lessons()
	}
	if sent := t.desk.classroom.Sent; sent != nil && t.peer.Account != "" && t.hold == "" {
		sent(t.peer.Account, t.header, t.originals())
	}
}
