package queue

import (
	"context"
	"fmt"
	"slices"

	"facteur/internal/store/db"
)

// changeMax is how many recipients a person's order changes in one transaction:
// somebody waits for a 250 behind it. removeMax is how many it deletes: that is less to
// write, and the more go together, the fewer pages are written more than once.
const (
	changeMax = 250
	removeMax = 1000
)

// rereads is how often what changed between reading and writing is looked at again.
const rereads = 3

// An operation is what a person does to recipients.
type operation struct {
	// plan tells how a recipient is to stand from now on, and whether the operation is
	// for it at all.
	plan func(*Item, Recipient) (to Recipient, ok bool)
	// overrules: it is also written for what is being tried, and the attempt does not
	// undo it unless it ends the recipient.
	overrules bool
	// removes: the recipients end.
	removes bool
	// reads is how much of an item plan looks at.
	reads reading
	told  Told
}

// atOnce is how many recipients it changes in one transaction.
func (op operation) atOnce() int {
	if op.removes {
		return removeMax
	}
	return changeMax
}

// target is a recipient to be changed, as it was read and as it is to be.
type target struct {
	item *Item
	Recipient
	to   Recipient
	busy bool // somebody else works on it
}

func (t target) lease() lease { return lease{t.item.ID, t.N} }

// operate does an operation to what a filter picks, a bounded part at a time, and
// counts what it has changed. What it had done before an error stays done.
func (q *Queue) operate(ctx context.Context, name string, f Filter, op operation) (sum Count, err error) {
	if op.removes {
		defer q.deleting()()
	}
	err = q.pagesAhead(ctx, op.reads, f, func(page []*Item) error {
		n, err := q.operatePage(ctx, f, op, page)
		sum.Items, sum.Recipients, sum.Bytes, sum.Busy = sum.Items+n.Items, sum.Recipients+n.Recipients, sum.Bytes+n.Bytes, sum.Busy+n.Busy
		return err
	})
	if sum.Recipients > 0 {
		q.Look()
	}
	if err != nil {
		return sum, fmt.Errorf("queue: %s: %w", name, err)
	}
	return sum, nil
}

// operatePage does an operation to the items of a page. What has changed since it was
// read is read again, for the operation may still be meant for it.
func (q *Queue) operatePage(ctx context.Context, f Filter, op operation, page []*Item) (Count, error) {
	changed := make(map[ID]*Item)
	var sum Count
	for round := 0; len(page) > 0 && round < rereads; round++ {
		var missed []ID
		for part := range slices.Chunk(op.targets(f, page, &sum), op.atOnce()) {
			if err := ctx.Err(); err != nil {
				return sum, err
			}
			r, err := q.apply(ctx, op, part)
			if err != nil {
				return sum, err
			}
			for _, t := range r.done {
				changed[t.item.ID] = t.item
			}
			op.tell(r)
			sum.Recipients, sum.Busy, missed = sum.Recipients+len(r.done), sum.Busy+r.busy, append(missed, r.missed...)
		}
		if page = nil; len(missed) == 0 {
			break
		}
		again := f
		again.IDs = missed
		if err := q.pages(ctx, op.reads, again, func(p []*Item) (bool, error) { page = append(page, p...); return true, nil }); err != nil {
			return sum, err
		}
	}
	for _, it := range changed {
		sum.Items, sum.Bytes = sum.Items+1, sum.Bytes+it.Size
	}
	return sum, nil
}

// targets are the recipients of a page that an operation is for. What is on its way
// into a mailbox can't be stopped any more, and is counted.
func (op operation) targets(f Filter, page []*Item, sum *Count) (all []target) {
	for _, it := range page {
		for _, r := range it.Recipients {
			switch {
			case !f.picksRecipient(r):
			case r.State == Landing:
				sum.Busy++
			default:
				if to, ok := op.plan(it, r); ok {
					all = append(all, target{item: it, Recipient: r, to: to})
				}
			}
		}
	}
	return all
}

// applied is what became of a part.
type applied struct {
	done   []target
	missed []ID // stood otherwise than they were read
	busy   int
}

// apply does an operation to some recipients in one transaction. Those that are free
// it leases meanwhile, as a worker would, so that no Claim hands them out between
// what it read and what is being written.
func (q *Queue) apply(ctx context.Context, op operation, part []target) (r applied, err error) {
	q.operating.Lock() // so that whoever has a lease is a worker
	defer q.operating.Unlock()
	mine, theirs := q.seize(part)
	var gone []ID
	err = q.db.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		r, gone = applied{busy: len(theirs)}, nil // the function may run twice
		for _, t := range mine {
			if err := r.note(t)(op.write(tx, t)); err != nil {
				return err
			}
		}
		if op.overrules {
			for _, t := range theirs {
				q.overrule(t, op)
				if err := r.note(t)(t.write(tx)); err != nil {
					return err
				}
			}
		}
		if !op.removes {
			return nil
		}
		gone, err = doomAll(tx, r.done)
		return err
	})
	q.giveBack(mine, gone, r, err)
	if op.overrules {
		q.insist(op, theirs, r)
	}
	return r, err
}

// note puts a target where the answer of a change says.
func (r *applied) note(t target) func(bool, error) error {
	return func(changed bool, err error) error {
		switch {
		case err != nil:
		case changed:
			r.done = append(r.done, t)
		default:
			r.missed = append(r.missed, t.item.ID)
		}
		return err
	}
}

// doomAll has the items removed that have no recipient left.
func doomAll(tx *db.Tx, done []target) (gone []ID, err error) {
	last := ID(0)
	for _, t := range done {
		if t.item.ID == last {
			continue
		}
		last = t.item.ID
		n, err := affected(tx.Exec("INSERT OR IGNORE INTO doomed SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM recipient WHERE item = ?1)", int64(last)))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			gone = append(gone, last)
		}
	}
	return gone, nil
}

// seize leases those that are free.
func (q *Queue) seize(part []target) (mine, theirs []target) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range part {
		if _, t.busy = q.leased[t.lease()]; t.busy {
			theirs = append(theirs, t)
			continue
		}
		q.lease(t.item, t.N)
		mine = append(mine, t)
	}
	return mine, theirs
}

// giveBack ends the leases of a part, of which some items are gone.
func (q *Queue) giveBack(mine []target, gone []ID, r applied, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(gone) > 0 {
		q.ended(gone)
		q.moreDoomed = true
	}
	for _, t := range mine {
		q.endLease(t.lease())
	}
	if err != nil {
		r = applied{}
	}
	written := make(map[lease]bool, len(r.done))
	for _, t := range r.done {
		written[t.lease()] = true
		q.appeared(t.to)
	}
	for _, t := range mine {
		if !written[t.lease()] { // it stands as it was, or as somebody else has put it
			q.passed(t.Recipient)
			q.fresh.missed = true
		}
	}
}

// overrule notes that what a person has written about a recipient is not to be undone
// by the attempt that is under way, nor is a new one to begin.
func (q *Queue) overrule(t target, op operation) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overruled[t.lease()] = overruling{op.removes, t.to}
	if op.removes {
		q.condemned[t.lease()] = func() { call(op.told.Ended, t.item, t.Recipient) }
	}
}

// insist sees to leases that ended, and perhaps began anew from what had stood there,
// while they were overruled; and takes back what was not written in the end.
func (q *Queue) insist(op operation, theirs []target, r applied) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range theirs {
		_, held := q.leased[t.lease()]
		written := slices.ContainsFunc(r.done, func(d target) bool { return d.lease() == t.lease() })
		switch {
		case !written:
			delete(q.overruled, t.lease())
			delete(q.condemned, t.lease())
		case held:
			q.overruled[t.lease()] = overruling{op.removes, t.to}
		default:
			q.settleOrder(t.lease(), overruling{op.removes, t.to})
		}
	}
}

// stands is the condition that a row is as it was read.
const stands = " WHERE item = ? AND n = ? AND state = ? AND attempts = ? AND due = ?"

func (t target) stands(values ...any) []any {
	return append(values, int64(t.item.ID), t.N, t.row(), t.Attempts, t.Due.UnixMicro())
}

// write brings the row of a target from what it was to what it is to be.
func (t target) write(tx *db.Tx) (changed bool, err error) {
	n, err := affected(tx.Exec(`UPDATE recipient SET state = ?, due = ?, attempts = ?, last_reply = ?, address = ?, route = ?, options = ?`+stands,
		t.stands(t.to.row(), t.to.Due.UnixMicro(), t.to.Attempts, t.to.LastReply, mailbox(t.to.Address), t.to.Route, t.to.options())...))
	if err == nil && n > 0 && t.inQuarantine() && !t.to.inQuarantine() {
		err = t.removeExhibit(tx)
	}
	return n > 0, err
}

// write does the operation to a recipient that nobody works on.
func (op operation) write(tx *db.Tx, t target) (changed bool, err error) {
	if !op.removes {
		return t.write(tx)
	}
	n, err := affected(tx.Exec("DELETE FROM recipient"+stands, t.stands()...))
	if err == nil && n > 0 && t.inQuarantine() {
		err = t.removeExhibit(tx)
	}
	return n > 0, err
}
