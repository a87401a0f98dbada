package queue

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

// hotBytes bounds the bodies that stay in memory between Commit and the first
// attempt, and freshMax the items: what is beyond is read from the file again.
const (
	hotBytes = 32 << 20
	freshMax = 10_000
)

// fresh is what was committed by this process and not yet claimed. It spares the
// common case, mail that leaves at once, a search in the database.
type fresh struct {
	items []*Item
	// missed is true when something due is only in the database.
	missed bool
	hot    map[ID]memBody
	bytes  int
}

// enter makes a just committed item known to those who claim.
func (q *Queue) enter(d Draft) {
	if d.Announce != nil {
		d.Announce()
	}
	q.keepFresh(d)
}

// keepFresh leases a just committed item and keeps it at hand, if there is room.
func (q *Queue) keepFresh(d Draft) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.fresh.items) >= freshMax || d.Item.Recipients[0].State != Queued {
		q.fresh.missed = true
		return
	}
	for _, r := range d.Item.Recipients {
		l := lease{d.Item.ID, r.N}
		if _, taken := q.leased[l]; taken { // a Claim was faster
			return
		}
	}
	for _, r := range d.Item.Recipients {
		q.leased[lease{d.Item.ID, r.N}] = struct{}{}
	}
	q.fresh.items = append(q.fresh.items, d.Item)
	if n := len(d.Spool.mem); n > 0 && q.fresh.bytes+n <= hotBytes {
		q.fresh.hot[d.Item.ID] = d.Spool.mem
		q.fresh.bytes += n
	}
}

// Claim hands out up to limit items that have recipients due at now; each item
// carries only the recipients claimed. They are leased to the caller until Settle
// or Release. next is when there will be more: now if the limit cut the list.
func (q *Queue) Claim(ctx context.Context, now time.Time, limit int) (items []*Item, next time.Time, err error) {
	items = q.takeFresh(limit)
	if len(items) == limit {
		return items, now, nil
	}
	q.mu.Lock()
	look := q.fresh.missed || !now.Before(q.nextDue)
	q.fresh.missed = false
	next = q.nextDue
	q.mu.Unlock()
	if !look {
		return items, next, nil
	}
	more, next, err := q.search(ctx, now, limit-len(items))
	if err != nil {
		q.mu.Lock()
		q.fresh.missed = true
		q.mu.Unlock()
		return items, now.Add(time.Second), fmt.Errorf("queue: %w", err)
	}
	return append(items, more...), next, nil
}

func (q *Queue) takeFresh(limit int) []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.fresh.items))
	taken := append([]*Item(nil), q.fresh.items[:n]...)
	q.fresh.items = append(q.fresh.items[:0], q.fresh.items[n:]...)
	return taken
}

// search finds what is due in the database, leases it, and says when the next
// recipient becomes due.
//
// The lock is held from before the snapshot on: whoever settles meanwhile keeps
// the lease until we are done, so a row that is ending is not claimed twice.
func (q *Queue) search(ctx context.Context, now time.Time, limit int) ([]*Item, time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rows, err := q.db.Reader().QueryContext(ctx, "SELECT "+columns+` FROM recipient r JOIN item i ON i.id = r.item
		WHERE r.state = 0 ORDER BY r.due, r.item, r.n`)
	if err != nil {
		return nil, now, err
	}
	defer rows.Close()
	var found []*Item
	byID := make(map[ID]*Item)
	next := now.Add(idle)
	for rows.Next() {
		it, r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, now, err
		}
		if r.Due.After(now) {
			next = minTime(next, r.Due)
			break
		}
		l := lease{it.ID, r.N}
		if _, taken := q.leased[l]; taken {
			continue
		}
		if byID[it.ID] == nil {
			if len(found) == limit {
				next = now
				break
			}
			byID[it.ID] = &it
			found = append(found, &it)
		}
		q.leased[l] = struct{}{}
		byID[it.ID].Recipients = append(byID[it.ID].Recipients, r)
	}
	if err := rows.Err(); err != nil {
		q.release(found)
		return nil, now, err
	}
	q.nextDue = next
	return found, next, nil
}

// idle is the longest that the queue goes without looking into the database.
const idle = time.Minute

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Release gives leases back unchanged: the recipients are due as before.
func (q *Queue) Release(items ...*Item) {
	q.mu.Lock()
	q.release(items)
	q.fresh.missed = true
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) release(items []*Item) {
	for _, it := range items {
		for _, r := range it.Recipients {
			delete(q.leased, lease{it.ID, r.N})
		}
	}
}

// Landings gives the items that have recipients in state Landing, leased: what a
// crash interrupted between the durable letter and its renaming. Call it once, at
// the start.
func (q *Queue) Landings(ctx context.Context) ([]*Item, error) {
	var found []*Item
	err := q.each(ctx, "WHERE r.state = 1 ORDER BY r.item, r.n", nil, func(it Item, r Recipient) bool {
		if len(found) == 0 || found[len(found)-1].ID != it.ID {
			found = append(found, &it)
		}
		last := found[len(found)-1]
		last.Recipients = append(last.Recipients, r)
		return true
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range found {
		for _, r := range it.Recipients {
			q.leased[lease{it.ID, r.N}] = struct{}{}
		}
	}
	return found, err
}

// each calls fn for the recipients that the clause selects.
func (q *Queue) each(ctx context.Context, clause string, args []any, fn func(Item, Recipient) bool) error {
	rows, err := q.db.Reader().QueryContext(ctx, "SELECT "+columns+" FROM recipient r JOIN item i ON i.id = r.item "+clause, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		it, r, err := scanRow(rows.Scan)
		if err != nil {
			return err
		}
		if !fn(it, r) {
			return nil
		}
	}
	return rows.Err()
}

// Body gives the bytes of an item.
func (q *Queue) Body(ctx context.Context, it *Item) (Body, error) {
	q.mu.Lock()
	hot, ok := q.fresh.hot[it.ID]
	q.mu.Unlock()
	if ok {
		return hot, nil
	}
	var data []byte
	err := q.db.Reader().QueryRowContext(ctx, "SELECT data FROM body WHERE item = ?", int64(it.ID)).Scan(&data)
	if err == nil {
		return memBody(data), nil
	}
	if err != sql.ErrNoRows {
		return nil, fmt.Errorf("queue: body of %s: %w", it.ID, err)
	}
	path := bodyPath(q.spoolDir, it.ID)
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("queue: body of %s: %w", it.ID, err)
	}
	if st.Size() != it.Size {
		return nil, fmt.Errorf("queue: body of %s: %d bytes in the file, %d expected", it.ID, st.Size(), it.Size)
	}
	return fileBody{path: path, size: st.Size()}, nil
}
