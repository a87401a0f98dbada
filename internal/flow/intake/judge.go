package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// subject is what is judged at a stage.
type subject struct {
	rules *Rules
	peer  *Peer
	tx    *Transaction // nil before MAIL
	rcpt  *smtp.Rcpt   // nil but at RCPT
}

// judgement is how long the rules and hooks of one stage may take, all together: a
// client waits ten minutes for the answer to its message (RFC 5321 §4.5.3.2.6), five
// for that to a command, and many less.
const judgement = 60 * time.Second

// judge asks the rules and then the hooks of a stage. A reply refuses.
func (v *Visit) judge(ctx context.Context, stage rule.Stage, s subject) *smtp.Reply {
	ctx, cancel := context.WithTimeout(ctx, judgement)
	defer cancel()
	if s.rules.Access.Has(stage) {
		if reply := v.obey(ctx, stage, s); reply != nil {
			if stage == rule.End {
				s.tx.overruled(ctx, reply)
			}
			return reply
		}
	}
	if stage == rule.End {
		if reply := s.tx.settle(ctx); reply != nil {
			return reply
		}
	}
	if len(s.rules.Hooks) > 0 && !(s.tx != nil && s.tx.discard) {
		return v.ask(ctx, stage, s)
	}
	return nil
}

// judge is Visit.judge about the transaction.
func (t *Transaction) judge(ctx context.Context, stage rule.Stage, rcpt *smtp.Rcpt) *smtp.Reply {
	return t.visit.judge(ctx, stage, subject{rules: t.rules, peer: &t.peer, tx: t, rcpt: rcpt})
}

// obey does what the rules of a stage say.
func (v *Visit) obey(ctx context.Context, stage rule.Stage, s subject) *smtp.Reply {
	v.unwish(stage, true)
	d := s.rules.Access.Judge(ctx, stage, v.learn(s))
	for _, step := range d.Steps {
		by := fmt.Sprintf("rule %q", step.Rule)
		if step.Test {
			v.wouldDo(stage, s, by, step)
			continue
		}
		if reply := v.do(ctx, stage, s, by, step.Rule, step.Action); reply != nil {
			return reply
		}
	}
	if d.Err != nil {
		return v.trouble(s, fmt.Sprintf("rule %q", d.Rule), d.Err)
	}
	return nil
}

// wouldDo tells of an action of a rule on trial. Points are told with the score.
func (v *Visit) wouldDo(stage rule.Stage, s subject, by string, step rule.Step) {
	if a := step.Action; step.Err == nil && a.Verb == rule.Score && s.tx != nil {
		s.tx.points(by, a, true)
		return
	}
	e := ruled(stage, s, by, step.Rule, step.Action, nil)
	e.Test, e.Trouble = true, step.Err
	v.desk.events.Emit(e)
}

// do does one action. by names who wants it, name the rule where it is one.
func (v *Visit) do(ctx context.Context, stage rule.Stage, s subject, by, name string, a rule.Action) *smtp.Reply {
	var reply *smtp.Reply
	switch a.Verb {
	case rule.Reject, rule.Defer:
		reply = s.refusal(stage, a.Reply)
	default:
		if s.tx == nil {
			if a.AboutMessage() {
				v.wish(wish{stage, by, name, a})
				return nil
			}
			break
		}
		if err := s.tx.act(ctx, by, a); err != nil {
			return v.trouble(s, by, err)
		}
	}
	v.desk.events.Emit(ruled(stage, s, by, name, a, reply))
	return reply
}

// trouble is the answer when nobody knows what to do: the client comes again.
func (v *Visit) trouble(s subject, what string, err error) *smtp.Reply {
	e := Trouble{Peer: *s.peer, What: what, Err: err}
	if s.tx != nil {
		e.ID = s.tx.id
	}
	v.desk.events.Emit(e)
	return later()
}

// refusal is a rule's reply with what it is about in front, as Postfix says it.
func (s subject) refusal(stage rule.Stage, r *smtp.Reply) *smtp.Reply {
	about := ""
	switch stage {
	case rule.Connect:
		about = fmt.Sprintf("<%s[%s]>: Client host rejected: ", s.peer.Name, addressText(s.peer.Addr))
	case rule.Helo:
		about = fmt.Sprintf("<%s>: Helo command rejected: ", headerSafe(s.peer.Helo))
	case rule.Mail:
		about = fmt.Sprintf("<%s>: Sender address rejected: ", s.tx.mail.Sender)
	case rule.Rcpt:
		about = fmt.Sprintf("<%s>: Recipient address rejected: ", s.rcpt.To)
	}
	return smtp.NewReply(r.Code, r.Enhanced, about+r.Text())
}

// learn brings the facts up to this moment.
func (v *Visit) learn(s subject) *rule.Facts {
	f, p := v.facts, s.peer
	if f == nil {
		f = rule.NewFacts()
		v.facts = f
	}
	f.SetClient(p.Addr, p.Name)
	f.SetTLS(p.TLS, fingerprint)
	f.Helo, f.Protocol, f.Service = strings.ToLower(p.Helo), p.Protocol, p.Service
	f.Account, f.Trusted, f.Local = p.Account, p.Trusted, p.User != nil
	f.Messages = v.messages
	f.Remarks = f.Remarks[:0]
	for _, r := range p.Remarks {
		f.Remarks = append(f.Remarks, string(r))
	}
	if s.tx != nil {
		s.tx.tell(f, s.rcpt)
	}
	return f
}

// tell fills in what is known of a transaction.
func (t *Transaction) tell(f *rule.Facts, rcpt *smtp.Rcpt) {
	f.Sender.Set(t.mail.Sender)
	f.Size, f.UTF8 = int(t.mail.Size), t.mail.UTF8
	f.Recipients = t.Recipients()
	f.Message, f.BodySize = nil, 0
	t.tellEvidence(f)
	switch {
	case rcpt != nil:
		f.Recipient.Set(rcpt.To)
	default:
		f.Recipient.Set(address.Address{})
		if one := t.only(); one != nil {
			f.Recipient.Set(one.original)
		}
	}
	if t.received {
		f.Message, f.BodySize = t.header, int(t.bodySize())
		f.Size = len(t.header) + f.BodySize
	}
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// ask asks the hooks of a stage, one after the other. What they said of the client
// and of its name they are not asked again.
func (v *Visit) ask(ctx context.Context, stage rule.Stage, s subject) *smtp.Reply {
	v.open(s)
	switch stage {
	case rule.Connect:
		if !v.told {
			v.told, v.client = true, v.askEach(ctx, stage, s)
		}
		return v.client
	case rule.Helo:
		if reply := v.ask(ctx, rule.Connect, s); reply != nil {
			return reply
		}
		if v.helo == nil || *v.helo != s.peer.Helo {
			helo := s.peer.Helo
			v.helo, v.greeting = &helo, v.askEach(ctx, stage, s)
		}
		return v.greeting
	case rule.Mail:
		if reply := v.ask(ctx, rule.Helo, s); reply != nil {
			return reply
		}
	}
	return v.askEach(ctx, stage, s)
}

func (v *Visit) askEach(ctx context.Context, stage rule.Stage, s subject) *smtp.Reply {
	v.unwish(stage, false)
	q := v.question(s)
	for _, a := range v.advisers {
		if stage == rule.End {
			q.Message = s.tx.message()
		}
		reply := v.follow(ctx, stage, s, a.Ask(ctx, stage, q))
		if reply != nil || s.tx != nil && s.tx.discard {
			return reply
		}
	}
	return nil
}

// open lets the hooks come, once in a visit.
func (v *Visit) open(s subject) {
	if v.opened {
		return
	}
	v.opened = true
	for _, h := range s.rules.Hooks {
		if a := h.Open(s.peer); a != nil {
			v.advisers = append(v.advisers, a)
		}
	}
}

func (v *Visit) question(s subject) *Question {
	q := &Question{Peer: s.peer, Rcpt: s.rcpt, Facts: func() *rule.Facts { return v.learn(s) }}
	if s.tx != nil {
		q.ID, q.Mail = s.tx.id, &s.tx.mail
		if s.rcpt == nil { // a thousand times a thousand is too much
			q.Recipients = s.tx.addresses()
		}
	}
	return q
}

// follow does what an adviser wants.
func (v *Visit) follow(ctx context.Context, stage rule.Stage, s subject, a Advice) *smtp.Reply {
	for _, action := range a.Actions {
		if stage < rule.Mail && action.AboutMessage() { // for the client is asked about only once
			v.wish(wish{stage, a.By, "", action})
			continue
		}
		if reply := v.do(ctx, stage, s, a.By, "", action); reply != nil {
			return reply
		}
	}
	if a.Reply != nil {
		v.desk.events.Emit(ruled(stage, s, a.By, "", verdictOf(a.Reply), a.Reply))
		return a.Reply
	}
	if stage != rule.End {
		return nil
	}
	if err := s.tx.change(ctx, a.By, a.Edits, a.Body); err != nil {
		return v.trouble(s, a.By, err)
	}
	return nil
}

// verdictOf is a hook's refusal as an action.
func verdictOf(r *smtp.Reply) rule.Action {
	if r.Permanent() {
		return rule.Action{Verb: rule.Reject, Reply: r}
	}
	return rule.Action{Verb: rule.Defer, Reply: r}
}

// act does to the transaction what rules and hooks want done.
func (t *Transaction) act(ctx context.Context, by string, a rule.Action) error {
	switch a.Verb {
	case rule.Hold:
		t.hold = by + ": " + cmp.Or(a.Text, "to be looked at")
	case rule.Discard:
		t.discard = true
	case rule.Redirect:
		return t.redirect(ctx, a.Address)
	case rule.BCC:
		return t.addRecipient(ctx, a.Address)
	case rule.Score:
		t.points(by, a, false)
	case rule.Prepend:
		t.prepend(a.Field, a.Value)
	case rule.Add:
		t.edit(Edit{Kind: AppendField, Name: a.Field, Value: a.Value})
	case rule.Remove:
		t.edit(Edit{Kind: RemoveFields, Name: a.Field})
	}
	return nil
}

// redirect makes an address the only recipient.
func (t *Transaction) redirect(ctx context.Context, to address.Address) error {
	people, err := t.resolve(ctx, to)
	if err != nil {
		return err
	}
	if t.diverted && t.isFor(people) {
		return nil // again, for another of a thousand recipients
	}
	t.recipients = slices.Clone(t.recipients) // see judgeRecipient
	for i := range t.recipients {
		t.recipients[i].removed = true
	}
	t.diverted = true
	t.join(people)
	return nil
}

// isFor tells that these are the only ones left.
func (t *Transaction) isFor(people []recipient) bool {
	wanted := make(map[string]bool)
	for i := range people {
		wanted[people[i].key()] = true
	}
	left := 0
	for i := range t.recipients {
		if r := &t.recipients[i]; !r.removed {
			if !wanted[r.key()] {
				return false
			}
			left++
		}
	}
	return left == len(wanted)
}

// addRecipient adds one whom the client did not name. The sender hears nothing of what
// becomes of the copy, here or at the next host: whoever keeps it has not told him.
func (t *Transaction) addRecipient(ctx context.Context, to address.Address) error {
	people, err := t.resolve(ctx, to)
	if err != nil {
		return err
	}
	for i := range people {
		people[i].notify = smtp.NotifyNever
	}
	t.join(people)
	return nil
}

// join adds recipients unless they are there; a rule at RCPT names the same ones again
// and again.
func (t *Transaction) join(people []recipient) {
	for _, r := range people {
		i, there := t.seen[r.key()]
		switch {
		case !there:
			t.note(&r)
			t.recipients = append(t.recipients, r)
		case t.recipients[i].removed:
			t.recipients = slices.Clone(t.recipients) // see judgeRecipient
			t.recipients[i].removed = false
		}
	}
}

// resolve finds the way to an address that the admin or one of his programs named.
func (t *Transaction) resolve(ctx context.Context, to address.Address) ([]recipient, error) {
	a := t.desk.router.Expand(ctx, route.Question{Recipient: to, Sender: t.mail.Sender})
	switch a.State() {
	case lookup.NotFound:
		return nil, unknownError{fmt.Errorf("<%s>: %w", to, a.Err())}
	case lookup.TryAgain:
		return nil, fmt.Errorf("<%s>: %w", to, a.Err())
	}
	var people []recipient
	for _, dest := range a.Value().Destinations {
		r := recipient{original: to, dest: dest, added: true}
		if dest.Forwarded {
			r.forwarder = to
		}
		people = append(people, r)
	}
	return people, nil
}

// unknownError is about an address that is nobody's.
type unknownError struct{ error }
