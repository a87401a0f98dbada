package queue

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"

	"facteur/internal/store/db"
)

// Settle records the outcomes of attempts, and commits what they cause, in one
// transaction. It gives the items that have ended with it. On an error nothing has
// changed and the leases are still held: call it again.
func (q *Queue) Settle(ctx context.Context, settlements ...Settlement) (ended []ID, err error) {
	for _, s := range settlements {
		for _, d := range s.Offspring {
			if err := prepare(d); err != nil {
				return nil, err
			}
		}
	}
	q.reserveOffspring(settlements)
	var cleared []lease
	err = q.db.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		ended, cleared = ended[:0], nil // the function may run twice
		for _, s := range settlements {
			if err := q.settle(tx, s, &cleared); err != nil {
				return err
			}
			gone, err := q.end(tx, s)
			if err != nil {
				return err
			}
			if gone {
				ended = append(ended, s.Item)
			}
		}
		return nil
	})
	if err != nil {
		q.forgoOffspring(settlements)
		return nil, fmt.Errorf("queue: %w", err)
	}
	q.executed(cleared)
	q.removeBodies(q.afterSettle(settlements, ended))
	return ended, nil
}

func (q *Queue) reserveOffspring(settlements []Settlement) {
	for _, s := range settlements {
		for _, d := range s.Offspring {
			q.reserve(d)
		}
	}
}

func (q *Queue) forgoOffspring(settlements []Settlement) {
	for _, s := range settlements {
		for _, d := range s.Offspring {
			q.forgo(d)
		}
	}
}

// settle does one settlement, but for the end of its item. It adds the recipients that
// ended because a person had deleted them meanwhile.
func (q *Queue) settle(tx *db.Tx, s Settlement, cleared *[]lease) error {
	for _, o := range s.Outcomes {
		overruled, removed, err := q.record(tx, s.Item, o)
		if err != nil {
			return err
		}
		if removed {
			*cleared = append(*cleared, lease{s.Item, o.N})
		}
		if overruled {
			continue
		}
		if err := q.replace(tx, s.Item, o); err != nil {
			return err
		}
	}
	for _, d := range s.Offspring {
		if err := q.insert(tx, d); err != nil {
			return err
		}
	}
	return nil
}

// end removes the item of a settlement if no recipient is left.
func (q *Queue) end(tx *db.Tx, s Settlement) (ended bool, err error) {
	if !slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return o.terminal() || q.isOverruled(lease{s.Item, o.N}) }) {
		return false, nil
	}
	return endItem(tx, s.Item)
}

// endItem removes an item, and the bytes in its row, if no recipient is left.
func endItem(tx *db.Tx, id ID) (ended bool, err error) {
	n, err := affected(tx.Exec("DELETE FROM item WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipient WHERE item = ?1)", int64(id)))
	return n > 0, err
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// record writes one outcome. What a person has said about the recipient since the
// attempt began goes before what the attempt says, unless it has ended it: overruled
// tells of that, and removed that he had deleted it. An order may be withdrawn at any
// moment, so that it is asked for once.
func (q *Queue) record(tx *db.Tx, id ID, o Outcome) (overruled, removed bool, err error) {
	if !o.final() {
		if order, overruled := q.overruling(lease{id, o.N}); overruled {
			removed, err := order.obey(tx, lease{id, o.N})
			if err == nil && o.Delayed { // the notice goes out with this, and is not to go twice
				_, err = tx.Exec("UPDATE recipient SET delayed = 1 WHERE item = ? AND n = ?", int64(id), o.N)
			}
			return true, removed, err
		}
	}
	switch o.Result {
	case Delivered, Failed:
		_, err = tx.Exec("DELETE FROM recipient WHERE item = ? AND n = ?", int64(id), o.N)
	case Staged:
		_, err = tx.Exec("UPDATE recipient SET state = 1 WHERE item = ? AND n = ?", int64(id), o.N)
	case Undeliverable:
		_, err = tx.Exec("UPDATE recipient SET state = 2, attempts = attempts + 1, last_reply = ? WHERE item = ? AND n = ?", o.Reply, int64(id), o.N)
	default:
		_, err = tx.Exec(`UPDATE recipient SET state = 0, due = ?, attempts = attempts + 1, last_reply = ?, delayed = delayed OR ?
			WHERE item = ? AND n = ?`, o.Due.UnixMicro(), o.Reply, o.Delayed, int64(id), o.N)
	}
	return false, false, err
}

// afterSettle brings memory in line with what was committed, but for what has ended.
func (q *Queue) afterSettle(settlements []Settlement, ended []ID) (files []ID) {
	q.mu.Lock()
	files = q.ended(ended)
	for _, s := range settlements {
		for _, o := range s.Outcomes {
			if o.Result == Staged {
				continue // its lease lasts until it has landed
			}
			if o.terminal() && len(q.condemned) > 0 {
				q.pardon(lease{s.Item, o.N})
			}
			q.endLease(lease{s.Item, o.N})
			switch o.Result {
			case Deferred:
				q.dueAt(o.Due)
				q.cool(s.Item)
			case Undeliverable:
				q.cool(s.Item)
			}
			q.appeared(o.Forward...)
		}
	}
	q.mu.Unlock()
	for _, s := range settlements {
		for _, d := range s.Offspring {
			q.enter(d)
			d.Spool.Discard()
		}
	}
	q.signal()
	return files
}

// ended takes note of items that are gone, while they are still leased; it gives those
// whose bytes are in a file. q.mu is held.
func (q *Queue) ended(gone []ID) (files []ID) {
	for _, id := range gone {
		q.cool(id)
		if _, large := q.files[id]; large {
			files = append(files, id)
		}
	}
	return files
}

// cool forgets a body that was kept in memory; q.mu is held.
func (q *Queue) cool(id ID) {
	q.fresh.bytes -= len(q.fresh.hot[id])
	delete(q.fresh.hot, id)
}

// removeBodies removes the files of ended items; one that stays is an orphan, and keeps
// none of the others.
func (q *Queue) removeBodies(ended []ID) {
	for _, id := range ended {
		_ = os.Remove(bodyPath(q.spoolDir, id))
	}
}
