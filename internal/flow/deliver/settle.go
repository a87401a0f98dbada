package deliver

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/bounce"
	"facteur/internal/store/queue"
)

// clerk writes down what attempts brought: outcomes, and the notices that they
// cause, in one settlement.
type clerk struct {
	queue    *queue.Queue
	schedule func() Schedule
	notices  *bounce.Writer
	events   event.Sink
}

// conclusion is an attempt and what it brought.
type conclusion struct {
	attempt   *attempt
	results   []result
	offspring []queue.Draft
}

// conclude settles an attempt. On an error nothing was written down, and the
// leases are still held.
func (c *clerk) conclude(ctx context.Context, a *attempt, results []result) error {
	return c.concludeAll(ctx, []conclusion{{attempt: a, results: results}})
}

// concludeAll settles several attempts in one transaction.
func (c *clerk) concludeAll(ctx context.Context, all []conclusion) error {
	now := time.Now()
	settlements := make([]queue.Settlement, len(all))
	for i := range all {
		settlements[i] = c.settlement(context.WithoutCancel(ctx), all[i].attempt, all[i].results, now)
		all[i].offspring = settlements[i].Offspring
	}
	ended, err := c.settle(ctx, settlements...)
	if err != nil {
		return err
	}
	for _, x := range all {
		c.tell(x.attempt, x.results, x.offspring, now)
	}
	c.tellEnded(ended)
	return nil
}

// settlement writes down what an attempt brought, with its notices.
func (c *clerk) settlement(ctx context.Context, a *attempt, results []result, now time.Time) queue.Settlement {
	schedule := c.schedule()
	s := queue.Settlement{Item: a.item.ID}
	var failed, delayed []bounce.Recipient
	for i := range results {
		r := &results[i]
		o := c.outcome(schedule, a, r, now)
		switch {
		case r.kind == queue.Failed:
			failed = append(failed, r.told())
		case o.Delayed:
			delayed = append(delayed, r.told())
		}
		s.Outcomes = append(s.Outcomes, o)
	}
	c.addNotices(ctx, &s, a.item, failed, delayed, now)
	for i := range results {
		results[i].kind = s.Outcomes[i].Result // as far as it was written down
	}
	return s
}

// outcome decides between waiting and giving up, and when to try again.
func (c *clerk) outcome(s Schedule, a *attempt, r *result, now time.Time) queue.Outcome {
	attempts := r.recipient.Attempts + 1
	if r.kind == queue.Deferred && s.Expired(a.item.Sender.IsNull(), a.item.Arrived, now, attempts) {
		r.kind = queue.Failed
	}
	if r.kind == queue.Failed && !c.notices.MayTell(a.item) && !a.item.Sender.IsNull() {
		// Somebody's letter, and nobody whom we may tell that it failed.
		r.kind = queue.Undeliverable
	}
	o := queue.Outcome{N: r.recipient.N, Result: r.kind, Reply: r.text}
	if r.kind == queue.Deferred {
		o.Due = s.Next(now, attempts, rand.Float64())
		o.Delayed = s.Warn(a.item.Arrived, now, r.recipient.Delayed) && c.notices.MayTell(a.item)
	}
	return o
}

func (r *result) told() bounce.Recipient {
	return bounce.Recipient{
		Address: r.recipient.Address, Original: r.recipient.Original,
		Status: r.dsnStatus(), Text: r.text, Host: r.host, Reply: r.reply,
	}
}

// addNotices puts the notices into the settlement. One that can't be made does
// not keep the outcome from being recorded as a deferral would: the settlement
// turns the failures it speaks of back into waiting.
func (c *clerk) addNotices(ctx context.Context, s *queue.Settlement, it *queue.Item, failed, delayed []bounce.Recipient, now time.Time) {
	if !c.notices.MayTell(it) {
		return
	}
	if len(failed) > 0 {
		d, err := c.notices.Failure(ctx, it, failed, now)
		if err != nil {
			c.events.Emit(Trouble{ID: it.ID, What: "writing the notice of failure", Err: err})
			waitInstead(s, c.schedule(), now)
			return
		}
		s.Offspring = append(s.Offspring, d)
	}
	if len(delayed) > 0 {
		d, err := c.notices.Delay(ctx, it, delayed, now, it.Arrived.Add(c.schedule().Lifetime))
		if err != nil {
			c.events.Emit(Trouble{ID: it.ID, What: "writing the notice of delay", Err: err})
			for i := range s.Outcomes {
				s.Outcomes[i].Delayed = false // the next attempt tells
			}
			return
		}
		s.Offspring = append(s.Offspring, d)
	}
}

func waitInstead(s *queue.Settlement, schedule Schedule, now time.Time) {
	for i := range s.Outcomes {
		if o := &s.Outcomes[i]; o.Result == queue.Failed {
			o.Result, o.Due = queue.Deferred, schedule.Next(now, 1, 0)
		}
	}
}

// settle insists until it is done, or can't be any more in this process: after a
// remote host has said 250, giving up means a second copy, and a lease that is kept
// for nothing means a letter that waits for a restart. A disk that is full now may
// have room again. It gives the items that have ended.
func (c *clerk) settle(ctx context.Context, s ...queue.Settlement) ([]queue.ID, error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		ended, err := c.queue.Settle(ctx, s...)
		if err == nil {
			return ended, nil
		}
		c.events.Emit(Trouble{ID: s[0].Item, What: "settling", Err: err})
		select {
		case <-ctx.Done():
			return nil, err
		case <-c.queue.Broken():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// tell says what became of each recipient, and what came of it.
func (c *clerk) tell(a *attempt, results []result, offspring []queue.Draft, now time.Time) {
	for _, r := range results {
		c.events.Emit(Tried{Attempt: newTimes(a, now), ID: a.item.ID, Sender: a.item.Sender, Hop: a.hop, Recipient: r.recipient,
			Result: r.kind, Relay: r.relay, Status: r.dsnStatus(), Text: r.text})
	}
	failed := slices.ContainsFunc(results, func(r result) bool { return r.kind == queue.Failed })
	for i, d := range offspring { // the notice of failure comes first, if there is one
		c.events.Emit(Notified{ID: a.item.ID, Notice: d.Item, Delay: !failed || i > 0})
	}
}

// tellEnded says which items are gone: after what became of their recipients, as
// readers of the log expect.
func (c *clerk) tellEnded(ended []queue.ID) {
	for _, id := range ended {
		c.events.Emit(Removed{id})
	}
}
