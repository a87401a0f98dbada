package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNotHeld says that no recipient of an item waits for a person.
var ErrNotHeld = errors.New("nothing of this item is held")

// failuresTold is how many failures of a Requeue are told one by one.
const failuresTold = 10

// waits tells whether a recipient is there for the scheduler.
func (r *Recipient) waits() bool { return r.State == Queued }

// Hold puts what the filter picks aside until a person releases it. What is being
// tried (Count.Busy) is held if that attempt does not end it.
func (q *Queue) Hold(ctx context.Context, f Filter, told ...Told) (Count, error) {
	return q.operate(ctx, "holding", f, operation{told: first(told), reads: lean, overrules: true, plan: func(_ *Item, r Recipient) (Recipient, bool) {
		ok := r.waits()
		r.State, r.fresh = Held, false
		return r, ok
	}})
}

// Unhold gives what is held of what the filter picks back to the scheduler, due now. A
// release that the sender asked for (Item.Release) is waited for.
func (q *Queue) Unhold(ctx context.Context, f Filter, told ...Told) (Count, error) {
	now := time.Now()
	return q.operate(ctx, "releasing", f, operation{told: first(told), overrules: true, plan: func(it *Item, r Recipient) (Recipient, bool) {
		ok := r.State == Held
		r.State, r.fresh, r.Due, r.LastReply = Queued, false, it.notBefore(now), ""
		return r, ok
	}})
}

// notBefore is when a recipient that is to be tried now may be.
func (it *Item) notBefore(now time.Time) time.Time {
	if it.Release.After(now) {
		return it.Release
	}
	return now
}

// Delete ends what the filter picks, held or not. Nobody is told. What is being tried
// (Count.Busy) ends with that attempt, which may still deliver it, or return it to its
// sender; none begins after Delete has returned.
func (q *Queue) Delete(ctx context.Context, f Filter, told ...Told) (Count, error) {
	return q.operate(ctx, "deleting", f, operation{told: first(told), reads: lean, overrules: true, removes: true, plan: func(_ *Item, r Recipient) (Recipient, bool) {
		r.removed = true
		return r, true
	}})
}

// Delivered ends the recipients that fn says have their letter already. Nobody is told.
func (q *Queue) Delivered(ctx context.Context, fn func(*Item, Recipient) bool) (Count, error) {
	return q.operate(ctx, "ending", Filter{}, operation{overrules: true, removes: true, plan: func(it *Item, r Recipient) (Recipient, bool) {
		ok := fn(it, r)
		r.removed = ok
		return r, ok
	}})
}

// Retry makes what was tried, and waits, due now, as postqueue -f and ETRN (RFC 1985)
// do. What waits for its release, for a person, or is being tried, is left alone.
func (q *Queue) Retry(ctx context.Context, f Filter, told ...Told) (Count, error) {
	now := time.Now()
	return q.operate(ctx, "retrying", f, operation{told: first(told), reads: lean, plan: func(_ *Item, r Recipient) (Recipient, bool) {
		ok := r.waits() && r.Attempts > 0 && r.Due.After(now)
		r.fresh, r.Due = false, now
		return r, ok
	}})
}

// Flush is Retry of what waits for a domain, ".example.org" being that and all below
// it, "" all. It tells how many recipients that is.
//
// It reads the rows of all that is in the queue: who may ask for it, and how often, is
// the caller's to bound.
func (q *Queue) Flush(ctx context.Context, domain string) (int, error) {
	n, err := q.Retry(ctx, Filter{Domain: domain})
	return n.Recipients, err
}

// Expire gives up what the filter picks: it is due now, and goes back to its sender
// with the next attempt that does not deliver it (postsuper -e). What is held stays so,
// and has that attempt when it is released (postsuper -f does both). What is being
// tried (Count.Busy) is tried once more.
func (q *Queue) Expire(ctx context.Context, f Filter, told ...Told) (Count, error) {
	now := time.Now()
	return q.operate(ctx, "expiring", f, operation{told: first(told), overrules: true, plan: func(it *Item, r Recipient) (Recipient, bool) {
		ok := !r.Expired && (r.waits() || r.State == Held)
		if r.waits() {
			r.fresh, r.Due = false, it.notBefore(now)
		}
		r.Expired = true
		return r, ok
	}})
}

// Requeue begins anew with what the filter picks, held or not, under its ID: each
// recipient gets the address, route, sender and forwarder that fn gives, no attempts, and is due now
// (postsuper -r). fn may take its time; where it fails, the recipient stays as it is,
// and the error is told in the end. What is being tried (Count.Busy) is left alone.
func (q *Queue) Requeue(ctx context.Context, f Filter, fn func(context.Context, *Item, Recipient) (Recipient, error), told ...Told) (Count, error) {
	var failures []error
	now := time.Now()
	sum, err := q.operate(ctx, "requeueing", f, operation{told: first(told), plan: func(it *Item, r Recipient) (Recipient, bool) {
		if !r.waits() && r.State != Held {
			return r, false
		}
		to, err := fn(ctx, it, r)
		if err != nil {
			if len(failures) < failuresTold {
				failures = append(failures, fmt.Errorf("%s: <%s>: %w", it.ID, r.Address, err))
			}
			return r, false
		}
		r.Address, r.Route, r.Sender, r.Owned, r.Forwarder = to.Address, to.Route, to.Sender, to.Owned, to.Forwarder
		r.State, r.fresh, r.Due, r.Attempts, r.LastReply, r.Expired = Queued, false, it.notBefore(now), 0, "", false
		return r, true
	}})
	return sum, errors.Join(err, errors.Join(failures...))
}
