package queue

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoItem is what Show answers for an ID that is not (or no longer) queued.
var ErrNoItem = errors.New("no such item in the queue")

// Show gives one item with all its recipients, and its bytes.
func (q *Queue) Show(ctx context.Context, id ID) (*Item, Body, error) {
	var found *Item
	err := q.each(ctx, "WHERE r.item = ? AND r.state <> 4 ORDER BY r.n", []any{int64(id)}, func(it Item, r Recipient) bool {
		if found == nil {
			found = &it
		}
		found.add(r)
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

// Depth counts the items and the recipients in the queue, without the quarantine.
func (q *Queue) Depth(ctx context.Context) (items, recipients int, err error) {
	err = q.db.Reader().QueryRowContext(ctx,
		"SELECT count(DISTINCT item), count(*) FROM recipient WHERE state < 4").Scan(&items, &recipients)
	return items, recipients, err
}
