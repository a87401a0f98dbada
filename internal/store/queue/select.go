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
// many recipients. Between pages nothing is held, so that a listing which nobody
// reads on does not hold up deliveries.
const (
	pageItems      = 500
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

// Listing is Select in the order in which people read it: what is being tried first, then
// what waits, and what is on hold last. Each item comes once, also if what is being tried
// changes its place meanwhile.
func (q *Queue) Listing(ctx context.Context, f Filter, fn func(*Item) bool) error {
	active, waiting, held := f, f, f
	active.Shelf, active.IDs = ShelfActive, q.claimed(f.IDs)
	waiting.notHeld, held.Shelf = true, ShelfHold
	var parts []Filter
	if len(active.IDs) > 0 && (f.Shelf == ShelfAny || f.Shelf == ShelfActive) {
		parts = append(parts, active)
	}
	switch f.Shelf {
	case ShelfActive:
	case ShelfAny:
		parts = append(parts, waiting, held)
	default:
		parts = append(parts, f)
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
	// lean reads the rows of recipients, which name the sender, and of items the size
	// only.
	lean reading = true
)

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
		page = slices.DeleteFunc(page, func(it *Item) bool { return !f.picks(it, q.Active(it)) })
		if more, err := fn(page); !more || err != nil {
			return err
		}
	}
}

// page reads the next items after one that the filter may pick.
func (q *Queue) page(ctx context.Context, d reading, f *Filter, after ID) (page []*Item, err error) {
	where, args := f.candidates(after)
	clause := `WHERE r.state <> 4 AND r.item IN (SELECT DISTINCT item FROM recipient WHERE ` + where + ` ORDER BY item LIMIT ?) ORDER BY r.item, r.n`
	args = append(args, pageItems)
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
	if err := q.read(ctx, scanLean, add, "SELECT r.item, r.sender, "+recipientColumns+" FROM recipient r "+clause, args...); err != nil {
		return nil, err
	}
	return page, q.sizes(ctx, page)
}

// sizes reads those of the items of a page. One that is gone meanwhile has none.
func (q *Queue) sizes(ctx context.Context, page []*Item) error {
	ids := make([]ID, len(page))
	for i, it := range page {
		ids[i] = it.ID
	}
	rows, err := q.db.Reader().QueryContext(ctx, "SELECT j.key, i.size FROM json_each(?) j CROSS JOIN item i ON i.id = j.value", idList(ids, 0))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at int
		var size int64
		if err := rows.Scan(&at, &size); err != nil {
			return err
		}
		page[at].Size = size
	}
	return rows.Err()
}

// candidates is the part of a filter that the rows of recipients answer alone; it may
// find more than the filter picks, never less.
func (f *Filter) candidates(after ID) (where string, args []any) {
	conditions := []string{"item > ? AND state <> 4"}
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
