package deliver

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// desk settles in bulk what no worker waits for: what was handed over, what is put off
// because its destination is suspended, and what needs no connection at all. What lies on
// it has its places still (see places), and so is bounded with all that is under way.
type desk struct {
	clerk *clerk
	done  func(*attempt, int)

	mu    sync.Mutex
	list  []conclusion
	wake  chan struct{}
	ended chan struct{}
}

func newDesk(c *clerk, done func(*attempt, int)) *desk {
	return &desk{clerk: c, done: done, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// putOff defers an attempt without making it, until the suspension is over: then it is
// its turn, however often it was put off before. The first that is due is the trial, and
// most of the others come when it has ended.
func (d *desk) putOff(a *attempt, s *suspension) {
	results := a.all(s.reply, s.why())
	for i := range results {
		results[i].again = s.until.Add(time.Duration(rand.Int64N(int64(afterTrial))))
		results[i].agent = agentError
	}
	d.conclude(a, results)
}

// afterTrial is in what time those become due who wait for the end of a suspension.
const afterTrial = time.Minute

// conclude takes over what an attempt brought.
func (d *desk) conclude(a *attempt, results []result) {
	d.add(conclusion{attempt: a, results: results})
}

func (d *desk) add(x conclusion) {
	d.mu.Lock()
	d.list = append(d.list, x)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// settleAtOnce is how many attempts are settled in one transaction: somebody may wait for
// a 250 behind it.
const settleAtOnce = 200

func (d *desk) take() []conclusion {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.list), settleAtOnce)
	taken := d.list[:n:n]
	if d.list = d.list[n:]; len(d.list) == 0 {
		d.list = nil
	}
	return taken
}

// start settles until close.
func (d *desk) start(ctx context.Context) {
	go func() {
		defer close(d.ended)
		for range d.wake {
			for batch := d.take(); len(batch) > 0; batch = d.take() {
				d.settle(ctx, batch)
			}
		}
	}()
}

// close settles what is left, and returns when that is done. Nobody adds anything then.
func (d *desk) close() {
	close(d.wake)
	<-d.ended
	for batch := d.take(); len(batch) > 0; batch = d.take() {
		d.settle(context.Background(), batch)
	}
}

// settle writes a batch down, and tells those who brought it.
func (d *desk) settle(ctx context.Context, batch []conclusion) {
	defer func() {
		for _, x := range batch {
			if x.settled != nil {
				x.settled <- struct{}{}
			}
		}
	}()
	d.write(ctx, batch)
}

// write writes a batch down. If that makes this program fail, the attempts are settled
// one by one, so that one message does not stop the others.
func (d *desk) write(ctx context.Context, batch []conclusion) {
	var err error
	if p := guard(func() { err = d.clerk.concludeAll(ctx, batch) }); p != nil {
		d.clerk.events.Emit(Trouble{ID: batch[0].attempt.item.ID, What: "settling", Err: p})
		d.settleSingly(ctx, batch)
		return
	}
	if err != nil {
		return // the leases stay; a restart tries again
	}
	for _, x := range batch {
		d.done(x.attempt, len(x.attempt.item.Recipients))
	}
}

func (d *desk) settleSingly(ctx context.Context, batch []conclusion) {
	if len(batch) == 1 {
		a := batch[0].attempt
		if p := guard(func() { _ = d.clerk.conclude(ctx, a, a.crashed()) }); p == nil {
			d.done(a, len(a.item.Recipients))
		}
		return
	}
	for _, x := range batch {
		d.write(ctx, []conclusion{x})
	}
}
