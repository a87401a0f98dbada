package behind

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
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/db"
)

var migrations = fstest.MapFS{"migrations/1_n.sql": {Data: []byte("-- +goose Up\nCREATE TABLE n(k INTEGER PRIMARY KEY, v TEXT NOT NULL);\n")}}

// room is numbers that are answered from memory.
type room struct {
	*testing.T
	path    string
	db      *db.DB
	mu      sync.Mutex
	numbers map[int]string
	changed *Rows[int]
	before  func(k int) error // called in the transaction, before each row
}

func newRoom(t *testing.T, most int) *room {
	r := &room{T: t, path: filepath.Join(t.TempDir(), "n.db"), numbers: map[int]string{}, before: func(int) error { return nil }}
	r.changed = NewRows(&r.mu, most, r.row)
	r.db = r.open(r.path)
	return r
}

func (r *room) open(path string) *db.DB {
	r.Helper()
	d, err := db.Open(path, migrations)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { d.Close() })
	return d
}

func (r *room) row(k int) Row {
	put := Exec(`DELETE FROM n WHERE k = ?`, k)
	if v, there := r.numbers[k]; there {
		put = Exec(`INSERT OR REPLACE INTO n VALUES (?, ?)`, k, v)
	}
	return func(tx *db.Tx) error {
		if err := r.before(k); err != nil {
			return err
		}
		return put(tx)
	}
}

// set changes a number; without a value, it is gone.
func (r *room) set(k int, v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.numbers[k] = v; v == "" {
		delete(r.numbers, k)
	}
	r.changed.Touch(k)
}

func (r *room) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed.Len()
}

func (r *room) write() error { return Write(r.Context(), r.db, r.changed) }

func (r *room) onDisk(d *db.DB) (n int) {
	r.Helper()
	if err := d.Reader().QueryRow(`SELECT count(*) FROM n`).Scan(&n); err != nil {
		r.Fatal(err)
	}
	return n
}

func (r *room) expect(onDisk, waiting int) {
	r.Helper()
	if got := r.onDisk(r.db); got != onDisk || r.waiting() != waiting {
		r.Errorf("%d rows on disk, %d wait; want %d and %d", got, r.waiting(), onDisk, waiting)
	}
}

func TestRowsAreWrittenAsTheyAre(t *testing.T) {
	r := newRoom(t, 100)
	r.set(1, "old")
	r.set(1, "new")
	r.set(2, "two")
	r.expect(0, 2)
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	r.set(2, "")
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	r.expect(1, 0)
	var v string
	if err := r.db.Reader().QueryRow(`SELECT v FROM n`).Scan(&v); err != nil || v != "new" {
		t.Errorf("%q, %v", v, err)
	}
}

// A kill -9 in the middle of a transaction leaves what was there before it, one after it
// all of it; what is on the files at such a moment is opened anew.
func TestACrashLeavesBeforeOrAfter(t *testing.T) {
	r := newRoom(t, 10*Most)
	for k := range 2*Most + 7 {
		r.set(k, "x")
	}
	var found []int
	seen := 0
	r.before = func(int) error {
		if seen++; seen%100 == 1 {
			dir := t.TempDir()
			for _, end := range []string{"", "-wal"} {
				data, err := os.ReadFile(r.path + end)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "n.db"+end), data, 0o600)
				}
				if err != nil {
					return err
				}
			}
			found = append(found, r.onDisk(r.open(filepath.Join(dir, "n.db"))))
		}
		return nil
	}
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(found), fmt.Sprint([]int{0, 0, 0, 0, 0, Most, Most, Most, Most, Most, 2 * Most}); got != want {
		t.Errorf("after crashes: %s, want %s", got, want)
	}
	r.expect(2*Most+7, 0)
}

// FLT-006: a disk that is full takes nothing, all of which is tried again, with what has
// changed meanwhile.
func TestAFullDisk(t *testing.T) {
	r := newRoom(t, 100)
	pages := func(most int) {
		if err := r.db.Write(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count(%d)", most)).Scan(new(int))
		}); err != nil {
			t.Fatal(err)
		}
	}
	pages(20)
	for k := range 50 {
		r.set(k, strings.Repeat("x", 4000))
	}
	if err := r.write(); !errors.Is(err, db.ErrFull) {
		t.Fatalf("FLT-006: %v", err)
	}
	r.expect(0, 50)
	r.set(0, "small")
	r.set(1, "")
	pages(10_000)
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	r.expect(49, 0)
}

// ABU-008: while the disk takes nothing, what waits for it has a bound.
func TestWhatWaitsIsBounded(t *testing.T) {
	r := newRoom(t, 10)
	no := errors.New("no")
	r.before = func(int) error { return no }
	for k := range 1000 {
		r.set(k, "x")
		if k%100 == 0 {
			if err := r.write(); !errors.Is(err, no) {
				t.Fatal(err)
			}
		}
	}
	r.expect(0, 10)
}

// Tables of one room share transactions: what fails in one is not written of the other.
func TestTablesShareATransaction(t *testing.T) {
	r := newRoom(t, 10)
	other := NewRows(&r.mu, 10, func(string) Row { return Exec(`INSERT INTO nowhere VALUES (1)`) })
	r.set(1, "x")
	other.Touch("a")
	if err := Write(t.Context(), r.db, r.changed, other); err == nil {
		t.Fatal("there is no such table")
	}
	r.expect(0, 1)
	if other.Len() != 1 {
		t.Error("the other row is forgotten")
	}
}

// notes counts the warnings.
type notes struct{ n int }

func (n *notes) Emit(event.Event) { n.n++ }

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes, sweeps int
		var last error
		warned := new(notes)
		ctx, stop := context.WithCancel(t.Context())
		go Loop{Every: 5 * time.Second, SweepEvery: time.Minute, Events: warned, Program: "facteur/test", What: "numbers can't be written",
			Write: func(ctx context.Context) error {
				if writes++; writes == 3 {
					return db.ErrFull
				}
				last = ctx.Err()
				return nil
			},
			Sweep: func(context.Context) error { sweeps++; return nil }}.Run(ctx)
		time.Sleep(2*time.Minute + time.Second)
		stop()
		synctest.Wait()
		if writes != 25 || sweeps != 2 || warned.n != 1 || last != nil {
			t.Errorf("%d writes (the last with %v), %d sweeps, %d warnings", writes, last, sweeps, warned.n)
		}
	})
}
