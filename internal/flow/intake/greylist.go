package intake

import (
	"context"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/greylist"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/spf"
)

// comesTooEarly tells a stranger who was asked to come again, and comes before his time,
// while he has not sent his letter once more.
func (t *Transaction) comesTooEarly(to address.Address, people []recipient) *smtp.Reply {
	if t.rules.Greylist == nil || t.check == nil {
		return nil
	}
	l := t.strange()
	l.ID = "" // nothing will come of it
	for i := range people {
		if d := t.rules.Greylist.Early(&l, greylist.Recipient{Address: to, Account: people[i].account()}); d.Reply != nil {
			return d.Reply
		}
	}
	return nil
}

// greylisted has a stranger come again whose letter would be taken, and is suspicious. What
// is thrown away or waits for a person here need not wait elsewhere.
func (t *Transaction) greylisted(ctx context.Context) *smtp.Reply {
	if t.rules.Greylist == nil || t.check == nil || t.discard || t.hold != "" {
		return nil
	}
	l := t.strange()
	if !t.suspects(&l) {
		return nil
	}
	l.Size = int64(len(t.written)) + t.bodySize()
	d := t.rules.Greylist.Ask(ctx, &l)
	if d.Field != "" {
		t.prepend("X-Greylist", d.Field+"; "+mailDate(t.arrived))
	}
	return d.Reply
}

// noStranger notes that a letter was taken.
func (t *Transaction) noStranger() {
	if t.rules.Greylist == nil || t.check == nil {
		return
	}
	if l := t.strange(); t.suspects(&l) {
		t.rules.Greylist.Taken(&l)
	}
}

// strange is what is known of a stranger's letter.
func (t *Transaction) strange() greylist.Letter {
	e, p := t.check.Evidence(), &t.peer
	l := greylist.Letter{ID: t.id.String(), Session: p.Session, Client: p.Addr, Name: p.Name, Helo: p.Helo, Sender: t.mail.Sender, MessageID: t.messageID}
	if e.IPRev.Status == "pass" {
		l.Name = e.IPRev.Name
	}
	if s := e.SPF(); s != nil && s.Status == spf.Pass {
		l.Proven = append(l.Proven, s.Domain)
	}
	for i := range e.DKIM {
		if d := &e.DKIM[i]; d.Status == dkim.Pass && !d.Testing {
			l.Proven = append(l.Proven, d.Domain)
		}
	}
	l.Authentic, l.Aligned = t.isAuthentic(), e.DMARC.Status == dmarc.Pass
	for i := range t.recipients {
		if r := &t.recipients[i]; r.gets() && !r.isWord() {
			l.Recipients = append(l.Recipients, greylist.Recipient{Address: r.original, Account: r.account()})
		}
	}
	return l
}

// suspects notes how suspicious a letter is, by those who would get it; false: it need not
// wait, as nobody gets it, or somebody wants it whatever it is.
func (t *Transaction) suspects(l *greylist.Letter) bool {
	if t.outcome == nil { // nothing is scored
		l.Junk = t.verdict.Disposition == filter.Junk
		return l.Junk || t.verdict.Disposition == filter.Accept
	}
	gets, wanted := 0, 0
	for i := range t.outcome.Fates {
		f := &t.outcome.Fates[i]
		suspicion := f.Tally.Score
		switch f.Disposition {
		case filter.Junk:
			suspicion = max(suspicion, f.Wants.Junk)
		case filter.Accept:
			wanted++
			if suspicion >= f.Wants.Junk { // he has allowed the sender
				return false
			}
		default:
			continue
		}
		gets++
		l.Suspicion = max(l.Suspicion, suspicion)
	}
	l.Junk = wanted == 0
	return gets > 0
}
