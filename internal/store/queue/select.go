package queue

import (
	"context"
	"encoding/json"
	"fmt"
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
	err := q.pages(ctx, f, func(page []*Item) (bool, error) {
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

// List is Select of all.
func (q *Queue) List(ctx context.Context, fn func(*Item) bool) error {
	return q.Select(ctx, Filter{}, fn)
}

// Count tells how much the filter picks.
func (q *Queue) Count(ctx context.Context, f Filter) (sum Count, err error) {
	err = q.Select(ctx, f, func(it *Item) bool {
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

// pages calls fn with the items that a filter picks, page by page, until it says that
// it has enough.
func (q *Queue) pages(ctx context.Context, f Filter, fn func([]*Item) (more bool, err error)) error {
	f.IDs = slices.Sorted(slices.Values(f.IDs))
	for after := ID(0); ; {
		page, err := q.page(ctx, &f, after)
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
func (q *Queue) page(ctx context.Context, f *Filter, after ID) (page []*Item, err error) {
	where, args := f.candidates(after)
	recipients := 0
	err = q.each(ctx, `WHERE r.state <> 4 AND r.item IN (SELECT DISTINCT item FROM recipient WHERE `+where+
		` ORDER BY item LIMIT ?) ORDER BY r.item, r.n`, append(args, pageItems), func(it Item, r Recipient) bool {
		if len(page) == 0 || page[len(page)-1].ID != it.ID {
			if recipients >= pageRecipients {
				return false
			}
			page = append(page, &it)
		}
		recipients++
		page[len(page)-1].add(r)
		return true
	})
	return page, err
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
	if f.Shelf == ShelfHold {
		conditions = append(conditions, "state = 2") // all of them are
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
