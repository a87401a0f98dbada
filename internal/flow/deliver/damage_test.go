package deliver

import (
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
