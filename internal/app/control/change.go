package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Action is what an admin does to items of the queue.
type Action string

// The actions.
const (
	// Hold keeps items until a person releases them.
	Hold Action = "hold"
	// Release lets go what is held; it is due at once.
	Release Action = "release"
	// Delete throws items away. Nobody is told.
	Delete Action = "delete"
	// Retry makes what waits due now.
	Retry Action = "retry"
	// Requeue takes items through routing again, as if they were new.
	Requeue Action = "requeue"
	// Expire returns items to their senders with the next attempt, which is now, or
	// when what is held is released.
	Expire Action = "expire"
)

// Order is an Action for all that a Selection picks.
type Order struct {
	Action    Action    `json:"action"`
	Selection Selection `json:"selection"`
}

// Progress is a part of an order that is done: how much, and which items.
type Progress struct {
	Count
	IDs []string `json:"ids"`
}

// Change implements Office. The parts of an order are done, each of them, when told
// hears of them, whatever happens to the rest.
func (s *Stores) Change(ctx context.Context, o Order, told func(Progress) error) error {
	f, err := o.Selection.filter()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &work{stores: s, order: o, by: caller(ctx), told: told, stop: cancel}
	n, err := s.do(ctx, o.Action, f, queue.Told{Done: w.done, Doomed: w.doomed, Ended: w.ended})
	w.part.Busy = n.Busy
	w.flush()
	s.events.Emit(Summary{o.Action, w.by, w.all})
	return errors.Join(w.failed, err)
}

// work is an order that is being carried out.
type work struct {
	stores *Stores
	order  Order
	by     Caller
	told   func(Progress) error
	stop   func()
	part   Progress // since told heard last
	all    Count
	failed error // of told
}

// progressStep is after how many items an order tells how far it is.
const progressStep = 500

// done hears of an item that is changed.
func (w *work) done(it *queue.Item) {
	if w.order.Action != Retry { // that changes nothing but when, and attempts tell of themselves
		w.stores.events.Emit(newHandled(w.order.Action, w.by, it))
	}
	if w.order.Action == Requeue || w.order.Action == Release && it.Recipients[0].Attempts == 0 {
		w.stores.events.Emit(queue.Active{Item: it}) // no attempt tells of its first
	}
	w.count(it)
}

// doomed hears of an item that is deleted while it is being tried, ended of its end.
func (w *work) doomed(it *queue.Item) {
	w.stores.events.Emit(Doomed{newHandled(w.order.Action, w.by, it)})
	w.count(it)
}

func (w *work) ended(it *queue.Item) {
	w.stores.events.Emit(newHandled(w.order.Action, w.by, it))
}

func (w *work) count(it *queue.Item) {
	w.part.IDs = append(w.part.IDs, it.ID.String())
	w.part.Add(Count{Items: 1, Recipients: len(it.Recipients), Size: it.Size})
	if len(w.part.IDs) >= progressStep {
		w.flush()
	}
}

// flush tells how far it is. Where nobody listens any more, whoever asked has thought
// better of it.
func (w *work) flush() {
	w.all.Add(w.part.Count)
	if (len(w.part.IDs) > 0 || w.part.Busy > 0) && w.failed == nil {
		if w.failed = w.told(w.part); w.failed != nil {
			w.stop()
		}
	}
	w.part = Progress{}
}

// do has the queue carry out an action.
func (s *Stores) do(ctx context.Context, a Action, f queue.Filter, told queue.Told) (queue.Count, error) {
	switch a {
	case Hold:
		return s.queue.Hold(ctx, f, told)
	case Release:
		return s.queue.Unhold(ctx, f, told)
	case Delete:
		return s.queue.Delete(ctx, f, told)
	case Retry:
		s.lift(f.Domain)
		return s.queue.Retry(ctx, f, told)
	case Expire:
		return s.queue.Expire(ctx, f, told)
	case Requeue:
		return s.queue.Requeue(ctx, f, s.reroute, told)
	}
	return queue.Count{}, fmt.Errorf("%q is nothing that can be done to the queue", a)
}

// reroute finds anew where a recipient goes, from the address that the peer gave. Where
// that leads to several now, this one stays the one that it is, and the others have
// theirs. One that is unknown by now stays as it is: its delivery fails, and its sender
// hears of it.
func (s *Stores) reroute(ctx context.Context, it *queue.Item, r queue.Recipient) (queue.Recipient, error) {
	if settled(r) {
		return r, nil
	}
	rules := s.addressing()
	was := rules.Forward.Original(ctx, r.Original, time.Now())
	if rules.Forward.IsRewritten(was) {
		return r, nil // it has expired by now; the way that it found when it came is still good
	}
	m := meaning{address: was}
	if err := s.canonical(ctx, rules.Rewrite, &m); err != nil {
		return r, fmt.Errorf("who <%s> is can't be told now: %w", r.Original, err)
	}
	a := s.router.Expand(ctx, route.Question{Recipient: m.address, Sender: it.Sender})
	switch a.State() {
	case lookup.TryAgain:
		return r, fmt.Errorf("where <%s> leads can't be told now: %w", r.Original, a.Err())
	case lookup.Found:
		if to := a.Value().Destinations; len(to) == 1 {
			r = m.onto(to[0], r, was)
		} else if at := own(to, r); at >= 0 {
			r = m.onto(to[at], r, was)
		}
	}
	return r, nil
}

// settled tells of recipients whose way is not to be found from the address that the peer
// gave: whom a user's ~/.forward named, whose mailbox gets the letter whatever that says,
// and what an alias has beside its addresses. That address leads to all the others, too,
// who have theirs or had it.
func settled(r queue.Recipient) bool {
	hop, _ := route.ParseHop(r.Route) // of what can't be read, a new way is found
	switch hop.Kind {
	case route.Program, route.File, route.Expanded:
		return true
	}
	return hop.Plain || len(r.Passed) > 0
}

// own is which of several destinations is the recipient's: the place where he is, else
// who has his address; -1: none. A command or a file has the address of its alias, which
// may be somebody's, too.
func own(to []route.Destination, r queue.Recipient) int {
	same := func(d route.Destination) bool { return d.Address.Key() == r.Address.Key() }
	if at := slices.IndexFunc(to, func(d route.Destination) bool { return same(d) && d.String() == r.Route }); at >= 0 {
		return at
	}
	return slices.IndexFunc(to, func(d route.Destination) bool {
		return same(d) && (d.Kind == route.Mailbox || d.Kind == route.Remote)
	})
}

// onto is a recipient whose way is that of d: who answers for it there, and from which
// address of ours it goes on, are as in a session. was is whom the peer named.
func (m *meaning) onto(d route.Destination, r queue.Recipient, was address.Address) queue.Recipient {
	r.Address, r.Route, r.Sender, r.Owned, r.Forwarder = d.Address, d.String(), d.Sender, d.Owned, address.Address{}
	switch {
	case d.Forwarded:
		r.Forwarder = m.address
	case d.Kind == route.Remote && m.ours: // a canonical address elsewhere
		r.Forwarder = was
	}
	return r
}
