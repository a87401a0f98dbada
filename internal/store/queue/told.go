package queue

import "slices"

// Told hears what an order does, once that is durable. Each function may be nil. An
// Item has those recipients only that are meant, as they stood before the order, but
// with the address that a Requeue gave them; of Hold, Retry and Delete it is what Outline
// gives.
type Told struct {
	// Done is called for what is changed, before the order returns.
	Done func(*Item)
	// Doomed is called likewise for what is deleted while it is being tried: the
	// attempt may still deliver it.
	Doomed func(*Item)
	// Ended is called for what Doomed was called for when it has ended by the order,
	// and not by its attempt; from any goroutine, and perhaps long after the order.
	// A crash between the two forgets it.
	Ended func(*Item)
}

// first is what the caller of an order gave, if anything.
func first(told []Told) (t Told) {
	if len(told) > 0 {
		t = told[0]
	}
	return t
}

// tell tells of a part of an operation.
func (op operation) tell(r applied) {
	for len(r.done) > 0 {
		n := 1
		for n < len(r.done) && r.done[n].item == r.done[0].item && r.done[n].busy == r.done[0].busy {
			n++
		}
		fn := op.told.Done
		if r.done[0].busy && op.removes {
			fn = op.told.Doomed
		}
		var to []Recipient
		for _, t := range r.done[:n] {
			t.Address = t.to.Address
			to = append(to, t.Recipient)
		}
		call(fn, r.done[0].item, to...)
		r.done = r.done[n:]
	}
}

func call(fn func(*Item), it *Item, to ...Recipient) {
	if fn == nil {
		return
	}
	one := *it
	one.Recipients = slices.Clone(to)
	fn(&one)
}

// pardon forgets what was condemned and came to another end; q.mu is held.
func (q *Queue) pardon(l lease) { delete(q.condemned, l) }

// executed tells of what was condemned and is gone.
func (q *Queue) executed(gone []lease) {
	for _, l := range gone {
		q.mu.Lock()
		tell := q.condemned[l]
		delete(q.condemned, l)
		q.mu.Unlock()
		if tell != nil {
			tell()
		}
	}
}
