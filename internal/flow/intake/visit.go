package intake

import (
	"context"
	"slices"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/smtp"
)

// Visit is one connection at the desk, from before its banner to its end. It
// belongs to one goroutine.
type Visit struct {
	desk *Desk
	// facts and advisers are nil until somebody asks.
	facts    *rule.Facts
	advisers []Adviser
	opened   bool            // advisers were asked to come
	told     bool            // they know the client, and said
	client   *smtp.Reply     // this of it
	helo     *string         // what they know of its name, and said
	greeting *smtp.Reply     // this of it
	marks    int             // tags that were put before any transaction
	wishes   []wish          // for each of the messages
	stranger *filter.Visitor // what is found out about him; nil where nobody asks
	messages int
	decoyed  bool // it is remembered that he came to a decoy
}

// WantsName tells that Connect looks at the client's name.
func (d *Desk) WantsName() bool {
	r := d.rules()
	return !r.DelayReject && r.asks(rule.Connect)
}

// Connect opens a visit. A reply is why there is none: the client is told and the
// connection ends.
func (d *Desk) Connect(ctx context.Context, p Peer) (*Visit, *smtp.Reply) {
	v, rules := &Visit{desk: d}, d.rules()
	p.Trusted = rules.trusts(&p)
	if reply := v.turnedAway(ctx, &p); reply != nil {
		return nil, reply
	}
	v.meet(ctx, rules, &p)
	if rules.DelayReject || !rules.asks(rule.Connect) {
		return v, nil
	}
	if reply := v.judge(ctx, rule.Connect, subject{rules: rules, peer: &p}); reply != nil {
		v.Close()
		return nil, rules.soften(reply)
	}
	v.mark()
	return v, nil
}

// Helo is told of each HELO and EHLO; a reply refuses it.
func (v *Visit) Helo(ctx context.Context, p Peer) *smtp.Reply {
	rules := v.desk.rules()
	if v.stranger.Of(rules.Filter) {
		v.stranger.Greet(p.letter())
	}
	if rules.DelayReject || !rules.asks(rule.Helo) {
		return nil
	}
	p.Trusted = rules.trusts(&p)
	reply := v.judge(ctx, rule.Helo, subject{rules: rules, peer: &p})
	v.mark()
	return rules.soften(reply)
}

// wish is what is to be done to each message of a client, as was said before there was
// one: rule is the name of the rule that said it, "" for a hook.
type wish struct {
	stage    rule.Stage
	by, rule string
	action   rule.Action
}

func (v *Visit) wish(w wish) { v.wishes = append(v.wishes, w) }

// unwish forgets what rules or hooks wanted at a stage, as they are asked again.
func (v *Visit) unwish(stage rule.Stage, rules bool) {
	v.wishes = slices.DeleteFunc(v.wishes, func(w wish) bool { return w.stage == stage && (w.rule != "") == rules })
}

// heed does to a message what is to be done to all of the client's.
func (v *Visit) heed(ctx context.Context, t *Transaction) *smtp.Reply {
	for _, w := range v.wishes {
		if reply := v.do(ctx, w.stage, subject{rules: t.rules, peer: &t.peer, tx: t}, w.by, w.rule, w.action); reply != nil {
			return reply
		}
	}
	return nil
}

// tags is how many words rules have put until now; setTags forgets those behind.
func (v *Visit) tags() int {
	if v.facts == nil {
		return 0
	}
	return len(v.facts.Tags)
}

func (v *Visit) setTags(n int) {
	if v.facts != nil {
		v.facts.Tags = v.facts.Tags[:n]
	}
}

// mark notes that the tags of this moment are the connection's, not a message's.
func (v *Visit) mark() { v.marks = v.tags() }

// Begin opens a transaction outside of any visit, for whoever hands over one
// message; see Visit.Begin.
func (d *Desk) Begin(ctx context.Context, p Peer, m smtp.Mail) (*Transaction, *smtp.Reply) {
	return (&Visit{desk: d}).Begin(ctx, p, m)
}

// Begin opens a transaction; nil means accepted.
func (v *Visit) Begin(ctx context.Context, p Peer, m smtp.Mail) (*Transaction, *smtp.Reply) {
	rules := v.desk.rules()
	p.Trusted = rules.trusts(&p)
	m.Sender = rules.Forward.Bare(ctx, m.Sender)
	t := &Transaction{desk: v.desk, visit: v, rules: rules, peer: p, mail: m}
	t.mail.Sender = t.complete(t.mail.Sender)
	reply := t.senderAllowed(ctx)
	if reply == nil {
		t.id = v.desk.queue.NextID()
		t.check = t.examined(ctx)
		v.setTags(v.marks)
		if !rules.DelayReject && rules.asks(rule.Mail) {
			reply = t.judge(ctx, rule.Mail, nil)
		}
		if !rules.DelayReject && reply == nil {
			reply = v.heed(ctx, t)
		}
	}
	if reply != nil {
		t.Abort()
		return nil, rules.soften(reply)
	}
	return t, nil
}

// Close ends the visit.
func (v *Visit) Close() {
	for _, a := range v.advisers {
		a.Close()
	}
	v.advisers = nil
	v.stranger.Close()
}
