package queue

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// CutTo writes queue.db and queue/ as they are at one moment into dir, on the same file
// system, while mail comes and goes. Bodies in files are linked before and after the
// rows are copied, so that a row without its file is one that ended in between.
func (q *Queue) CutTo(ctx context.Context, dir string) error {
	spool := filepath.Join(dir, "queue")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return err
	}
	if err := q.linkBodies(spool); err != nil {
		return err
	}
	if err := q.db.CopyTo(ctx, filepath.Join(dir, "queue.db")); err != nil {
		return err
	}
	return q.linkBodies(spool)
}

// linkBodies links the files that are there and not linked yet.
func (q *Queue) linkBodies(spool string) error {
	entries, err := os.ReadDir(q.spoolDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), incomingPrefix) {
			continue
		}
		err := os.Link(filepath.Join(q.spoolDir, e.Name()), filepath.Join(spool, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
