package queue

import (
	"time"

	"facteur/internal/store/db"
)

// replace puts others in the place of a recipient who is Delivered by that, and whom no
// person has held or deleted meanwhile. Their numbers are like IDs of items, so that none
// of the item's recipients ever had them, nor had a file with such a name.
func (q *Queue) replace(tx *db.Tx, id ID, o Outcome) error {
	if len(o.Forward) == 0 {
		return nil
	}
	it := &Item{ID: id}
	var sender string
	if err := tx.QueryRow("SELECT sender, size FROM item WHERE id = ?", int64(id)).Scan(&sender, &it.Size); err != nil {
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
