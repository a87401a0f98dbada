package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
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

// reserve leases the recipients of an item that is about to be committed, so that
// nobody claims it from the database between its commit and enter.
func (q *Queue) reserve(d Draft) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range d.Item.Recipients {
		q.lease(d.Item, r.N)
	}
}

// forgo gives back what reserve took, for an item that was not committed.
func (q *Queue) forgo(d Draft) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(d.Item)
}

// enter makes a just committed item known to those who claim.
func (q *Queue) enter(d Draft) {
	if d.Announce != nil {
		d.Announce()
	}
	q.keepFresh(d)
}

// keepFresh keeps a just committed item, leased, at hand, if there is room.
func (q *Queue) keepFresh(d Draft) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !d.Item.Release.IsZero() && !d.Item.Release.Before(time.Now()) {
		q.release(d.Item)
		q.nextDue = minTime(q.nextDue, d.Item.Release)
		return
	}
	if len(q.fresh.items) >= freshMax || d.Item.Recipients[0].State != Queued {
		q.release(d.Item)
		q.fresh.missed = true
		return
	}
	q.fresh.items = Enqueue(q.fresh.items, d.Item, (*Item).turn)
	if n := len(d.Spool.mem); n > 0 && q.fresh.bytes+n <= hotBytes {
		q.fresh.hot[d.Item.ID] = d.Spool.mem
		q.fresh.bytes += n
	}
}

// Except says what Claim is to leave in the database: routes that have enough
// under way. Items that were just committed are handed out all the same; Park what
// is too much.
type Except struct {
	// Kind, if not empty, is how the routes begin that are left out.
	Kind   string
	Routes []string
}

// Claim hands out up to limit items that have recipients due at now; each item
// carries only the recipients claimed. They are leased to the caller until Settle
// or Release. next is when there will be more: now if the limit cut the list; what
// is left out by except does not count.
func (q *Queue) Claim(ctx context.Context, now time.Time, limit int, except Except) (items []*Item, next time.Time, err error) {
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
	more, next, err := q.search(ctx, now, limit-len(items), except)
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
	return slices.DeleteFunc(taken, func(it *Item) bool { return !q.still(it) })
}

// search finds what is due in the database, leases it, and says when the next
// recipient becomes due.
//
// It may read for long, so nobody waits for it. A recipient whose lease ends
// meanwhile may still stand in what search sees, as due as it was: recentEnds
// remembers those, and they are left for the next search.
func (q *Queue) search(ctx context.Context, now time.Time, limit int, except Except) ([]*Item, time.Time, error) {
	q.searching.Lock()
	defer q.searching.Unlock()
	q.mu.Lock()
	q.recentEnds = make(map[lease]struct{})
	q.nextDue = now.Add(idle)
	q.mu.Unlock()
	found, next, err := q.due(ctx, now, limit, except)
	q.mu.Lock()
	defer q.mu.Unlock()
	ended := q.recentEnds
	q.recentEnds = nil
	if err != nil {
		return nil, now, err
	}
	q.nextDue = minTime(q.nextDue, next)
	return sorted(q.take(found, ended)), q.nextDue, nil
}

// take leases what may be had of the items found.
func (q *Queue) take(found []*Item, ended map[lease]struct{}) []*Item {
	items := found[:0]
	for _, it := range found {
		free := it.Recipients[:0]
		for _, r := range it.Recipients {
			l := lease{it.ID, r.N}
			_, taken := q.leased[l]
			if _, gone := ended[l]; !taken && !gone {
				q.lease(it, r.N)
				free = append(free, r)
			}
		}
		if it.Recipients = free; len(free) > 0 {
			items = append(items, it)
		}
	}
	return items
}

// due reads up to limit items that nobody has leased, and when the next is due.
func (q *Queue) due(ctx context.Context, now time.Time, limit int, except Except) (found []*Item, next time.Time, err error) {
	routes, err := json.Marshal(append([]string{}, except.Routes...)) // nil would be NULL, and nothing due
	if err != nil {
		return nil, now, err
	}
	// d is read from its index alone: a route with a million recipients that is
	// left out is passed over without their rows.
	rows, err := q.db.Reader().QueryContext(ctx, "SELECT "+columns+` FROM recipient d
		CROSS JOIN recipient r ON r.item = d.item AND r.n = d.n JOIN item i ON i.id = r.item
		WHERE d.state = 0 AND (? = '' OR substr(d.route, 1, ?) <> ?) AND d.route NOT IN (SELECT value FROM json_each(?))
		ORDER BY d.due, d.item, d.n`, except.Kind, len(except.Kind), except.Kind, string(routes))
	if err != nil {
		return nil, now, err
	}
	defer rows.Close()
	type part struct { // what a person has given up goes its own way
		id      ID
		expired bool
	}
	byID := make(map[part]*Item)
	next = now.Add(idle)
	for rows.Next() {
		it, r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, now, err
		}
		if r.Due.After(now) {
			return found, minTime(next, r.Due), nil
		}
		if q.isLeased(it.ID, r.N) {
			continue
		}
		p := part{it.ID, r.Expired}
		if byID[p] == nil {
			if len(found) == limit {
				return found, now, nil
			}
			byID[p] = &it
			found = append(found, &it)
		}
		byID[p].add(r)
	}
	return found, next, rows.Err()
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
	q.Park(items...)
	q.Look()
}

// Park gives leases back unchanged, for items whose routes are left out of the
// next Claims. Look when that ends.
func (q *Queue) Park(items ...*Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(items...)
}

// Look makes the next Claim look into the database, and wakes who waits for it.
func (q *Queue) Look() {
	q.mu.Lock()
	q.fresh.missed = true
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) release(items ...*Item) {
	for _, it := range items {
		for _, r := range it.Recipients {
			q.endLease(lease{it.ID, r.N})
		}
		q.cool(it.ID)
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
		found[len(found)-1].add(r)
		return true
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range found {
		for _, r := range it.Recipients {
			q.lease(it, r.N)
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
	var inFile bool
	var data []byte
	err := q.db.Reader().QueryRowContext(ctx, "SELECT data IS NULL, data FROM item WHERE id = ?", int64(it.ID)).Scan(&inFile, &data)
	if err != nil {
		return nil, fmt.Errorf("queue: body of %s: %w", it.ID, err)
	}
	if !inFile {
		return memBody(data), nil
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
