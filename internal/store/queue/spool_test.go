package queue

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
