package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// FLT-012, INV-1: a file whose directory could not be made durable is not taken for
// durable the next time, but made so.
func TestSpoolDirectory(t *testing.T) {
	q := openTest(t, t.TempDir())
	s := q.Spool()
	if _, err := s.Write(make([]byte, inlineMax+1)); err != nil {
		t.Fatal(err)
	}
	id := q.NextID()
	if err := s.settle(id); err != nil || s.renamed {
		t.Fatal(err)
	}
	s = q.Spool()
	s.Write(make([]byte, inlineMax+1))
	final := bodyPath(q.spoolDir, id)
	s.file.Sync()
	os.Rename(s.file.Name(), final)
	s.file.Close()
	s.file, s.renamed = nil, true
	s.dir += "-gone" // as if it could not be opened
	for range 2 {
		if err := s.settle(id); err == nil {
			t.Error("the directory was not synced")
		}
	}
	s.dir = q.spoolDir
	if err := s.settle(id); err != nil || s.renamed {
		t.Error(err)
	}
}

// A file that can't be removed keeps those of no other items.
func TestBodiesAreRemovedOneByOne(t *testing.T) {
	q := openTest(t, t.TempDir())
	stuck, other := q.NextID(), q.NextID()
	if err := errors.Join(os.MkdirAll(filepath.Join(bodyPath(q.spoolDir, stuck), "x"), 0o700), os.WriteFile(bodyPath(q.spoolDir, other), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	q.removeBodies([]ID{stuck, other})
	if _, err := os.Stat(bodyPath(q.spoolDir, other)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("behind one that stays: %v", err)
	}
}

// A draft whose bytes can't be stored names itself, and leaves no file once it is given up.
func TestScrap(t *testing.T) {
	q := openTest(t, t.TempDir())
	it := commit(t, q, draft(q, 10, "a"))
	claim(t, q, time.Now())
	bad := draft(q, inlineMax+1, "b")
	if err := bad.Spool.settle(bad.Item.ID); err != nil {
		t.Fatal(err)
	}
	bad.Spool.failed = syscall.EIO // of the directory's sync
	s := Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Result: Failed}}, Offspring: []Draft{bad}}
	for range 2 {
		_, err := q.Settle(ctx, s)
		if body, ok := errors.AsType[*BodyError](err); !ok || body.Item != bad.Item.ID || !errors.Is(err, syscall.EIO) {
			t.Errorf("%v", err)
		}
	}
	q.Scrap(bad)
	if left, err := os.ReadDir(q.spoolDir); len(left) != 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
	s.Offspring = nil
	settled(t, q, s)
}

// What is prepended stands above the message, wherever its bytes are, before the commit
// and after a restart.
func TestPrepend(t *testing.T) {
	for name, size := range map[string]int{"in the row": 1000, "spilled by it": inlineMax - 5, "in a file": inlineMax + 1, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			q := openTest(t, dir)
			d := draft(q, size, "a")
			if err := errors.Join(d.Spool.Prepend([]byte("two\r\n")), d.Spool.Prepend([]byte("one\r\n"))); err != nil {
				t.Fatal(err)
			}
			want := "one\r\ntwo\r\n" + strings.Repeat("x", size)
			if got, err := io.ReadAll(io.NewSectionReader(d.Spool, 0, d.Spool.Size())); err != nil || string(got) != want {
				t.Fatalf("before the commit %d bytes, %d expected: %v", len(got), len(want), err)
			}
			it := commit(t, q, d)
			q.Close()
			q = openTest(t, dir)
			body, err := q.Body(ctx, it)
			if err != nil || body.Size() != int64(len(want)) {
				t.Fatal(body, err)
			}
			r, err := body.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for range 2 {
				if got, err := io.ReadAll(r); err != nil || string(got) != want {
					t.Fatalf("%d bytes, %d expected: %v", len(got), len(want), err)
				}
				if _, err := r.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// What stands above a message in a file is small, as it is read with the row.
func TestPrependIsBounded(t *testing.T) {
	q := openTest(t, t.TempDir())
	d := draft(q, inlineMax+1, "a")
	defer d.Spool.Discard()
	if err := d.Spool.Prepend(make([]byte, frontMax+1)); err == nil {
		t.Error("too much was taken")
	}
}
