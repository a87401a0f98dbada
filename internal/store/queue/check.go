package queue

import (
	"context"
	"errors"
	"fmt"
)

// Damage is something that Check found.
type Damage struct {
	// Item is whose; 0: of the whole queue.
	Item ID
	What string
}

// Check reads the whole queue, and tells fn what is damaged. Messages that are not as
// they were committed are held. It gives how much there is in the queue.
func (q *Queue) Check(ctx context.Context, fn func(Damage)) (sum Count, err error) {
	if err := q.checkFile(ctx, fn); err != nil {
		return sum, fmt.Errorf("queue: %w", err)
	}
	for _, shelf := range []Shelf{ShelfAny, ShelfQuarantine} {
		n, err := q.checkShelf(ctx, shelf, fn)
		sum.Items, sum.Recipients, sum.Bytes = sum.Items+n.Items, sum.Recipients+n.Recipients, sum.Bytes+n.Bytes
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (q *Queue) checkShelf(ctx context.Context, shelf Shelf, fn func(Damage)) (sum Count, err error) {
	err = q.pages(ctx, lean, Filter{Shelf: shelf}, func(page []*Item) (bool, error) {
		for _, it := range page {
			sum.Items, sum.Recipients, sum.Bytes = sum.Items+1, sum.Recipients+len(it.Recipients), sum.Bytes+it.Size
			_, err := q.stored(ctx, it)
			if !errors.Is(err, ErrDamaged) {
				continue // sound, or gone meanwhile, or not to be told now
			}
			if _, held := q.holdDamaged(ctx, it.ID, err); held != nil {
				return false, held
			}
			fn(Damage{it.ID, err.Error()})
		}
		return true, ctx.Err()
	})
	return sum, err
}

// checkFile has SQLite look at the tables and their indexes.
func (q *Queue) checkFile(ctx context.Context, fn func(Damage)) error {
	rows, err := q.db.Reader().QueryContext(ctx, "PRAGMA integrity_check(20)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			fn(Damage{What: "queue.db: " + line})
		}
	}
	return rows.Err()
}

// Purge removes what earlier processes left in the spool directory and belongs to no
// item, and tells how many files that were. The sweep after a start does the same.
func (q *Queue) Purge(ctx context.Context) (files int, err error) {
	return q.removeOrphans(ctx)
}
