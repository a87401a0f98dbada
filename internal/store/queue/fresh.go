package queue

import (
	"context"
	"slices"
	"time"

	"facteur/internal/store/db"
)

// hotBytes bounds the bodies that stay in memory between Commit and the first
// attempt, and freshMax the items: what is beyond is read from the file again.
const (
	hotBytes = 32 << 20
	freshMax = 10_000
)

// fresh is what was committed by this process and not yet claimed. It spares the
// common case, mail that leaves at once, a search in the database, and the indexes
// that a search needs.
type fresh struct {
	items []*Item
	// places counts the items, and those whose commit is on its way.
	places int
	// missed is true when something due may be only in the database.
	missed bool
	hot    map[ID]memBody
	bytes  int
	// shelving are items that were given back, and whose rows are to say so.
	shelving []*Item
}

// reserve leases the recipients of an item that is about to be committed, so that
// nobody claims it from the database between its commit and enter; and it decides
// whether the item will be handed out from memory.
func (q *Queue) reserve(d Draft) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	atHand := q.fresh.places < freshMax && d.Item.isDue(now)
	if atHand {
		q.fresh.places++
	}
	for i := range d.Item.Recipients {
		d.Item.Recipients[i].fresh = atHand
		q.lease(d.Item, d.Item.Recipients[i].N)
	}
}

// isDue tells whether all recipients of a new item are to be tried at once.
func (it *Item) isDue(now time.Time) bool {
	return !it.Release.After(now) && !slices.ContainsFunc(it.Recipients, func(r Recipient) bool { return r.State != Queued })
}

// forgo gives back what reserve took, for an item that was not committed.
func (q *Queue) forgo(d Draft) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.Item.Recipients[0].fresh {
		q.fresh.places--
	}
	q.endLeases(d.Item)
}

// enter makes a just committed item known to those who claim.
func (q *Queue) enter(d Draft) {
	if d.Announce != nil {
		d.Announce()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids.noted(d.Item.ID)
	if !d.Item.Recipients[0].fresh {
		q.endLeases(d.Item)
		q.appeared(d.Item.Recipients...)
		q.tellQuarantine(d.Item)
		return
	}
	q.fresh.items = Enqueue(q.fresh.items, d.Item, (*Item).turn)
	if n := len(d.Spool.mem); n > 0 && q.fresh.bytes+n <= hotBytes {
		q.fresh.hot[d.Item.ID] = d.Spool.mem
		q.fresh.bytes += n
	}
}

// takeFresh hands out what is in memory.
func (q *Queue) takeFresh(limit int) []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.fresh.items))
	taken := slices.Clone(q.fresh.items[:n])
	q.fresh.items = slices.Delete(q.fresh.items, 0, n)
	q.fresh.places -= n
	return slices.DeleteFunc(taken, func(it *Item) bool { return !q.still(it) })
}

// shelve puts what was fresh, and was given back, where a search finds it. It stays
// leased until then. q.mu is held.
func (q *Queue) shelve(it *Item) {
	q.fresh.shelving = append(q.fresh.shelving, it)
	if len(q.fresh.shelving) == 1 {
		q.later(q.shelveAll)
	}
}

func (q *Queue) shelveAll() {
	q.mu.Lock()
	items := q.fresh.shelving
	q.fresh.shelving = nil
	q.mu.Unlock()
	for part := range slices.Chunk(items, changeMax) {
		err := q.db.Write(context.Background(), func(tx *db.Tx) error {
			for _, it := range part {
				if err := shelveRows(tx, it); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !q.pause() { // a full disk, perhaps
			return
		}
		q.shelved(part, err)
	}
	q.Look()
}

func shelveRows(tx *db.Tx, it *Item) error {
	for _, r := range it.Recipients {
		if !r.fresh {
			continue
		}
		if _, err := tx.Exec("UPDATE recipient SET state = 0 WHERE item = ? AND n = ? AND state = 3", int64(it.ID), r.N); err != nil {
			return err
		}
	}
	return nil
}

// shelved ends the leases of what can be searched for now. What can't be, because the
// disk has no room for it, is handed out from memory again.
func (q *Queue) shelved(part []*Item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range part {
		if err != nil {
			q.fresh.items = append(q.fresh.items, it)
			q.fresh.places++
			continue
		}
		q.endLeases(it)
		q.appeared(it.Recipients...)
	}
}
