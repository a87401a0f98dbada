package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"facteur/internal/store/db"
)

// ForwardMax is by how many the recipients of one item may grow, over all steps, by being
// sent on. Who sends it on asks before, see Queue.Forwarded.
const ForwardMax = 1000

// Forwarded is by how many the recipients of an item have grown, over all steps, by being
// sent on (Outcome.Forward), those included who have got it. 0 for an item that is gone.
func (q *Queue) Forwarded(ctx context.Context, id ID) (int, error) {
	var options string
	err := q.db.Reader().QueryRowContext(ctx, "SELECT options FROM item WHERE id = ?", int64(id)).Scan(&options)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	var it Item
	it.setOptions(options)
	return it.forwarded, nil
}

// grow notes that an item with these options gets n more recipients than it loses.
func (it *Item) grow(tx *db.Tx, options string, n int) error {
	if n == 0 {
		return nil
	}
	it.setOptions(options)
	it.forwarded += n
	_, err := tx.Exec("UPDATE item SET options = ? WHERE id = ?", it.options(), int64(it.ID))
	return err
}

// replace puts others in the place of a recipient who is Delivered by that, and whom no
// person has held or deleted meanwhile. Their numbers are like IDs of items, so that none
// of the item's recipients ever had them, nor had a file with such a name.
func (q *Queue) replace(tx *db.Tx, id ID, o Outcome) error {
	if len(o.Forward) == 0 {
		return nil
	}
	it := &Item{ID: id}
	var sender, options string
	if err := tx.QueryRow("SELECT sender, size, options FROM item WHERE id = ?", int64(id)).Scan(&sender, &it.Size, &options); err != nil {
		return err
	}
	if err := it.grow(tx, options, len(o.Forward)-1); err != nil {
		return err
	}
	for i := range o.Forward {
		r := &o.Forward[i]
		number := q.NextID()
		if err := q.ids.use(tx, number); err != nil {
			return err
		}
		r.N, r.State, r.Due = int(number), Queued, time.UnixMicro(int64(number)) // as it is for what is new
		if err := insertRecipient(tx, it, sender, r); err != nil {
			return err
		}
	}
	return nil
}
