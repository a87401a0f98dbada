package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Except says what Claim is to leave in the database: routes that have enough
// under way. Items that were just committed are handed out all the same; Park what
// is too much.
type Except struct {
	// Kind, if not empty, is how the routes begin that are left out.
	Kind   string
	Routes []string
	// Longest, unless 0, is the longest that a recipient waits between two attempts.
	// What seems to wait longer was put off by a clock that has since been set back,
	// and is tried now. It is looked for at the start, when the clock goes back, and
	// every ten minutes.
	Longest time.Duration
}

// covers tells whether a route is left out. The routes are sorted.
func (e *Except) covers(route string) bool {
	if e.Kind != "" && strings.HasPrefix(route, e.Kind) {
		return true
	}
	_, found := slices.BinarySearch(e.Routes, route)
	return found
}

// idle is the longest that the queue goes without looking into the database.
const idle = time.Minute

// Claim hands out up to limit items that have recipients due at now; each item
// carries only the recipients claimed, and one of which a person has given up some
// comes in two parts. They are leased to the caller until Settle
// or Release. next is when there will be more: now if the limit cut the list, or the
// search has not come to its end; what is left out by except does not count.
//
// What was just committed comes first, but leaves a quarter of the places to what is
// in the database, if anything is due there. One Claim reads a bounded number of rows,
// however many are due and left out.
func (q *Queue) Claim(ctx context.Context, now time.Time, limit int, except Except) (items []*Item, next time.Time, err error) {
	now = q.wallClock(now)
	look, next := q.lookDue(now)
	if !look {
		if items = q.takeFresh(limit); len(items) == limit {
			next = now
		}
		return items, next, nil
	}
	q.watchClock(now, except.Longest)
	items = q.takeFresh(limit - limit/4)
	more, next, err := q.search(ctx, now, limit-len(items), except)
	if err != nil {
		q.mu.Lock()
		q.fresh.missed = true
		q.mu.Unlock()
		return items, now.Add(time.Second), fmt.Errorf("queue: %w", err)
	}
	items = append(items, more...)
	if room := limit - len(items); room > 0 {
		items = append(items, q.takeFresh(room)...)
	}
	if q.hasFresh() {
		next = now
	}
	return items, next, nil
}

// lookDue tells whether something is due in the database, or when it will be.
func (q *Queue) lookDue(now time.Time) (look bool, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	look = q.fresh.missed || !now.Before(q.nextDue) || now.Before(q.lastNow)
	if look {
		q.fresh.missed = false
	}
	return look, q.nextDue
}

func (q *Queue) hasFresh() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.fresh.items) > 0
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
	for _, it := range items {
		q.cool(it.ID)
		if !q.still(it) {
			continue
		}
		if slices.ContainsFunc(it.Recipients, func(r Recipient) bool { return r.fresh }) {
			q.shelve(it)
			continue
		}
		q.endLeases(it)
		q.passed(it.Recipients...)
	}
}

// Look makes the next Claim look into the database, and wakes who waits for it.
func (q *Queue) Look() {
	q.mu.Lock()
	q.fresh.missed = true
	q.mu.Unlock()
	q.signal()
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
	q.landings = err == nil
	return found, err
}

// each calls fn for the recipients that the clause selects.
func (q *Queue) each(ctx context.Context, clause string, args []any, fn func(Item, Recipient) bool) error {
	return q.read(ctx, scanRow, fn, "SELECT "+columns+" FROM recipient r CROSS JOIN item i ON i.id = r.item "+clause, args...)
}

// read calls fn for what a query gives, row by row.
func (q *Queue) read(ctx context.Context, scan func(func(...any) error) (Item, Recipient, error), fn func(Item, Recipient) bool, query string, args ...any) error {
	rows, err := q.db.Reader().QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		it, r, err := scan(rows.Scan)
		if err != nil {
			return err
		}
		if !fn(it, r) {
			return nil
		}
	}
	return rows.Err()
}
