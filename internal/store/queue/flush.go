package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/store/db"
)

// flushMax is how many recipients become due in one transaction: somebody waits
// for a 250 behind it.
const flushMax = 500

// Flush makes what is deferred for a domain due now, as ETRN asks for (RFC 1985),
// and tells how many recipients that is. domain is in canonical form; ".example.org"
// is that domain and all below it, "" is all. What waits for its release, for a
// person, or is being tried, is left alone.
//
// It reads the rows of all that is deferred: who may ask for it, and how often, is
// the caller's to bound.
func (q *Queue) Flush(ctx context.Context, domain string) (int, error) {
	now := time.Now()
	waiting, err := q.waitingFor(ctx, domain, now)
	if err != nil {
		return 0, fmt.Errorf("queue: flushing %s: %w", domain, err)
	}
	flushed := 0
	for part := range slices.Chunk(waiting, flushMax) {
		var n int
		err := q.db.Write(ctx, func(tx *db.Tx) (err error) {
			n, err = makeDue(tx, part, now)
			return err
		})
		if err != nil {
			return flushed, fmt.Errorf("queue: flushing %s: %w", domain, err)
		}
		flushed += n
	}
	if flushed > 0 {
		q.Look()
	}
	return flushed, nil
}

// waitingFor finds the recipients in a domain that were tried and wait.
func (q *Queue) waitingFor(ctx context.Context, domain string, now time.Time) (found []lease, err error) {
	exact, below := "@"+strings.TrimPrefix(domain, "."), ""
	if strings.HasPrefix(domain, ".") {
		below = domain
	}
	rows, err := q.db.Reader().QueryContext(ctx, `SELECT item, n FROM recipient
		WHERE state = 0 AND due > ? AND attempts > 0
		AND (? = '' OR substr(address, -length(?)) = ? OR ? <> '' AND substr(address, -length(?)) = ?)`,
		now.UnixMicro(), domain, exact, exact, below, below, below)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l lease
		if err := rows.Scan((*int64)(&l.item), &l.n); err != nil {
			return nil, err
		}
		found = append(found, l)
	}
	return found, rows.Err()
}

// makeDue makes those due that still wait, and counts them.
func makeDue(tx *db.Tx, waiting []lease, now time.Time) (flushed int, err error) {
	for _, l := range waiting {
		n, err := affected(tx.Exec("UPDATE recipient SET due = ? WHERE item = ? AND n = ? AND state = 0 AND due > ?",
			now.UnixMicro(), int64(l.item), l.n, now.UnixMicro()))
		if err != nil {
			return 0, err
		}
		flushed += int(n)
	}
	return flushed, nil
}
