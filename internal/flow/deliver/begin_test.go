package deliver

import (
	"testing"
	"time"

	"facteur/internal/store/queue"
)

// OUT-022: whom a person deletes or holds between the claim and the attempt is not tried,
// and gives his place back; the others are.
func TestNoAttemptBeginsForWhatWasDeleted(t *testing.T) {
	c := newCorridor(t)
	c.post("alice@example.org", "alice@example.org", "Subject: x\r\n\r\n", "a@example.com", "b@example.com", "c@example.com")
	items, _, err := c.queue.Claim(t.Context(), time.Now(), 1, queue.Except{})
	check(t, err)
	a, places := &attempt{item: items[0]}, 3
	done := func(_ *attempt, n int) { places -= n }
	if !begin(c.queue, a, done) || places != 3 {
		t.Fatalf("OUT-022: %d places", places)
	}
	_, err = c.queue.Delete(t.Context(), queue.Filter{Recipient: "a@example.com"})
	check(t, err)
	_, err = c.queue.Hold(t.Context(), queue.Filter{Recipient: "c@example.com"})
	check(t, err)
	if !begin(c.queue, a, done) || places != 1 || len(a.item.Recipients) != 1 || a.item.Recipients[0].Address.Local != "b" {
		t.Fatalf("OUT-022: %d places, %+v", places, a.item.Recipients)
	}
	_, err = c.queue.Delete(t.Context(), queue.Filter{})
	check(t, err)
	if begin(c.queue, a, done) || places != 0 {
		t.Fatalf("OUT-022: %d places", places)
	}
	c.await("the end", func() bool {
		items, recipients, err := c.queue.Depth(t.Context())
		return err == nil && items == 0 && recipients == 0
	})
}
