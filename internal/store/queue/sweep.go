package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"facteur/internal/store/db"
)

// sweepPage is how many rows or files the sweep looks at together.
const sweepPage = 10_000

// incomingPrefix begins the names of files that are being written.
const incomingPrefix = "incoming-"

// tryAgain is how long what could not be written in the background waits before it is
// tried again.
const tryAgain = 10 * time.Second

// sweep clears up after the processes before this one, while this one works: it puts
// what they had in memory where a search finds it, ends what they were about to end,
// and removes files that belong to no item. Killed, it begins again with the next
// start. The newest rows come first, for there the dead were at work; what stands
// below an ID is left.
func (q *Queue) sweep(ctx context.Context, below int64) {
	for below > 0 {
		from, err := q.sweepRows(ctx, below)
		switch {
		case err == nil:
			below = from
		case !q.pause(): // a full disk, perhaps
			return
		}
	}
	q.mu.Lock()
	q.swept = true
	q.mu.Unlock()
	q.removeOrphans(ctx) // what it can't remove is nobody's mail
}

// sweepRows does a page of rows, and tells where it began.
func (q *Queue) sweepRows(ctx context.Context, below int64) (from int64, err error) {
	rows, from, err := q.leftovers(ctx, below)
	if err != nil {
		return below, err
	}
	for part := range slices.Chunk(rows, changeMax) {
		if err := q.takeOver(part); err != nil {
			return below, err
		}
	}
	return from, nil
}

// leftovers gives the next rows below an ID that a process left behind, and where the
// page of them began; 0 at the end.
func (q *Queue) leftovers(ctx context.Context, below int64) (left []left, from int64, err error) {
	row := q.db.Reader().QueryRowContext(ctx,
		"SELECT coalesce((SELECT item FROM recipient WHERE item < ? ORDER BY item DESC LIMIT 1 OFFSET ?), 0)", below, sweepPage)
	if err := row.Scan(&from); err != nil {
		return nil, 0, err
	}
	rows, err := q.db.Reader().QueryContext(ctx,
		"SELECT item, n, state, route, due FROM recipient WHERE item >= ? AND item < ? AND state IN (3, 4)", from, below)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		l, err := scanLeft(rows.Scan)
		if err != nil {
			return nil, 0, err
		}
		left = append(left, l)
	}
	return left, from, rows.Err()
}

// left is a recipient that a process left behind.
type left struct {
	lease
	Recipient
}

func scanLeft(scan func(...any) error) (l left, err error) {
	var state int
	var due int64
	err = scan((*int64)(&l.item), &l.n, &state, &l.Route, &due)
	l.setRow(state)
	l.Due = time.UnixMicro(due)
	return l, err
}

// takeOver makes what was fresh queued, and ends what was removed.
func (q *Queue) takeOver(part []left) error {
	var gone []ID
	err := q.db.Write(context.Background(), func(tx *db.Tx) error {
		gone = nil
		for _, l := range part {
			if !l.removed {
				if _, err := tx.Exec("UPDATE recipient SET state = 0 WHERE item = ? AND n = ? AND state = 3", int64(l.item), l.n); err != nil {
					return err
				}
				continue
			}
			ended, _, err := clearRows(tx, []lease{l.lease})
			if err != nil {
				return err
			}
			gone = append(gone, ended...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	q.removeBodies(gone)
	q.mu.Lock()
	for _, l := range part {
		if l.fresh {
			q.appeared(l.Recipient)
		}
	}
	q.mu.Unlock()
	q.Look()
	return nil
}

// removeOrphans removes the files of the spool directory that belong to no item, and
// tells how many.
func (q *Queue) removeOrphans(ctx context.Context) (removed int, err error) {
	dir, err := os.Open(q.spoolDir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(sweepPage)
		if errors.Is(err, io.EOF) {
			return removed, nil
		} else if err != nil {
			return removed, err
		}
		names = slices.DeleteFunc(names, q.isOurs)
		for _, name := range names {
			orphan, err := q.isOrphan(ctx, name)
			if err != nil {
				return removed, err
			}
			if !orphan {
				continue
			}
			if err := os.Remove(filepath.Join(q.spoolDir, name)); err == nil {
				removed++
			} else if !errors.Is(err, fs.ErrNotExist) {
				return removed, fmt.Errorf("queue: %w", err)
			}
		}
	}
}

// isOurs tells the files that this process has written, or is writing.
func (q *Queue) isOurs(name string) bool {
	id, err := ParseID(name)
	return err == nil && id > q.past || strings.HasPrefix(name, q.prefix)
}

// isOrphan tells whether a file of an earlier process belongs to no item. Only what
// this package names is its to remove.
func (q *Queue) isOrphan(ctx context.Context, name string) (bool, error) {
	id, err := ParseID(name)
	if err != nil || id.String() != name {
		return strings.HasPrefix(name, incomingPrefix), nil
	}
	var found bool
	err = q.db.Reader().QueryRowContext(ctx, "SELECT EXISTS(SELECT 1 FROM item WHERE id = ?)", int64(id)).Scan(&found)
	return !found, err
}
