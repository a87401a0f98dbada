package deliver

import (
	"context"
	"slices"
	"sync"
	"time"

	"facteur/internal/flow/bounce"
	"facteur/internal/mail/dsn"
	"facteur/internal/store/queue"
)

// gatherFor is how long the first failure of an item waits for others, so that one
// notice tells of all (LOOP-008).
const gatherFor = 5 * time.Second

// round is an item that goes to several places at once. Recipients who failed, and of
// whom the sender is to hear, are not settled one by one: they wait, leased, until all
// places have answered, or for gatherFor. Nothing of that is durable, and need not be: a
// crash leaves them queued, and they fail again. Those who have it are settled at once.
type round struct {
	clerk *clerk
	ctx   context.Context // ends when nothing is settled any more
	item  *queue.Item

	mu     sync.Mutex
	open   int // recipients that are under way
	failed []failure
	timer  *time.Timer
}

// failure is a recipient who will not get the message, with what was decided.
type failure struct {
	attempt *attempt
	result  result
	outcome queue.Outcome
}

// hold keeps a failure for later, unless nobody else is under way.
func (r *round) hold(f failure) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) == 0 {
		if r.open <= len(f.attempt.item.Recipients) {
			return false
		}
		r.clerk.rounds.add(r)
		r.timer = time.AfterFunc(gatherFor, r.flush)
	}
	r.failed = append(r.failed, f)
	return true
}

// ended notes that n recipients are not under way any more.
func (r *round) ended(n int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.open -= n
	last := r.open <= 0
	r.mu.Unlock()
	if last {
		r.flush()
	}
}

// flush settles the failures, with one notice.
func (r *round) flush() {
	if !r.waiting() {
		return
	}
	r.clerk.rounds.turns <- struct{}{}
	defer func() { <-r.clerk.rounds.turns }()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) == 0 {
		return
	}
	r.timer.Stop()
	if err := guard(func() { r.clerk.concludeFailed(r.ctx, r.item, r.failed) }); err != nil {
		r.clerk.events.Emit(Trouble{ID: r.item.ID, What: "settling failures", Err: err})
	}
	r.failed = nil
	r.clerk.rounds.remove(r)
}

// waiting tells whether a failure is held back.
func (r *round) waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failed) > 0
}

// concludeFailed settles failures of one item.
func (c *clerk) concludeFailed(ctx context.Context, it *queue.Item, all []failure) {
	now := time.Now()
	settlements := []queue.Settlement{{Item: it.ID}}
	s := &settlements[0]
	told := make([]bounce.Recipient, len(all))
	for i := range all {
		s.Outcomes = append(s.Outcomes, all[i].outcome)
		told[i] = all[i].result.told(dsn.Failed, time.Time{})
	}
	c.addNotice(context.WithoutCancel(ctx), s, it, told, now)
	ended, err := c.settle(ctx, settlements...)
	if err != nil {
		return // the leases stay; a restart tries again
	}
	for i, f := range all {
		f.result.kind = s.Outcomes[i].Result
		c.tell(f.attempt, []result{f.result}, now)
	}
	c.tellNotices(it.ID, s.Offspring, dsn.Failed)
	c.tellEnded(ended)
}

// rounds are those that hold failures.
type rounds struct {
	// turns are taken by those that are being settled. The others hold no notice in
	// memory yet, even when thousands end at a time, or the disk is full and none can.
	turns chan struct{}

	mu   sync.Mutex
	open []*round
}

// settlingMax is how many rounds are settled at a time: enough for a group commit.
const settlingMax = 32

func (all *rounds) add(r *round) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.open = append(all.open, r)
}

func (all *rounds) remove(r *round) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.open = slices.DeleteFunc(all.open, func(other *round) bool { return other == r })
}

// flush settles what is held back, before the end.
func (all *rounds) flush() {
	all.mu.Lock()
	open := slices.Clone(all.open)
	all.mu.Unlock()
	for _, r := range open {
		r.flush()
	}
}
