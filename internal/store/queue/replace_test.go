package queue

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"facteur/internal/mail/address"
)

// TestForward: others take the place of a recipient, in the transaction that ends him.
func TestForward(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := openTest(t, dir)
	it := commit(t, q, draft(q, 10, "jdoe", "other"))
	claim(t, q, time.Now())
	forward := func(names ...string) (list []Recipient) {
		for _, n := range names {
			a := address.Address{Local: n, Domain: "example.net"}
			list = append(list, Recipient{Address: a, Original: it.Recipients[0].Original, Route: "smtp:example.net", Passed: []string{"jdoe@example.com"}})
		}
		return list
	}
	if ended := settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: it.Recipients[0].N, Result: Delivered, Forward: forward("a", "b")},
		{N: it.Recipients[1].N, Result: Delivered}}}); len(ended) != 0 {
		t.Fatal("the item ended with its first recipients")
	}
	check := func(q *Queue) []Recipient {
		t.Helper()
		found, _, err := q.Claim(ctx, time.Now().Add(time.Hour), 10, Except{})
		if err != nil || len(found) != 1 || found[0].ID != it.ID || len(found[0].Recipients) != 2 {
			t.Fatalf("%+v %v", found, err)
		}
		for _, r := range found[0].Recipients {
			if r.N <= 2 || r.Original.Local != "jdoe" || !slices.Equal(r.Passed, []string{"jdoe@example.com"}) {
				t.Errorf("%+v", r)
			}
		}
		return found[0].Recipients
	}
	grown := func(want int) {
		t.Helper()
		if n, err := q.Forwarded(ctx, it.ID); n != want || err != nil {
			t.Errorf("grown by %d, %v; want %d", n, err, want)
		}
	}
	grown(1)
	first := check(q)
	q.Close()
	q = openTest(t, dir) // a crash loses leases only
	again := check(q)
	grown(1)
	if first[0].N != again[0].N || first[0].N == first[1].N {
		t.Errorf("numbers %d, %d; then %d", first[0].N, first[1].N, again[0].N)
	}
	// Who was deleted while his mail was being sent on is not replaced.
	if _, err := q.Delete(ctx, Filter{IDs: []ID{it.ID}}); err != nil {
		t.Fatal(err)
	}
	ended := settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: again[0].N, Result: Delivered, Forward: forward("c")}, {N: again[1].N, Result: Delivered}}})
	if len(ended) != 1 {
		t.Error("a deleted recipient was replaced")
	}
	grown(0)
}

// TestForwardUnderOrders: orders come and are withdrawn while mail is being sent on. Either
// a recipient stays, or those whom he named are in his place; never both, nor neither.
func TestForwardUnderOrders(t *testing.T) {
	t.Parallel()
	q := openTest(t, t.TempDir())
	const n = 1000
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("user", i))
	}
	it := commit(t, q, draft(q, 10, names...))
	for len(claim(t, q, time.Now())) > 0 {
	}
	orders, s := make(map[lease]overruling), Settlement{Item: it.ID}
	for _, r := range it.Recipients {
		orders[lease{it.ID, r.N}] = overruling{to: r}
		on := Recipient{Address: address.Address{Local: r.Address.Local, Domain: "example.net"}, Original: r.Original, Route: "smtp:example.net"}
		s.Outcomes = append(s.Outcomes, Outcome{N: r.N, Result: Delivered, Forward: []Recipient{on}})
	}
	end := make(chan struct{})
	var admin sync.WaitGroup
	admin.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			q.mu.Lock()
			q.overruled = make(map[lease]overruling)
			if i%2 == 0 {
				q.overruled = orders
			}
			q.mu.Unlock()
			runtime.Gosched()
		}
	})
	settled(t, q, s)
	close(end)
	admin.Wait()
	has := make(map[string]int)
	if err := q.Select(ctx, Filter{}, func(it *Item) bool {
		for _, r := range it.Recipients {
			has[r.Original.Local]++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if has[name] != 1 {
			t.Errorf("%s: %d recipients", name, has[name])
		}
	}
}
