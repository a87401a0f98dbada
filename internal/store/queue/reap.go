package queue

import (
	"context"

	"facteur/internal/store/db"
)

// reapMax is how many deleted items go in one transaction: others wait behind it, and
// each has a page of its own to be written.
const reapMax = 50

// deleting says that an order deletes, for which somebody waits: the items go after it.
func (q *Queue) deleting() (done func()) {
	q.mu.Lock()
	q.deletions++
	q.mu.Unlock()
	return func() {
		q.mu.Lock()
		q.deletions--
		q.reapLater()
		q.mu.Unlock()
	}
}

// reapLater has the items removed that were deleted; q.mu is held.
func (q *Queue) reapLater() {
	if q.moreDoomed && !q.reaping && q.deletions == 0 {
		q.reaping = true
		q.later(q.reap)
	}
}

// reap removes the rows and the bytes of items that a person has deleted. What it does
// not get to is removed after the next start.
func (q *Queue) reap() {
	for q.reapMore() {
		some, err := q.reapSome()
		switch {
		case err != nil && !q.pause(): // a full disk, perhaps
			return
		case err != nil || some == reapMax:
			q.mu.Lock()
			q.moreDoomed = true
			q.mu.Unlock()
		}
	}
}

// reapMore tells whether more is to be removed now.
func (q *Queue) reapMore() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reaping = q.moreDoomed && q.deletions == 0
	if q.reaping {
		q.moreDoomed = false
	}
	return q.reaping
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
