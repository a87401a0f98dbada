package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/internal/mail/address"
)

// A page is as much as is read at a time: so many items, or fewer once they have so
// many recipients. Of what is read without its items a page is larger: an order does
// a page in a transaction or two. Between pages nothing is held, so that a listing
// which nobody reads on does not hold up deliveries.
const (
	pageItems      = 500
	leanPageItems  = 1000
	pageRecipients = 2000
)

// Select calls fn for every item that the filter picks, oldest first, with all its
// recipients, until fn returns false. Items that come or go meanwhile may or may not
// be seen.
func (q *Queue) Select(ctx context.Context, f Filter, fn func(*Item) bool) error {
	return q.walk(ctx, whole, f, fn)
}

// Outline is Select for those who need of an item no more than its ID, the time at which
// that was given, the sender, the size, and the recipients. A million take seconds.
func (q *Queue) Outline(ctx context.Context, f Filter, fn func(*Item) bool) error {
	return q.walk(ctx, lean, f, fn)
}

// waitingFew is how many recipients that wait are looked for one by one, where the others
// are on hold.
const waitingFew = 20_000

// Listing is Select in the order in which people read it: what is being tried first, then
// what waits, and what is on hold last. Each item comes once, also if what is being tried
// changes its place meanwhile.
func (q *Queue) Listing(ctx context.Context, f Filter, fn func(*Item) bool) error {
	parts, err := q.listed(ctx, f)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	listed := make(map[ID]struct{}) // of what is being tried: that is bounded
	for i, more := 0, true; more && i < len(parts); i++ {
		err := q.Select(ctx, parts[i], func(it *Item) bool {
			if _, twice := listed[it.ID]; twice {
				return true
			}
			if parts[i].Shelf == ShelfActive {
				listed[it.ID] = struct{}{}
			}
			more = fn(it)
			return more
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// listed are the parts of a listing, in their order.
func (q *Queue) listed(ctx context.Context, f Filter) (parts []Filter, err error) {
	active, held := f, f
	active.Shelf, active.IDs = ShelfActive, q.claimed(f.IDs)
	if len(active.IDs) > 0 && (f.Shelf == ShelfAny || f.Shelf == ShelfActive) {
		parts = append(parts, active)
	}
	switch f.Shelf {
	case ShelfActive:
		return parts, nil
	case ShelfAny:
		waiting, some, err := q.waiting(ctx, f)
		if some {
			parts = append(parts, waiting)
		}
		held.Shelf = ShelfHold
		return append(parts, held), err
	}
	return append(parts, f), nil
}

// waiting is the part of a listing that is not on hold, if there is some. A few are named,
// so that nobody walks past a million that are on hold to find that nothing else is there.
func (q *Queue) waiting(ctx context.Context, f Filter) (_ Filter, some bool, err error) {
	f.notHeld = true
	if len(f.IDs) > 0 {
		return f, true, nil
	}
	q.mu.Lock()
	named := q.swept && q.landings
	q.mu.Unlock()
	if !named {
		return f, true, nil
	}
	before := q.leasedItems()
	ids, all, err := q.queuedFew(ctx)
	if err != nil || !all {
		return f, true, err
	}
	// What is leased may be in no index, and goes in and out of the index meanwhile.
	ids = slices.Concat(before, ids, q.leasedItems())
	slices.Sort(ids)
	f.IDs = slices.Compact(ids)
	return f, len(f.IDs) > 0, nil
}

// queuedFew are the items that stand in the lines, unless they have more recipients there
// than waitingFew.
func (q *Queue) queuedFew(ctx context.Context) (ids []ID, all bool, err error) {
	rows, err := q.db.Reader().QueryContext(ctx, "SELECT item FROM recipient INDEXED BY recipient_route WHERE state = 0 LIMIT ?", waitingFew+1)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, false, err
		}
		ids = append(ids, ID(id))
	}
	return ids, len(ids) <= waitingFew, rows.Err()
}

// leasedItems are those that are at hand, or that somebody works on.
func (q *Queue) leasedItems() []ID {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := make([]ID, 0, len(q.leased))
	for l := range q.leased {
		ids = append(ids, l.item)
	}
	return ids
}

// claimed are the items that somebody is trying, of some or of all; not those that are
// at hand and have not been claimed.
func (q *Queue) claimed(of []ID) []ID {
	q.mu.Lock()
	set := make(map[ID]struct{}, len(q.leased))
	for l := range q.leased {
		set[l.item] = struct{}{}
	}
	for _, it := range q.fresh.items {
		delete(set, it.ID)
	}
	q.mu.Unlock()
	if len(of) == 0 {
		return slices.Sorted(maps.Keys(set))
	}
	return slices.DeleteFunc(slices.Clone(of), func(id ID) bool { _, is := set[id]; return !is })
}

// List is Select of all.
func (q *Queue) List(ctx context.Context, fn func(*Item) bool) error {
	return q.Select(ctx, Filter{}, fn)
}

// Count tells how much the filter picks.
func (q *Queue) Count(ctx context.Context, f Filter) (sum Count, err error) {
	err = q.Outline(ctx, f, func(it *Item) bool {
		sum.Items++
		sum.Bytes += it.Size
		for _, r := range it.Recipients {
			if !f.picksRecipient(r) {
				continue
			}
			sum.Recipients++
			if r.State == Landing || q.isLeased(it.ID, r.N) {
				sum.Busy++
			}
		}
		return true
	})
	return sum, err
}

// reading is how much is read of each item.
type reading bool

const (
	whole reading = false
	// lean reads the rows of recipients, which have the sender and the size, and no items.
	lean reading = true
)

func (d reading) pageItems() int {
	if d == lean {
		return leanPageItems
	}
	return pageItems
}

func (q *Queue) walk(ctx context.Context, d reading, f Filter, fn func(*Item) bool) error {
	err := q.pages(ctx, d, f, func(page []*Item) (bool, error) {
		for _, it := range page {
			if !fn(it) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// pages calls fn with the items that a filter picks, page by page, until it says that
// it has enough.
func (q *Queue) pages(ctx context.Context, d reading, f Filter, fn func([]*Item) (more bool, err error)) error {
	f.IDs = slices.Sorted(slices.Values(f.IDs))
	if !f.Before.IsZero() {
		d = whole // the time of an ID is not quite that of the arrival
	}
	for after := ID(0); ; {
		page, err := q.page(ctx, d, &f, after)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].ID
		page = slices.DeleteFunc(page, func(it *Item) bool { return !f.picks(it, f.Shelf != ShelfQuarantine && q.Active(it)) })
		if more, err := fn(page); !more || err != nil {
			return err
		}
	}
}

// pagesAhead is pages for those who take their time with each: the next is read meanwhile.
func (q *Queue) pagesAhead(ctx context.Context, d reading, f Filter, fn func([]*Item) error) error {
	ctx, stop := context.WithCancel(ctx)
	pages, end := make(chan []*Item), make(chan error, 1)
	go func() {
		defer close(pages)
		end <- q.pages(ctx, d, f, func(page []*Item) (bool, error) {
			select {
			case pages <- page:
				return true, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		})
	}()
	defer func() {
		stop()
		for range pages { // so that nothing is being read any more
		}
	}()
	for page := range pages {
		if err := fn(page); err != nil {
			return err
		}
	}
	return <-end
}

// page reads the next items after one that the filter may pick.
func (q *Queue) page(ctx context.Context, d reading, f *Filter, after ID) (page []*Item, err error) {
	where, args := f.candidates(after)
	clause := "WHERE " + f.shown("r.state") + ` AND r.item IN (SELECT DISTINCT item FROM recipient WHERE ` + where + ` ORDER BY item LIMIT ?) ORDER BY r.item, r.n`
	args = append(args, d.pageItems())
	recipients := 0
	add := func(it Item, r Recipient) bool {
		if len(page) == 0 || page[len(page)-1].ID != it.ID {
			if recipients >= pageRecipients {
				return false
			}
			page = append(page, &it)
		}
		recipients++
		page[len(page)-1].add(r)
		return true
	}
	if d == whole {
		err = q.each(ctx, clause, args, add)
		return page, err
	}
	err = q.read(ctx, scanLean, add, "SELECT "+leanColumns+" FROM recipient r "+clause, args...)
	return page, err
}

// shown is the condition that a row is on a shelf that the filter looks at.
func (f *Filter) shown(state string) string {
	if f.Shelf == ShelfQuarantine {
		return state + " = 5"
	}
	return state + " < 4"
}

// candidates is the part of a filter that the rows of recipients answer alone; it may
// find more than the filter picks, never less.
func (f *Filter) candidates(after ID) (where string, args []any) {
	conditions := []string{"item > ? AND " + f.shown("state")}
	args = []any{int64(after)}
	if len(f.IDs) > 0 {
		conditions = append(conditions, "item IN (SELECT value FROM json_each(?))")
		args = append(args, idList(f.IDs, after))
	}
	switch {
	case f.Shelf == ShelfHold:
		conditions = append(conditions, "state = 2") // all of them are
	case f.notHeld:
		conditions = append(conditions, "state <> 2")
	}
	for _, c := range []struct{ column, pattern string }{{"sender", f.Sender}, {"address", f.Recipient}} {
		if domain, whole := strings.CutPrefix(c.pattern, "@"); whole {
			conditions, args = suffixed(conditions, args, c.column, "@"+domain)
		} else if a, err := address.Parse(c.pattern); err == nil {
			conditions = append(conditions, c.column+" = ? COLLATE NOCASE")
			args = append(args, mailbox(a))
		}
	}
	switch {
	case f.Sender == "<>":
		conditions = append(conditions, "sender = ''")
	case f.Domain != "":
		conditions, args = suffixed(conditions, args, "address", strings.TrimPrefix(f.Domain, "."))
	}
	return strings.Join(conditions, " AND "), args
}

// suffixed adds that a column ends so, without regard to case.
func suffixed(conditions []string, args []any, column, suffix string) ([]string, []any) {
	return append(conditions, "substr("+column+", -length(?)) = ? COLLATE NOCASE"), append(args, suffix, suffix)
}

// idList is the next of some sorted IDs, for json_each.
func idList(ids []ID, after ID) string {
	at, found := slices.BinarySearch(ids, after)
	if found {
		at++
	}
	rest := ids[at:]
	text, _ := json.Marshal(rest[:min(len(rest), pageItems)]) // numbers
	return string(text)
}
