package deliver

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/bounce"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// clerk writes down what attempts brought: outcomes, and the notices that they
// cause, in one settlement.
type clerk struct {
	queue    *queue.Queue
	schedule func() Schedule
	notices  *bounce.Writer
	events   event.Sink
	rounds   rounds
}

// conclusion is an attempt and what it brought.
type conclusion struct {
	attempt *attempt
	results []result
	about   dsn.Action // what its notice tells
	// settled, if not nil, gets a token when this is written down, or can't be.
	settled chan struct{}
}

// conclude settles an attempt. On an error nothing was written down, and the
// leases are still held.
func (c *clerk) conclude(ctx context.Context, a *attempt, results []result) error {
	return c.concludeAll(ctx, []conclusion{{attempt: a, results: results}})
}

// concludeAll settles several attempts in one transaction.
func (c *clerk) concludeAll(ctx context.Context, all []conclusion) error {
	now := time.Now()
	var settlements []queue.Settlement
	var settled []*conclusion
	for i := range all {
		x := &all[i]
		if s := c.settlement(context.WithoutCancel(ctx), x, now); len(s.Outcomes) > 0 {
			settlements, settled = append(settlements, s), append(settled, x)
		}
	}
	if len(settlements) == 0 {
		return nil
	}
	ended, err := c.settle(ctx, settlements...)
	if err != nil {
		return err
	}
	for i, x := range settled {
		s := &settlements[i]
		for n := range x.results {
			x.results[n].kind = s.Outcomes[n].Result // as far as it was written down
		}
		c.tell(x.attempt, x.results, now)
		c.tellNotices(s.Item, s.Offspring, x.about)
	}
	c.tellEnded(ended)
	return nil
}

// settlement writes down what an attempt brought, with the notice that it causes.
// What is held back for a common notice is taken out of the results.
func (c *clerk) settlement(ctx context.Context, x *conclusion, now time.Time) queue.Settlement {
	schedule := c.schedule()
	it, s := x.attempt.item, queue.Settlement{Item: x.attempt.item.ID}
	var told, double []bounce.Recipient
	kept := x.results[:0]
	for i := range x.results {
		r := x.results[i]
		o := c.outcome(schedule, x.attempt, &r, now)
		action := c.action(it, &r, o)
		if action == dsn.Failed && x.attempt.round.hold(failure{x.attempt, r, o}) {
			continue
		}
		if action != "" {
			told = append(told, r.told(action, until(it, schedule)))
		}
		if o.Result == queue.Failed && c.notices.Double(it, now) {
			double = append(double, r.told(dsn.Failed, time.Time{}))
		}
		kept, s.Outcomes = append(kept, r), append(s.Outcomes, o)
	}
	if len(told) > 0 {
		x.about = worst(told)
		c.addNotice(ctx, &s, it, told, now)
	}
	if len(double) > 0 {
		x.about = dsn.Failed
		copied := c.addDouble(ctx, &s, it, double, now)
		for i := range kept {
			kept[i].copied = copied
		}
	}
	x.results = kept
	return s
}

// until is how long an item is tried.
func until(it *queue.Item, s Schedule) time.Time {
	end := it.Start().Add(s.Lifetime)
	if it.By.Return && it.By.At.Before(end) {
		return it.By.At
	}
	return end
}

// outcome decides between waiting and giving up, and when to try again.
func (c *clerk) outcome(s Schedule, a *attempt, r *result, now time.Time) queue.Outcome {
	it, attempts := a.item, r.recipient.Attempts+1
	if r.kind == queue.Failed && s.SoftBounce {
		r.kind = queue.Deferred
	}
	if r.kind == queue.Deferred && (it.Expired || s.Expired(it.Sender.IsNull(), it.Start(), now, attempts)) {
		r.kind, r.expired = queue.Failed, true
	}
	if r.kind == queue.Deferred && it.By.Return && it.By.Over(now) && !s.Doubtful {
		r.tooLate()
	}
	if r.kind == queue.Failed && !it.Sender.IsNull() && !c.notices.MayTell(it) && bounce.Asked(r.recipient.Notify, dsn.Failed) {
		// Somebody's letter, and nobody whom we may tell that it failed.
		r.kind = queue.Undeliverable
	}
	o := queue.Outcome{N: r.recipient.N, Result: r.kind, Reply: r.text, Forward: r.forward}
	if r.kind == queue.Deferred {
		if o.Due = r.again; o.Due.IsZero() {
			o.Due = later(s.Next(now, attempts, rand.Float64()), r.notBefore)
		}
		o.Due = it.By.Next(o.Due, now)
		o.Delayed = c.tellsDelay(s, it, r.recipient, now)
	}
	return o
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// overdue are the results of an attempt that is not made because its time is over; nil
// when it may be made.
func (c *clerk) overdue(a *attempt, now time.Time) []result {
	if !a.item.By.Return || !a.item.By.Over(now) || c.schedule().Doubtful {
		return nil
	}
	return a.tooLate()
}

// tellsDelay decides whether the sender is to hear now that a recipient must wait:
// after a while, or when the time is over that he gave with "N" (RFC 2852 §4.1),
// which asks for it by itself.
func (c *clerk) tellsDelay(s Schedule, it *queue.Item, r queue.Recipient, now time.Time) bool {
	if it.By.Over(now) && !r.Delayed && r.Notify&smtp.NotifyNever == 0 {
		return c.notices.MayTell(it)
	}
	return s.Warn(it.Start(), now, r.Delayed) && c.notices.Wants(it, r, dsn.Delayed)
}

// action is what the sender is told of an outcome; "" for nothing.
func (c *clerk) action(it *queue.Item, r *result, o queue.Outcome) dsn.Action {
	switch {
	case len(o.Forward) > 0:
		return "" // what the sender wants to hear goes along
	case o.Result == queue.Failed && c.notices.Wants(it, r.recipient, dsn.Failed):
		return dsn.Failed
	case o.Result == queue.Deferred && o.Delayed:
		return dsn.Delayed
	case o.Result == queue.Delivered && r.ended != "":
		if c.notices.Wants(it, r.recipient, r.ended) {
			return r.ended
		}
	case o.Result == queue.Delivered && c.tellsRelayed(it, r):
		return dsn.Relayed
	}
	return ""
}

// tellsRelayed decides about a notice for what another host has taken: that host
// tells of success if it knows how to (RFC 3461 §5.2.2), but whoever asked for a
// trace hears of each step (RFC 2852 §4.1).
func (c *clerk) tellsRelayed(it *queue.Item, r *result) bool {
	if it.By.Trace && r.recipient.Notify&smtp.NotifyNever == 0 {
		return c.notices.MayTell(it)
	}
	return !r.passedOn && c.notices.Wants(it, r.recipient, dsn.Relayed)
}

func (r *result) told(a dsn.Action, until time.Time) bounce.Recipient {
	return bounce.Recipient{
		Address: r.recipient.Address, Original: r.recipient.Original, ORcpt: r.recipient.ORcpt, Action: a,
		Status: r.dsnStatus(), Text: r.text, Host: r.host, Reply: r.reply, RetryUntil: until,
	}
}

// addNotice puts the notice into the settlement. Where it can't be made, who failed
// waits instead, and who is late is told of with the next attempt. What another host
// has taken stays so: it is better not told than sent twice.
func (c *clerk) addNotice(ctx context.Context, s *queue.Settlement, it *queue.Item, told []bounce.Recipient, now time.Time) {
	var d queue.Draft
	write := func() (err error) { d, err = c.notices.Notice(ctx, it, told, now); return err }
	if c.written(s, "writing a notice", now, write) {
		s.Offspring = append(s.Offspring, d)
	}
}

// written writes a notice that goes into a settlement. Where that makes this program
// fail, who failed is held: the next time would end likewise (INV-22), and what has
// arrived beside it must not be sent again.
func (c *clerk) written(s *queue.Settlement, what string, now time.Time, write func() error) bool {
	var err error
	if crash := guard(func() { err = write() }); crash != nil {
		c.events.Emit(Trouble{ID: s.Item, What: what, Err: crash})
		holdInstead(s)
		return false
	}
	if err != nil {
		c.events.Emit(Trouble{ID: s.Item, What: what, Err: err})
		waitInstead(s, c.schedule(), now)
	}
	return err == nil
}

func holdInstead(s *queue.Settlement) {
	for i := range s.Outcomes {
		if o := &s.Outcomes[i]; o.Result == queue.Failed {
			o.Result, o.Reply = queue.Undeliverable, "held: writing the notice of it made this program fail; see the log: "+o.Reply
		}
		s.Outcomes[i].Delayed = false
	}
}

// addDouble puts what the postmaster gets of a notice that failed into its settlement
// (LOOP-005). Where that can't be made now, the notice waits.
func (c *clerk) addDouble(ctx context.Context, s *queue.Settlement, it *queue.Item, told []bounce.Recipient, now time.Time) (made bool) {
	var d queue.Draft
	write := func() (err error) { d, made, err = c.notices.ForPostmaster(ctx, it, told, now); return err }
	if made = c.written(s, "writing a notice for the postmaster", now, write) && made; made {
		s.Offspring = append(s.Offspring, d)
	}
	return made
}

func waitInstead(s *queue.Settlement, schedule Schedule, now time.Time) {
	for i := range s.Outcomes {
		if o := &s.Outcomes[i]; o.Result == queue.Failed {
			o.Result, o.Due = queue.Deferred, schedule.Next(now, 1, 0)
		}
		s.Outcomes[i].Delayed = false
	}
}

// settle insists until it is done, or can't be any more in this process: after a
// remote host has said 250, giving up means a second copy, and a lease that is kept
// for nothing means a letter that waits for a restart. A disk that is full now may
// have room again. It gives the items that have ended. On an error the queue writes
// nothing more in this process, and the leases are kept: what nobody can settle must not
// be handed out and sent once more. A restart begins without them.
//
// A notice whose bytes can't be stored does not keep the others from being settled: it is
// taken out of s, and who failed waits instead, as where it can't be made.
func (c *clerk) settle(ctx context.Context, s ...queue.Settlement) ([]queue.ID, error) {
	wait := 100 * time.Millisecond
	for tries := 1; ; tries++ {
		ended, err := c.queue.Settle(ctx, s...)
		if err == nil {
			return ended, nil
		}
		c.events.Emit(Trouble{ID: s[0].Item, What: "settling", Err: err})
		if body, is := errors.AsType[*queue.BodyError](err); is && tries >= noticeTries && c.withoutNotice(s, body.Item) {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-c.queue.Broken():
			return nil, err
		case <-time.After(wait):
			wait = min(2*wait, 10*time.Second)
		}
	}
}

// noticeTries is how often a notice is tried to be stored: what fails for longer may fail
// for good, as a file does whose disk could not keep it.
const noticeTries = 4

// withoutNotice takes a notice out of its settlement, if it is there.
func (c *clerk) withoutNotice(s []queue.Settlement, notice queue.ID) bool {
	for i := range s {
		at := slices.IndexFunc(s[i].Offspring, func(d queue.Draft) bool { return d.Item.ID == notice })
		if at < 0 {
			continue
		}
		c.queue.Scrap(s[i].Offspring[at])
		s[i].Offspring = slices.Delete(s[i].Offspring, at, at+1)
		waitInstead(&s[i], c.schedule(), time.Now())
		return true
	}
	return false
}

// tell says what became of each recipient, and once when the time of some is over.
func (c *clerk) tell(a *attempt, results []result, now time.Time) {
	returned := false
	for _, r := range results {
		expired := r.expired && r.kind == queue.Failed
		c.events.Emit(Tried{Attempt: newTimes(a, now), ID: a.item.ID, Sender: a.item.Sender, Account: a.item.Origin.Account, Hop: a.hop, Agent: agentOf(a, r), LogName: logNameOf(a), Aside: r.aside, Recipient: r.recipient,
			Result: r.kind, Relay: r.relay, Folder: r.folder, Travelled: r.travelled, Turn: r.turn, Status: r.dsnStatus(), Text: r.text, Expired: expired, Last: bounce.IsLast(a.item), Copied: r.copied})
		returned = returned || expired
	}
	if returned {
		c.events.Emit(Expired{ID: a.item.ID, Sender: a.item.Sender})
	}
}

// tellNotices says which notices were written about an item.
func (c *clerk) tellNotices(id queue.ID, notices []queue.Draft, a dsn.Action) {
	for _, d := range notices {
		c.events.Emit(queue.Cleaned{ID: d.Item.ID, MessageID: d.MessageID})
		c.events.Emit(Notified{ID: id, Notice: d.Item, Action: a, Postmaster: bounce.IsLast(d.Item)})
		c.events.Emit(queue.Active{Item: d.Item})
	}
}

// worst is what a notice about these recipients is called after.
func worst(told []bounce.Recipient) dsn.Action {
	action := told[0].Action
	for _, r := range told {
		switch {
		case r.Action == dsn.Failed:
			return dsn.Failed
		case r.Action == dsn.Delayed:
			action = dsn.Delayed
		}
	}
	return action
}

// tellEnded says which items are gone: after what became of their recipients, as
// readers of the log expect.
func (c *clerk) tellEnded(ended []queue.ID) {
	for _, id := range ended {
		c.events.Emit(Removed{id})
	}
}
