package deliver

import (
	"context"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
	"facteur/internal/store/queue"
)

const (
	// askersMax is how many items the tables are asked about at a time: two for each
	// connection that a list has, so that nobody waits long for one.
	askersMax = 8
	// askFor is how long the tables may take over one item, with all its recipients.
	askFor = time.Minute
	// askTries is how often they are asked when the settings change meanwhile: the lists
	// of the old ones are closed by then, and say so.
	askTries = 2
)

// asking is who asks the tables, for the loop that claims; only that loop calls its
// methods. What is being asked about is leased and has no places yet: once there are
// claimMax such items, nothing more is claimed before half of them are gone. A table that
// does not answer holds up what is claimed for some seconds, until its list says "try
// again" at once.
type asking struct {
	outbound func() *Outbound
	events   event.Sink
	// answers are handed to the loop.
	answers chan *asked
	waiting []*asked // in the order in which they were claimed
	busy    int
	full    bool
}

// asked is an item that was claimed, with what the tables said of each recipient; nil
// without tables. It goes by the settings that its tables belong to.
type asked struct {
	item    *queue.Item
	out     *Outbound
	said    []transport.Found
	claimed time.Time
}

func newAsking(outbound func() *Outbound, events event.Sink) *asking {
	return &asking{outbound: outbound, events: events, answers: make(chan *asked)}
}

// add takes an item over until its answer comes.
func (a *asking) add(ctx context.Context, x *asked) {
	a.waiting = append(a.waiting, x)
	a.full = a.full || a.busy+len(a.waiting) >= claimMax
	a.begin(ctx)
}

// begin asks about those whose turn it is.
func (a *asking) begin(ctx context.Context) {
	for a.busy < askersMax && len(a.waiting) > 0 {
		x := a.waiting[0]
		a.waiting = a.waiting[1:]
		a.busy++
		go func() {
			a.ask(ctx, x)
			a.answers <- x
		}()
	}
}

// answered notes that an answer was taken.
func (a *asking) answered(ctx context.Context) {
	a.busy--
	a.begin(ctx)
}

// isFull tells that so many are being asked about that no more is to be claimed.
func (a *asking) isFull() bool { return a.full }

// reopened tells that there is room again, after there was none.
func (a *asking) reopened() bool {
	if !a.full || a.busy+len(a.waiting) > claimMax/2 {
		return false
	}
	a.full = false
	return true
}

// leave waits for those who are asking, whose context has ended, and gives the leases
// back: nothing was tried.
func (a *asking) leave(q *queue.Queue) {
	for ; a.busy > 0; a.busy-- {
		q.Park((<-a.answers).item)
	}
	for _, x := range a.waiting {
		q.Park(x.item)
	}
	a.waiting = nil
}

// ask asks the tables about an item.
func (a *asking) ask(ctx context.Context, x *asked) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	for range askTries {
		x.out = a.outbound()
		var unknown bool
		if err := guard(func() { unknown = x.ask(ctx) }); err != nil {
			a.events.Emit(Trouble{ID: x.item.ID, What: "asking the tables of transports", Err: err})
			x.putOff(err)
			return
		}
		if !unknown || a.outbound() == x.out {
			return
		}
	}
}

// ask fills in what the tables say, and tells whether they could not about somebody.
func (x *asked) ask(ctx context.Context) (unknown bool) {
	x.said = make([]transport.Found, len(x.item.Recipients))
	for i, r := range x.item.Recipients {
		hop := hopOf(r)
		if !hasWay(hop) {
			continue
		}
		x.said[i] = x.out.Tables.Ask(ctx, mailOf(x.item, r, hop))
		unknown = unknown || x.said[i].Unknown() != nil
	}
	return unknown
}

// putOff is the answer where nobody could be asked.
func (x *asked) putOff(err error) {
	for i := range x.said {
		x.said[i] = transport.Later(err)
	}
}
