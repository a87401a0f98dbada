package db

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// FLT-006: when not a byte is free any more, what is there can still be deleted, in the
// room that the log has.
func TestDeletingOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	d, err := Open(filepath.Join(dir, "x.db"), fstest.MapFS{"migrations/00001_x.sql": {Data: []byte("-- +goose Up\nCREATE TABLE x (n INTEGER PRIMARY KEY, data BLOB);\n")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	add := func(n, size int) error {
		return d.Write(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO x VALUES(?, ?)", n, make([]byte, size))
			return err
		})
	}
	for n := range 120 {
		if err := add(n, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Write(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec("DELETE FROM x WHERE n >= 100") // there was more at a time
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reader().Exec("PRAGMA wal_checkpoint(PASSIVE)"); err != nil { // the file has its size
		t.Fatal(err)
	}
	for f, err := os.Create(filepath.Join(dir, "filler")); err == nil; {
		_, err = f.Write(bytes.Repeat([]byte{1}, 4096))
	}
	if err := add(1000, 4<<20); !errors.Is(err, ErrFull) {
		t.Fatalf("what does not fit: %v", err)
	}
	for n := range 100 {
		if err := d.Write(context.Background(), func(tx *Tx) error {
			for again := range 20 { // pages of the log, more than it has room for
				if _, err := tx.Exec("UPDATE x SET data = ? WHERE n = ?", make([]byte, 10_000-again), n); err != nil {
					return err
				}
			}
			_, err := tx.Exec("DELETE FROM x WHERE n = ?", n)
			return err
		}); err != nil {
			t.Fatalf("FLT-006: %d: %v", n, err)
		}
	}
}
