package queue

import (
	"slices"
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
	first := check(q)
	q.Close()
	q = openTest(t, dir) // a crash loses leases only
	again := check(q)
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
}
