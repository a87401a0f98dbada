package queue

import (
	"sync"
	"testing"
	"time"
)

// What is deleted while it is being tried has one end, and who deleted it hears of
// that one only if it is his.
func TestDeletedWhileTried(t *testing.T) {
	for _, c := range []struct {
		name   string
		result Result
		ended  bool
	}{{"deferred", Deferred, true}, {"delivered", Delivered, false}, {"bounced", Failed, false}} {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			q := openTest(t, t.TempDir())
			commit(t, q, draft(q, 10, "a@example.org", "b@example.org"))
			claimed, _, err := q.Claim(ctx, time.Now(), 10, Except{})
			if err != nil || len(claimed) != 1 {
				t.Fatal(claimed, err)
			}
			var mu sync.Mutex
			heard := map[string]int{}
			note := func(word string) func(*Item) {
				return func(it *Item) { mu.Lock(); heard[word] += len(it.Recipients); mu.Unlock() }
			}
			n, err := q.Delete(ctx, Filter{}, Told{Done: note("done"), Doomed: note("doomed"), Ended: note("ended")})
			if err != nil || n.Recipients != 2 {
				t.Fatal(n, err)
			}
			it := claimed[0]
			s := Settlement{Item: it.ID}
			for _, r := range it.Recipients {
				s.Outcomes = append(s.Outcomes, Outcome{N: r.N, Result: c.result, Due: time.Now()})
			}
			if _, err := q.Settle(ctx, s); err != nil {
				t.Fatal(err)
			}
			if items, _, err := q.Depth(ctx); items != 0 || err != nil {
				t.Fatal(items, err)
			}
			want := 0
			if c.ended {
				want = 2
			}
			mu.Lock()
			defer mu.Unlock()
			if heard["done"] != 0 || heard["doomed"] != 2 || heard["ended"] != want {
				t.Errorf("%v", heard)
			}
			q.mu.Lock() // the background looks, too
			defer q.mu.Unlock()
			if len(q.condemned) != 0 {
				t.Errorf("%d are kept in mind", len(q.condemned))
			}
		})
	}
}

// An order tells of each item with the recipients that it was for.
func TestToldOfWhatWasPicked(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, letter(t, q, "s@example.com", 10, "a@example.org", "b@example.net"))
	claimed, _, err := q.Claim(t.Context(), time.Now(), 10, Except{})
	if err != nil {
		t.Fatal(err)
	}
	q.Release(claimed...)
	var told []*Item
	if _, err := q.Hold(t.Context(), Filter{Domain: "example.net"}, Told{Done: func(it *Item) { told = append(told, it) }}); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || len(told[0].Recipients) != 1 || told[0].Recipients[0].Address.String() != "b@example.net" {
		t.Errorf("%+v", told)
	}
}
