package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/store/db"
)

// ErrNotHeld says that no recipient of an item waits for a person.
var ErrNotHeld = errors.New("nothing of this item is held")

// Unhold gives what is held of an item back to the scheduler, due now, and tells how
// many recipients that is. A release that the sender asked for (Item.Release) is
// waited for.
func (q *Queue) Unhold(ctx context.Context, id ID) (int, error) {
	it, _, err := q.Show(ctx, id)
	if err != nil {
		return 0, err
	}
	due := time.Now()
	if it.Release.After(due) {
		due = it.Release
	}
	var n int64
	err = q.db.Write(ctx, func(tx *db.Tx) (err error) {
		n, err = affected(tx.Exec("UPDATE recipient SET state = 0, due = ?, last_reply = '' WHERE item = ? AND state = 2",
			due.UnixMicro(), int64(id)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("queue: releasing %s: %w", id, err)
	}
	if n == 0 {
		return 0, ErrNotHeld
	}
	q.Look()
	return int(n), nil
}
