package queue

import (
	"context"

	"facteur/internal/store/db"
)

// reapMax is how many deleted items go in one transaction: others wait behind it, and
// each has a page of its own to be written.
const reapMax = 50

// reapLater has the items removed that were deleted; q.mu is held.
func (q *Queue) reapLater() {
	q.moreDoomed = true
	if !q.reaping {
		q.reaping = true
		q.later(q.reap)
	}
}

// reap removes the rows and the bytes of items that a person has deleted. What it does
// not get to is removed after the next start.
func (q *Queue) reap() {
	for q.reapMore() {
		for {
			some, err := q.reapSome()
			if err != nil { // the disk is full, or we are closing: the next order tries again
				q.mu.Lock()
				q.reaping = false
				q.mu.Unlock()
				return
			}
			if some < reapMax {
				break
			}
		}
	}
}

// reapMore tells whether more has come since the last time.
func (q *Queue) reapMore() (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	more, q.moreDoomed = q.moreDoomed, false
	q.reaping = more
	return more
}

func (q *Queue) reapSome() (n int, err error) {
	ids, err := q.doomedItems()
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = q.db.Write(context.Background(), func(tx *db.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec("DELETE FROM item WHERE id = ?", int64(id)); err != nil {
				return err
			}
			if _, err := tx.Exec("DELETE FROM doomed WHERE item = ?", int64(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	q.removeBodies(ids) // any may have a file
	return len(ids), nil
}

func (q *Queue) doomedItems() (ids []ID, err error) {
	rows, err := q.db.Reader().Query("SELECT item FROM doomed ORDER BY item LIMIT ?", reapMax)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, ID(id))
	}
	return ids, rows.Err()
}
