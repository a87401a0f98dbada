package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

var tables = fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT NOT NULL);\n")}}

func openTest(t testing.TB) *DB {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "a b%?.db"), tables)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func count(t testing.TB, d *DB) (n int) {
	t.Helper()
	if err := d.Reader().QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConcurrentWritesAllCommit(t *testing.T) {
	d := openTest(t)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			if err := d.Write(context.Background(), func(tx *Tx) error {
				_, err := tx.Exec("INSERT INTO t VALUES(?,?)", i, "x")
				return err
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, d); n != 300 {
		t.Errorf("%d rows of 300", n)
	}
}

func TestOneFailureHurtsNobodyElse(t *testing.T) {
	d := openTest(t)
	mine := errors.New("mine")
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			err := d.Write(context.Background(), func(tx *Tx) error {
				if _, err := tx.Exec("INSERT INTO t VALUES(?,?)", i, "x"); err != nil {
					return err
				}
				if i%10 == 0 {
					return fmt.Errorf("number %d: %w", i, mine)
				}
				return nil
			})
			if bad := i%10 == 0; bad != errors.Is(err, mine) {
				t.Errorf("number %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, d); n != 90 {
		t.Errorf("%d rows, 90 expected", n)
	}
}

func TestClosedSaysSo(t *testing.T) {
	d := openTest(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(context.Background(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	newer := fstest.MapFS{"migrations/1_t.sql": tables["migrations/1_t.sql"], "migrations/2_u.sql": {Data: []byte("-- +goose Up\nCREATE TABLE u(k);\n")}}
	d, err := Open(path, newer)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if d, err = Open(path, tables); err == nil {
		d.Close()
		t.Fatal("FLT-009: an older program opened newer tables")
	}
}

func BenchmarkWrite100Callers10KB(b *testing.B) {
	d := openTest(b)
	body := make([]byte, 10<<10)
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := d.Write(context.Background(), func(tx *Tx) error {
				_, err := tx.Exec("INSERT INTO t(v) VALUES(?)", body)
				return err
			}); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestAFullDiskFailsOneWriteOnly(t *testing.T) {
	d := openTest(t)
	limit := func(pages int) {
		if err := d.Write(context.Background(), func(tx *Tx) error {
			rows, err := tx.Query(fmt.Sprintf("PRAGMA max_page_count(%d)", pages))
			if err == nil {
				rows.Close()
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	insert := func() error {
		return d.Write(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO t(v) VALUES(?)", strings.Repeat("x", 1<<20))
			return err
		})
	}
	limit(50)
	if err := insert(); !errors.Is(err, ErrFull) || errors.Is(err, ErrBroken) {
		t.Fatalf("FLT-006: %v", err)
	}
	limit(1 << 20)
	if err := insert(); err != nil {
		t.Errorf("FLT-006: no recovery: %v", err)
	}
}

func TestADamagedFileIsNotBuiltOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := Open(path, tables)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := d.Write(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO t VALUES(?,?)", i, strings.Repeat("x", 2000))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Stat()
	for off := int64(8192 * 2); off < info.Size(); off += 4096 {
		f.WriteAt(make([]byte, 4096), off)
	}
	f.Close()
	if d, err = Open(path, tables); err != nil {
		return // refused at once: as good
	}
	defer d.Close()
	write := func(key int) error {
		return d.Write(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec("UPDATE t SET v = 'y' WHERE k = ?", key)
			return err
		})
	}
	if err := write(150); !errors.Is(err, ErrBroken) {
		t.Fatalf("FLT-004: %v", err)
	}
	<-d.Broken()
	if err := d.Write(context.Background(), func(tx *Tx) error { return nil }); !errors.Is(err, ErrBroken) {
		t.Errorf("INV-28: built on a damaged file: %v", err)
	}
}
