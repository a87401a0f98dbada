package queue

import (
	"context"
	"fmt"
	"testing"
	"time"

	"facteur/internal/store/db"
)

// FLT-006: on a full disk nothing new is taken, what is there can be put aside, deleted
// and delivered, and the room that this makes is used.
func TestOrdersOnAFullDisk(t *testing.T) {
	q := openTest(t, t.TempDir())
	for range 3 {
		commit(t, q, draft(q, 60_000, "a"))
	}
	var pages int
	if err := q.db.Reader().QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := q.db.Write(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(fmt.Sprintf("PRAGMA max_page_count(%d)", pages+1))
		if err == nil {
			rows.Close()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	refused := draft(q, 60_000, "b")
	if err := q.Commit(ctx, refused); !IsFull(err) {
		t.Fatalf("FLT-006: %v", err)
	}
	if q.Active(refused.Item) || q.fresh.places != 3 {
		t.Errorf("FLT-006: a lease or a place is left of what was refused: %d", q.fresh.places)
	}
	items := claim(t, q, time.Now())
	settled(t, q, Settlement{Item: items[0].ID, Outcomes: []Outcome{{N: 1, Result: Delivered}}})
	q.Park(items[1:]...)
	for name, do := range map[string]func() (Count, error){
		"hold":   func() (Count, error) { return q.Hold(ctx, Filter{IDs: []ID{items[1].ID}}) },
		"delete": func() (Count, error) { return q.Delete(ctx, Filter{IDs: []ID{items[2].ID}}) },
	} {
		if n, err := do(); n.Recipients != 1 || err != nil {
			t.Errorf("FLT-006: %s: %+v, %v", name, n, err)
		}
	}
	commit(t, q, draft(q, 50_000, "c"))
}

// FLT-005, INV-28: an order that could not be written says so, changes nothing and keeps
// nobody leased.
func TestOrdersThatFail(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, draft(q, 10, "a"))
	busy := claim(t, q, time.Now())
	commit(t, q, draft(q, 10, "b"))
	q.Park(claim(t, q, time.Now())...)
	for deadline := time.Now().Add(time.Minute); len(q.leasedNow()) > 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	execute := func(sql string) {
		if _, err := q.db.Reader().Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	execute("CREATE TRIGGER no BEFORE UPDATE ON recipient BEGIN SELECT RAISE(ABORT, 'no'); END")
	execute("CREATE TRIGGER never BEFORE DELETE ON recipient BEGIN SELECT RAISE(ABORT, 'no'); END")
	for name, do := range map[string]func(context.Context, Filter, ...Told) (Count, error){"hold": q.Hold, "delete": q.Delete, "expire": q.Expire} {
		if n, err := do(ctx, Filter{}); n.Recipients != 0 || err == nil {
			t.Errorf("FLT-005: %s: %+v, %v", name, n, err)
		}
	}
	if got := what(t, q); got != "a queued 0 now; b queued 0 now" || len(q.leasedNow()) != 1 || len(q.Still(busy[0])) != 1 {
		t.Errorf("FLT-005: %s, leased %v", got, q.leasedNow())
	}
	execute("DROP TRIGGER no")
	execute("DROP TRIGGER never")
	if items := claim(t, q, time.Now()); len(items) != 1 || items[0].Recipients[0].Address.Local != "b" {
		t.Errorf("FLT-005: %+v", items)
	}
}
