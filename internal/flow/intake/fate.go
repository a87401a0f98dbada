package intake

import (
	"context"
	"mime"
	"slices"
	"strings"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// What becomes of a stranger's letter once its evidence is there: it is weighed before the
// rules of the stage end are asked, which see its score and may add to it; then it is
// settled, before any hook is asked about a letter that is refused anyway.

// addUp adds up the evidence, for each whom the client named.
func (t *Transaction) addUp(ctx context.Context) {
	if t.check == nil || !t.rules.Filter.Rules().Scores() {
		return
	}
	t.asked = t.asked[:0]
	var to []filter.Recipient
	for i := range t.recipients {
		if r := &t.recipients[i]; r.gets() && !r.added && !r.isWord() {
			t.asked = append(t.asked, i)
			to = append(to, r.judgedAs())
		}
	}
	o := t.check.Weigh(ctx, t.verdict, to, t.id.String())
	t.outcome, t.weighed = &o, true
}

// judgedAs is a recipient as the filter knows him: by his account, or by the address of
// ours that leads elsewhere.
func (r *recipient) judgedAs() filter.Recipient {
	to := filter.Recipient{Address: r.original, Account: r.account()}
	if !r.forwarder.IsNull() {
		to.Address = r.forwarder
	}
	return to
}

// present puts the fields about the letter on top of its header, where rules and hooks see
// them.
func (t *Transaction) present(fields []byte) {
	t.proof = fields
	if t.outcome != nil {
		t.proof = append(t.proof, t.rules.Filter.Rules().SpamFields(t.outcome.Shown)...)
	}
	t.header = slices.Concat(t.proof, t.header)
}

// points counts what a rule says, now or when the letter is here; test: it is only told.
func (t *Transaction) points(by string, a rule.Action, test bool) {
	r := filter.Spoken(by, a.Points, a.Text)
	r.Test = test
	if t.outcome == nil {
		t.scored = append(t.scored, r)
		return
	}
	t.check.Add(r)
	t.weighed = false
}

// settle has the fates of a letter hold, and tells of them. A reply refuses it, or puts it
// off.
func (t *Transaction) settle(ctx context.Context) *smtp.Reply {
	switch {
	case t.discard:
		t.overruled(ctx, nil)
		return nil
	case t.outcome == nil:
		return t.inspect(ctx)
	}
	if !t.weighed {
		t.reweigh(ctx)
	}
	t.tellWeighed(filter.Weighed{Outcome: *t.outcome})
	if t.outcome.Reply != nil {
		if t.outcome.Reply.Permanent() {
			t.remember()
		}
		return t.outcome.Reply
	}
	for i, at := range t.asked {
		r, f := &t.recipients[at], &t.outcome.Fates[i]
		r.fate = f
		r.removed = r.removed || f.Disposition == filter.Discard
	}
	t.divert(ctx)
	t.tagSubject()
	return nil
}

// reweigh weighs again what a rule has added to, and tells the score anew above the letter,
// unless a rule has touched what stands there.
func (t *Transaction) reweigh(ctx context.Context) {
	rules, before := t.rules.Filter.Rules(), t.outcome.Shown
	t.addUp(ctx)
	if old := rules.SpamFields(before); strings.HasSuffix(string(t.proof), string(old)) && strings.HasPrefix(string(t.header), string(t.proof)) {
		t.header = t.header[len(t.proof):]
		t.present(slices.Clone(t.proof[:len(t.proof)-len(old)]))
	}
}

// overruled tells how a letter was weighed that a rule refuses, or has thrown away.
func (t *Transaction) overruled(ctx context.Context, reply *smtp.Reply) {
	if t.outcome == nil {
		return
	}
	if !t.weighed {
		t.addUp(ctx)
	}
	o := *t.outcome
	o.Reply = t.rules.soften(reply)
	t.tellWeighed(filter.Weighed{Outcome: o, Overruled: true})
}

// inspect looks at a letter of our own for what must not go out. What a content filter of
// ours gives back, or another server hands over by LMTP, is not our own.
func (t *Transaction) inspect(ctx context.Context) *smtp.Reply {
	if !t.rules.Filter.Inspects() || !t.peer.signs() {
		return nil
	}
	l := t.peer.letter()
	l.ID, l.Sender, l.Header, l.Cut = t.id.String(), t.mail.Sender, t.written, t.headCut
	t.asked = t.asked[:0]
	for i := range t.recipients {
		if r := &t.recipients[i]; r.gets() && !r.isWord() {
			t.asked = append(t.asked, i)
			l.Recipients = append(l.Recipients, filter.Recipient{Address: r.original, Account: r.account()})
		}
	}
	text, size := t.asItCame()
	o := t.rules.Filter.Inspect(ctx, l, text, size, t.id.String())
	t.tellWeighed(filter.Weighed{Outcome: o, Own: true})
	if o.Reply == nil {
		t.present(t.rules.Filter.Rules().ScannedFields(o.Remarks()))
	}
	return o.Reply
}

// tellWeighed tells of a letter that was weighed, with what is known of it.
func (t *Transaction) tellWeighed(w filter.Weighed) {
	w.ID, w.Session, w.MessageID = t.id, t.peer.Session, t.messageID
	w.Client, w.Sender = t.peer.letter().Client, t.mail.Sender
	if t.check != nil {
		e := t.check.Evidence()
		w.Client, w.Sender = e.Client, e.Sender
	}
	for _, at := range t.asked {
		w.Recipients = append(w.Recipients, t.recipients[at].original)
	}
	w.Size, w.Took = int64(len(t.written))+t.bodySize(), time.Since(t.arrived)
	t.desk.events.Emit(w)
}

// fated does to a recipient's entry what the filter wants.
func (t *Transaction) fated(q *queue.Recipient, r *recipient) {
	if r.fate == nil {
		return
	}
	switch r.fate.Disposition {
	case filter.Junk:
		if r.account() != "" {
			q.Folder = junkFolder
		}
	case filter.Quarantined:
		if r.diverted != nil {
			divertedTo(q, r.diverted)
			return
		}
		q.State, q.LastReply, q.Quarantine = queue.Held, r.fate.Because, string(r.fate.Category)
		q.Exhibit = &queue.Exhibit{Account: r.policyKey(), Score: r.fate.Tally.Score, Author: message.DecodeText(t.written.Get("From")),
			Subject: message.DecodeText(t.written.Get("Subject")), Evidence: strings.Join(slices.Concat([]string{r.fate.Because, ""}, r.fate.Tally.Table()), "\n")}
	}
}

// policyKey is whose the letter is in quarantine.
func (r *recipient) policyKey() string {
	if account := r.account(); account != "" {
		return account
	}
	return r.judgedAs().Address.Key()
}

// tagSubject puts a tag before the subject, where all who get the letter want the same one:
// it is one letter, and a recipient has said that he wants the signatures of its sender
// broken by that.
func (t *Transaction) tagSubject() {
	fates := t.outcome.Fates
	if len(fates) == 0 || slices.ContainsFunc(fates, func(f filter.Fate) bool {
		return f.Disposition != filter.Junk || f.Wants.SubjectTag != fates[0].Wants.SubjectTag
	}) {
		return
	}
	subject := t.header.Get("Subject")
	if with := tagged(subject, strings.TrimSpace(fates[0].Wants.SubjectTag)); with != subject {
		t.edit(Edit{Kind: ChangeField, Name: "Subject", Index: 1, Value: with})
	}
}

// tagged is a subject, as the header has it, behind a tag, unless it stands there already.
func tagged(subject, tag string) string {
	if tag == "" || strings.HasPrefix(message.DecodeText(subject), tag) {
		return subject
	}
	return strings.TrimSpace(mime.QEncoding.Encode("utf-8", tag) + " " + subject)
}

// tellScore fills in the facts about the score.
func (t *Transaction) tellScore(f *rule.Facts) {
	f.Score, f.Spam, f.Category, f.Evidence = 0, false, "", f.Evidence[:0]
	if t.outcome == nil {
		return
	}
	shown := &t.outcome.Shown
	f.Score, f.Spam, f.Category = shown.Tally.Score, shown.IsSpam(), string(shown.Category)
	for _, r := range shown.Tally.Rows {
		if r.Name != "" && !r.Test {
			f.Evidence = append(f.Evidence, r.Name)
		}
	}
}
