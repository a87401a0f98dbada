package queue

import (
	"context"
	"slices"

	"facteur/internal/store/db"
)

// lease names a recipient that somebody works on.
type lease struct {
	item ID
	n    int
}

// leases are what is being worked on. Its fields are guarded by Queue.mu.
type leases struct {
	leased map[lease]struct{}
	// files counts the leases of each item whose bytes are in a file.
	files map[ID]int
	// recentEnds are the leases that ended since a search began to read; nil when
	// none is reading.
	recentEnds map[lease]struct{}
	// overruled are those about which a person has written something that the attempt
	// must not undo.
	overruled map[lease]overruling
	// condemned tell of recipients that were deleted while they were being tried, when
	// that ends them.
	condemned map[lease]func()
	// removed are those that are to end now.
	removed []lease
	// moreDoomed: there is something deleted to be removed; reaping: that is being done;
	// deletions are under way, and it waits for them.
	moreDoomed, reaping bool
	deletions           int
}

func newLeases() leases {
	return leases{leased: make(map[lease]struct{}), files: make(map[ID]int), overruled: make(map[lease]overruling), condemned: make(map[lease]func())}
}

// lease takes a recipient of an item; q.mu is held.
func (q *Queue) lease(it *Item, n int) {
	q.leased[lease{it.ID, n}] = struct{}{}
	if it.Size > inlineMax {
		q.files[it.ID]++
	}
}

// endLease takes a lease back, and tells a search that is reading; q.mu is held.
func (q *Queue) endLease(l lease) {
	delete(q.leased, l)
	if n, large := q.files[l.item]; n > 1 {
		q.files[l.item] = n - 1
	} else if large {
		delete(q.files, l.item)
	}
	if q.recentEnds != nil {
		q.recentEnds[l] = struct{}{}
	}
	if len(q.overruled) == 0 {
		return
	}
	if o, overruled := q.overruled[l]; overruled {
		q.settleOrder(l, o)
		delete(q.overruled, l)
	}
}

// overruling is what a person's order made of a recipient that is being tried.
type overruling struct {
	removes bool
	to      Recipient
}

// settleOrder lets an order take its course when the attempt has ended; q.mu is held.
func (q *Queue) settleOrder(l lease, o overruling) {
	if o.removes {
		q.clearLater(l)
		return
	}
	q.appeared(o.to)
	q.fresh.missed = true
}

// endLeases gives back all of an item; q.mu is held.
func (q *Queue) endLeases(it *Item) {
	for _, r := range it.Recipients {
		q.endLease(lease{it.ID, r.N})
	}
	q.cool(it.ID)
}

func (q *Queue) isLeased(id ID, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.leased[lease{id, n}]
	return ok
}

// Active tells whether an attempt for a recipient of the item is under way.
func (q *Queue) Active(it *Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range it.Recipients {
		if _, ok := q.leased[lease{it.ID, r.N}]; ok {
			return true
		}
	}
	return false
}

// Still gives those recipients of a claimed item that may be tried: not those that a
// person has held or deleted since, or given another way, whose leases end. Call it
// right before an attempt begins: what was deleted is then not tried any more.
func (q *Queue) Still(it *Item) []Recipient {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.overruled) == 0 {
		return it.Recipients
	}
	left := *it
	q.still(&left)
	return left.Recipients
}

// still takes those out of an item that Still leaves out, and tells whether any is
// left; q.mu is held.
func (q *Queue) still(it *Item) bool {
	if len(q.overruled) == 0 {
		return true
	}
	it.Recipients = slices.DeleteFunc(slices.Clone(it.Recipients), func(r Recipient) bool {
		l := lease{it.ID, r.N}
		_, overruled := q.overruled[l]
		if overruled {
			q.endLease(l)
		}
		return overruled
	})
	return len(it.Recipients) > 0
}

// overruling is what a person has ordered of a recipient since it was leased.
func (q *Queue) overruling(l lease) (o overruling, overruled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	o, overruled = q.overruled[l]
	return o, overruled
}

func (q *Queue) isOverruled(l lease) bool {
	_, overruled := q.overruling(l)
	return overruled
}

// obey lets the row stand as the order has put it, also if a letter that was on its
// way into a mailbox did not get there; removed tells that it has ended.
func (o overruling) obey(tx *db.Tx, l lease) (removed bool, err error) {
	if _, err := tx.Exec("UPDATE recipient SET state = ? WHERE item = ? AND n = ? AND state = 1", o.to.row(), int64(l.item), l.n); err != nil {
		return false, err
	}
	return clearRow(tx, l)
}

// clearLater has the row removed of what was deleted while it was being tried; q.mu is
// held.
func (q *Queue) clearLater(l lease) {
	q.removed = append(q.removed, l)
	if len(q.removed) == 1 {
		q.later(q.clear)
	}
}

// clear removes rows of state Removed that nobody works on any more. What it does not
// get to is removed after the next start.
func (q *Queue) clear() {
	q.mu.Lock()
	some := q.removed
	q.removed = nil
	q.mu.Unlock()
	for part := range slices.Chunk(some, changeMax) {
		var gone []ID
		var cleared []lease
		for {
			err := q.db.Write(context.Background(), func(tx *db.Tx) (err error) {
				gone, cleared, err = clearRows(tx, part)
				return err
			})
			if err == nil {
				break
			}
			if !q.pause() { // a full disk, perhaps
				return
			}
		}
		q.mu.Lock()
		q.ended(gone)
		q.mu.Unlock()
		q.removeBodies(gone) // nobody has them leased: any may have a file
		q.executed(cleared)
		q.mu.Lock()
		for _, l := range part {
			q.pardon(l)
		}
		q.mu.Unlock()
	}
}

func clearRows(tx *db.Tx, part []lease) (gone []ID, cleared []lease, err error) {
	for _, l := range part {
		had, err := clearRow(tx, l)
		if err != nil {
			return nil, nil, err
		}
		if had {
			cleared = append(cleared, l)
		}
		ended, err := endItem(tx, l.item)
		if err != nil {
			return nil, nil, err
		}
		if ended {
			gone = append(gone, l.item)
		}
	}
	return gone, cleared, nil
}

func clearRow(tx *db.Tx, l lease) (had bool, err error) {
	n, err := affected(tx.Exec("DELETE FROM recipient WHERE item = ? AND n = ? AND state = 4", int64(l.item), l.n))
	return n > 0, err
}
