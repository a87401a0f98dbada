package deliver

import (
	"context"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/queue"
)

// TestSoftBounce: what failed for good waits, until its lifetime is over.
func TestSoftBounce(t *testing.T) {
	c := newCorridor(t)
	c.schedule.SoftBounce = true
	c.schedule.MinimalBackoff, c.schedule.MaximalBackoff = time.Hour, time.Hour
	stop := c.run()
	id := c.post("alice@example.org", "alice@example.org", letterText, "x@reject.example")
	c.await("it has been tried", func() bool {
		it, _, err := c.queue.Show(context.Background(), id)
		check(t, err)
		return it.Recipients[0].LastReply != ""
	})
	stop()
	it, _, err := c.queue.Show(context.Background(), id)
	check(t, err)
	if r := it.Recipients[0]; r.Attempts != 1 || !strings.Contains(r.LastReply, "said: 5") || len(c.letters("alice")) != 0 {
		t.Errorf("%+v, and alice has %d letters", r, len(c.letters("alice")))
	}
	c.schedule.Lifetime = 0
	d := c.dispatcher()
	o := d.clerk.outcome(c.schedule, &attempt{item: it}, &result{recipient: it.Recipients[0], kind: queue.Failed}, time.Now())
	if o.Result != queue.Failed {
		t.Error("it is tried for ever")
	}
}
