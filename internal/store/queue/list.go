package queue

import (
	"context"
	"errors"
	"fmt"
)

// listPage is how many items List reads at a time. Between pages it holds nothing,
// so that a listing which nobody reads on does not hold up deliveries.
const listPage = 500

// List calls fn for every item, oldest first, with all its recipients, until fn
// returns false. Items that come or go meanwhile may or may not be seen.
func (q *Queue) List(ctx context.Context, fn func(*Item) bool) error {
	for after := ID(0); ; {
		page, err := q.page(ctx, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, it := range page {
			if !fn(it) {
				return nil
			}
		}
		after = page[len(page)-1].ID
	}
}

// page reads the items after one.
func (q *Queue) page(ctx context.Context, after ID) (page []*Item, err error) {
	err = q.each(ctx, `WHERE r.item IN (SELECT id FROM item WHERE id > ? ORDER BY id LIMIT ?) ORDER BY r.item, r.n`,
		[]any{int64(after), listPage}, func(it Item, r Recipient) bool {
			if len(page) == 0 || page[len(page)-1].ID != it.ID {
				page = append(page, &it)
			}
			last := page[len(page)-1]
			last.Recipients = append(last.Recipients, r)
			return true
		})
	return page, err
}

// ErrNoItem is what Show answers for an ID that is not (or no longer) queued.
var ErrNoItem = errors.New("no such item in the queue")

// Show gives one item with all its recipients, and its bytes.
func (q *Queue) Show(ctx context.Context, id ID) (*Item, Body, error) {
	var found *Item
	err := q.each(ctx, "WHERE r.item = ? ORDER BY r.n", []any{int64(id)}, func(it Item, r Recipient) bool {
		if found == nil {
			found = &it
		}
		found.Recipients = append(found.Recipients, r)
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	if found == nil {
		return nil, nil, fmt.Errorf("%s: %w", id, ErrNoItem)
	}
	body, err := q.Body(ctx, found)
	return found, body, err
}

// Active tells whether an attempt for a recipient of the item is under way.
func (q *Queue) Active(it *Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range it.Recipients {
		if _, ok := q.leased[lease{it.ID, r.N}]; ok {
			return true
		}
	}
	return false
}

// Depth counts the items and the recipients in the queue.
func (q *Queue) Depth(ctx context.Context) (items, recipients int, err error) {
	err = q.db.Reader().QueryRowContext(ctx,
		"SELECT count(DISTINCT item), count(*) FROM recipient").Scan(&items, &recipients)
	return items, recipients, err
}
