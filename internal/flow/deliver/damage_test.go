package deliver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// FLT-004: what the disk has damaged is held, and the log says so, for a mailbox as for
// another host.
func TestDamagedIsHeld(t *testing.T) {
	for _, to := range []string{"alice@example.org", "x@d.test"} {
		c, book := newCorridor(t), &record{}
		c.events = book
		c.peer("d.test", sim.Peer{})
		id := c.post("bob@example.org", "bob@example.org", "Subject: x\r\n\r\n"+strings.Repeat("large\r\n", 40_000), to)
		check(t, os.Truncate(filepath.Join(c.dir, "queue", id.String()), 4096))
		stop := c.run()
		held := func() bool {
			_, recipients, _ := c.queue.Depth(t.Context())
			n, err := c.queue.Count(t.Context(), queue.Filter{Shelf: queue.ShelfHold})
			return err == nil && recipients == 1 && n.Items == 1 && n.Busy == 0
		}
		c.await("the hold", held)
		stop()
		if log := strings.Join(book.of(id), "\n"); !strings.Contains(log, "status=held (held: ") || !strings.Contains(log, "damaged on disk") || strings.Contains(log, "status=deferred") {
			t.Errorf("FLT-004: %s", log)
		}
	}
}

// INV-22, FLT-013: a notice that makes this program fail when it is written holds who
// failed, and does not send anew what has arrived.
func TestPoisonousNotice(t *testing.T) {
	c := &clerk{events: event.Discard, schedule: func() Schedule { return Schedule{} }}
	s := queue.Settlement{Outcomes: []queue.Outcome{{N: 1, Result: queue.Delivered}, {N: 2, Result: queue.Failed, Reply: "no"}, {N: 3, Delayed: true}}}
	if c.written(&s, "writing a notice", time.Now(), func() error { panic("poison") }) {
		t.Error("it is said to have been written")
	}
	o := s.Outcomes
	if o[0].Result != queue.Delivered || o[1].Result != queue.Undeliverable || !strings.HasSuffix(o[1].Reply, ": no") || o[2].Result != queue.Deferred || o[2].Delayed {
		t.Errorf("%+v", o)
	}
	s.Outcomes[1].Result = queue.Failed
	if c.written(&s, "writing a notice", time.Now(), func() error { return errors.New("full") }) || s.Outcomes[1].Result != queue.Deferred {
		t.Errorf("%+v", s.Outcomes)
	}
}

// FLT-012: a notice whose bytes can't be stored any more keeps nobody waiting for ever:
// who failed is tried again, and gets a new one then.
func TestNoticeThatCannotBeStored(t *testing.T) {
	c, book := newCorridor(t), &record{}
	clerk := &clerk{queue: c.queue, events: book, schedule: func() Schedule { return c.schedule }}
	ids := []queue.ID{c.put(fromAlice(), letterText, to(t, "x@a.test", 0), to(t, "y@a.test", 0)), c.put(fromAlice(), letterText, to(t, "z@a.test", 0))}
	if items, _, err := c.queue.Claim(t.Context(), time.Now(), 10, queue.Except{}); len(items) != 2 || err != nil {
		t.Fatal(items, err)
	}
	notice := func() queue.Draft {
		spool := c.queue.Spool()
		_, err := spool.Write(make([]byte, 200<<10))
		check(t, err)
		return queue.Draft{Spool: spool, Item: &queue.Item{ID: c.queue.NextID(), Recipients: []queue.Recipient{to(t, "alice@example.org", 0)}}}
	}
	bad := notice()
	lost, err := filepath.Glob(filepath.Join(c.queue.Dir(), "incoming-*"))
	if err != nil || len(lost) != 1 {
		t.Fatal(lost, err)
	}
	check(t, os.Remove(lost[0]))
	good := notice()
	s := []queue.Settlement{
		{Item: ids[0], Outcomes: []queue.Outcome{{N: 1, Result: queue.Failed, Reply: "no"}, {N: 2, Result: queue.Delivered}}, Offspring: []queue.Draft{bad}},
		{Item: ids[1], Outcomes: []queue.Outcome{{N: 1, Result: queue.Failed, Reply: "no"}}, Offspring: []queue.Draft{good}},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended, err := clerk.settle(ctx, s...)
	if err != nil || len(ended) != 1 || ended[0] != ids[1] || len(s[0].Offspring) != 0 || len(s[1].Offspring) != 1 {
		t.Errorf("%v ended, %+v, %v", ended, s, err)
	}
	it, _, err := c.queue.Show(t.Context(), ids[0])
	if err != nil || len(it.Recipients) != 1 || it.Recipients[0].State != queue.Queued || s[0].Outcomes[0].Result != queue.Deferred {
		t.Errorf("who failed: %+v, %v", it, err)
	}
	if files, err := os.ReadDir(c.queue.Dir()); len(files) != 1 || err != nil {
		t.Errorf("%v, %v", files, err)
	}
}
