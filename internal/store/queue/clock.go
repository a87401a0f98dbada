package queue

import (
	"context"
	"time"

	"facteur/internal/store/db"
)

// clockSlack is how much the clock may go back before it is taken for set back: so
// much too early somebody may be tried.
const clockSlack = 5 * time.Second

// wallClock is the time as rows have it, which may go back. It stands still while the
// clock makes good for small steps.
func (q *Queue) wallClock(now time.Time) time.Time {
	now = now.Round(0) // the monotonic clock says nothing to the next process
	q.mu.Lock()
	defer q.mu.Unlock()
	if last := q.lastNow; now.Before(last) && !now.Before(last.Add(-clockSlack)) {
		return last
	}
	return now
}

// watchClock sees to it that nobody waits for a time that the clock has lost
// (FLT-014): at the start, and when the clock has gone back, what is due later than
// can be is made due now. It is looked for again now and then: an attempt that was under
// way as the clock went back may be put off by the old one after that, and the disk may
// have been full.
func (q *Queue) watchClock(now time.Time, longest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	back := q.lastNow.IsZero() || now.Before(q.lastNow)
	if q.lastNow = now; back {
		q.renew()
	}
	if back || now.Sub(q.hastened) > renewal {
		q.hastened = now
		q.later(func() { q.hasten(now, longest) })
	}
}

// hasten makes due what an attempt that failed put off for longer than any wait is, and
// what has not been tried although its sender did not ask to wait.
func (q *Queue) hasten(now time.Time, longest time.Duration) {
	if longest > 0 {
		q.hastenThose(now, "(attempts > 0) = 1 AND due > ?", now.Add(longest+clockSlack))
	}
	q.hastenThose(now, `(attempts > 0) = 0 AND due > ?
		AND NOT EXISTS (SELECT 1 FROM item WHERE id = recipient.item AND '&' || options LIKE '%&release=%')`, now.Add(clockSlack))
}

func (q *Queue) hastenThose(now time.Time, which string, after time.Time) {
	for {
		late, err := q.late(which, after)
		if err != nil || len(late) == 0 {
			return
		}
		err = q.db.Write(context.Background(), func(tx *db.Tx) error {
			for _, l := range late {
				if _, err := tx.Exec("UPDATE recipient SET due = ? WHERE item = ? AND n = ? AND state = 0 AND due > ?",
					now.UnixMicro(), int64(l.item), l.n, after.UnixMicro()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return
		}
		q.mu.Lock()
		q.dueAt(now)
		q.mu.Unlock()
		q.Look()
	}
}

// late gives some that are due after a time.
func (q *Queue) late(which string, after time.Time) (late []lease, err error) {
	rows, err := q.db.Reader().Query("SELECT item, n FROM recipient INDEXED BY recipient_due WHERE state = 0 AND "+which+" LIMIT ?",
		after.UnixMicro(), changeMax)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l lease
		if err := rows.Scan((*int64)(&l.item), &l.n); err != nil {
			return nil, err
		}
		late = append(late, l)
	}
	return late, rows.Err()
}
