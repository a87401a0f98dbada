// Package behind writes rooms to disk that answer from memory: write-behind. A change
// counts at once, and is in a table some seconds later, many of them in one transaction.
//
// A room has Rows for each of its tables, and touches the keys of what it changes. A Loop
// writes them every few seconds, and once more at the end.
//
// # Invariants
//
// A row is written as it is when its transaction begins, whatever it was when it was
// touched: memory holds keys of what is not written, and no second copy of it. What can't
// be written, for a full disk as for any other reason, stays touched and is tried again
// with the next Write. While the disk takes nothing, changes are bounded: what is touched
// beyond the bound counts in memory, and its row stays as it was until it is touched anew.
//
// A crash leaves each transaction whole or not at all, and loses what was not in one yet:
// the changes of the last seconds. Rows of one room that were changed together may stand
// in two transactions.
package behind

import (
	"context"
	"sync"

	"facteur/internal/store/db"
)

// Most bounds the rows of one transaction, and so how long other writers wait.
const Most = 500

// Row writes one row, or deletes it, as it was when the Row was made. It may be called more
// than once, as db.Write says.
type Row func(*db.Tx) error

// Exec is a Row that takes one statement, whose text is constant.
func Exec(query string, args ...any) Row {
	return func(tx *db.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}
}

// Rows are those of one table that the disk does not have as they are in memory.
type Rows[K comparable] struct {
	lock    sync.Locker
	most    int
	row     func(K) Row
	changed map[K]struct{}
}

// NewRows are none yet, and never more than most. lock guards the memory that they are of:
// whoever touches one holds it, and it is held while row makes a copy of what is there
// under a key; where nothing is, the Row is to delete.
func NewRows[K comparable](lock sync.Locker, most int, row func(K) Row) *Rows[K] {
	return &Rows[K]{lock: lock, most: most, row: row, changed: make(map[K]struct{})}
}

// Touch notes that what is under a key has changed, or is gone. The lock is held.
func (r *Rows[K]) Touch(key K) {
	if len(r.changed) < r.most {
		r.changed[key] = struct{}{}
	}
}

// Len is how many rows wait to be written. The lock is held.
func (r *Rows[K]) Len() int { return len(r.changed) }

// take adds rows to a batch while there is room.
func (r *Rows[K]) take(b *batch) {
	r.lock.Lock()
	defer r.lock.Unlock()
	var keys []K
	for key := range r.changed {
		if len(b.rows) == Most {
			break
		}
		b.rows, keys = append(b.rows, r.row(key)), append(keys, key)
		delete(r.changed, key)
	}
	b.back = append(b.back, func() { r.giveBack(keys) })
}

func (r *Rows[K]) giveBack(keys []K) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, key := range keys {
		r.Touch(key)
	}
}

// Table is Rows, whatever their keys are.
type Table interface{ take(*batch) }

// batch is what one transaction writes, and how its rows are touched again when it fails.
type batch struct {
	rows []Row
	back []func()
}

func (b *batch) put(tx *db.Tx) error {
	for _, row := range b.rows {
		if err := row(tx); err != nil {
			return err
		}
	}
	return nil
}

// Write makes durable what has changed in some tables of one room, in transactions that
// they share.
func Write(ctx context.Context, d *db.DB, tables ...Table) error {
	for {
		b := new(batch)
		for _, t := range tables {
			t.take(b)
		}
		if len(b.rows) == 0 {
			return nil
		}
		if err := d.Write(ctx, b.put); err != nil {
			for _, back := range b.back {
				back()
			}
			return err
		}
	}
}
