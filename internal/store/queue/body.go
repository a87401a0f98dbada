package queue

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"syscall"

	"facteur/internal/store/db"
)

// ErrDamaged says that the bytes of an item are not those that were committed, or are
// gone. Trying again is of no use: it is for a person to decide.
var ErrDamaged = errors.New("the message was damaged on disk")

// castagnoli is CRC-32C, which processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Body gives the bytes of an item, as they were committed: what the disk has changed
// is ErrDamaged (FLT-004), and what of it is being tried is then held, with the reason,
// when its attempt ends. So it is seen, and in nobody's way.
func (q *Queue) Body(ctx context.Context, it *Item) (Body, error) {
	q.mu.Lock()
	hot, ok := q.fresh.hot[it.ID]
	q.mu.Unlock()
	if ok {
		return hot, nil
	}
	body, err := q.stored(ctx, it)
	if errors.Is(err, ErrDamaged) && q.Active(it) {
		_, failed := q.holdDamaged(ctx, it.ID, err)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return nil, fmt.Errorf("queue: body of %s: %w", it.ID, err)
	}
	return body, nil
}

// holdDamaged puts an item aside and tells why.
func (q *Queue) holdDamaged(ctx context.Context, id ID, why error) (Count, error) {
	return q.operate(ctx, "holding", Filter{IDs: []ID{id}}, operation{overrules: true, plan: func(_ *Item, r Recipient) (Recipient, bool) {
		ok := r.State == Queued
		r.State, r.fresh, r.LastReply = Held, false, why.Error()
		return r, ok
	}})
}

// stored reads the bytes of an item from the disk.
func (q *Queue) stored(ctx context.Context, it *Item) (Body, error) {
	var inFile bool
	var data []byte
	var sum sql.NullInt64
	err := q.db.Reader().QueryRowContext(ctx, "SELECT data IS NULL OR flags & ? != 0, data, sum FROM item WHERE id = ?",
		flagFront, int64(it.ID)).Scan(&inFile, &data, &sum)
	switch {
	case db.IsDamaged(err):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return nil, err
	}
	if inFile {
		body := fileBody{path: bodyPath(q.spoolDir, it.ID), front: data, size: it.Size}
		return body, body.check(sum)
	}
	if int64(len(data)) != it.Size {
		return nil, fmt.Errorf("%w: %d bytes in its row, %d expected", ErrDamaged, len(data), it.Size)
	}
	return memBody(data), checkSum(sum, crc32.Checksum(data, castagnoli))
}

// checkSum compares a sum with that of the commit; an older program made none.
func checkSum(want sql.NullInt64, got uint32) error {
	if want.Valid && uint32(want.Int64) != got {
		return fmt.Errorf("%w: its checksum is %08x, %08x expected", ErrDamaged, got, uint32(want.Int64))
	}
	return nil
}

// memBody is a body read from its row.
type memBody []byte

// Size implements Body.
func (b memBody) Size() int64 { return int64(len(b)) }

// Open implements Body.
func (b memBody) Open() (io.ReadSeekCloser, error) {
	return struct {
		*bytes.Reader
		io.Closer
	}{bytes.NewReader(b), io.NopCloser(nil)}, nil
}

// fileBody is a body in a file of the spool directory, and what stands before it.
type fileBody struct {
	path  string
	front []byte
	size  int64 // of both
}

// Size implements Body.
func (b fileBody) Size() int64 { return b.size }

// Open implements Body.
func (b fileBody) Open() (io.ReadSeekCloser, error) {
	f, err := os.Open(b.path)
	if err != nil || len(b.front) == 0 {
		return f, err
	}
	return &fronted{SectionReader: io.NewSectionReader(frontedAt{b.front, f}, 0, b.size), Closer: f}, nil
}

// fronted reads a file with other bytes before it.
type fronted struct {
	*io.SectionReader
	io.Closer
}

// frontedAt is the same by offsets.
type frontedAt struct {
	front []byte
	file  io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (f frontedAt) ReadAt(p []byte, off int64) (n int, err error) {
	front := int64(len(f.front))
	if off < front {
		n = copy(p, f.front[off:])
		p, off = p[n:], front
	}
	if len(p) == 0 {
		return n, nil
	}
	k, err := f.file.ReadAt(p, off-front)
	return n + k, err
}

// check reads the file once, before anybody sends the first half of what is damaged
// in the second.
func (b fileBody) check(sum sql.NullInt64) error {
	f, err := os.Open(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: its file is gone", ErrDamaged)
	} else if err != nil {
		return err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	n, err := io.Copy(h, f)
	switch {
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return err
	case n != b.size-int64(len(b.front)):
		return fmt.Errorf("%w: %d bytes in its file, %d expected", ErrDamaged, n, b.size-int64(len(b.front)))
	}
	return checkSum(sum, crc32.Update(h.Sum32(), castagnoli, b.front))
}
