package quarantine

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

var ctx = context.Background()

// house is a queue with a keeper, and what was told.
type house struct {
	testing.TB
	*queue.Queue
	*Keeper
	told map[string]string // sentences, by recipient and ID
}

func (h *house) Emit(e event.Event) {
	if r, ok := e.(Removed); ok {
		key := r.ID.String() + r.To
		if h.told[key] != "" {
			h.Errorf("told twice of %s", key)
		}
		h.told[key] = r.Step().Sentence
		return
	}
	h.Errorf("unexpected: %v", e)
}

func newHouse(t testing.TB, s Settings) *house {
	q, err := queue.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	h := &house{TB: t, Queue: q, told: map[string]string{}}
	h.Keeper = New(q, func() Settings { return s }, h)
	return h
}

// fill puts letters of a size into quarantine, which came some days ago.
func (h *house) fill(n, size int, category string, days int, accounts ...string) {
	h.Helper()
	for range n {
		s := h.Spool()
		s.Write([]byte(strings.Repeat("x", size)))
		it := &queue.Item{ID: h.NextID(), Arrived: time.Now().AddDate(0, 0, -days)}
		for _, account := range accounts {
			a, _ := address.Parse(account)
			it.Recipients = append(it.Recipients, queue.Recipient{Address: a, Original: a, Route: "mailbox:" + account,
				State: queue.Held, Quarantine: category, Exhibit: &queue.Exhibit{Account: account}})
		}
		if err := h.Commit(ctx, queue.Draft{Item: it, Spool: s}); err != nil {
			h.Fatal(err)
		}
	}
}

// left is what is there: "a@x spam 3, …".
func (h *house) left() string {
	counts, err := h.ExhibitCounts(ctx)
	if err != nil {
		h.Fatal(err)
	}
	var list []string
	for _, c := range counts {
		list = append(list, fmt.Sprintf("%s %s %d", c.Account, c.Category, c.Exhibits))
	}
	return strings.Join(list, ", ")
}

func (h *house) tidy() {
	h.Helper()
	if err := h.Tidy(ctx); err != nil {
		h.Fatal(err)
	}
}

const day = 24 * time.Hour

var roomy = Bound{1000, 1 << 30}

// TestExpiry (row 200): each category has its time, and each that goes is told.
func TestExpiry(t *testing.T) {
	h := newHouse(t, Settings{Keep: map[string]time.Duration{"": 30 * day, "virus": 7 * day}, Account: roomy, All: roomy})
	h.fill(1, 10, "spam", 31, "a@x.test")
	h.fill(2, 10, "spam", 29, "a@x.test")
	h.fill(3, 10, "virus", 8, "a@x.test", "b@x.test")
	h.fill(1, 10, "virus", 6, "a@x.test")
	h.tidy()
	if got, want := h.left(), "a@x.test spam 2, a@x.test virus 1"; got != want {
		t.Errorf("left %q; want %q", got, want)
	}
	if len(h.told) != 7 {
		t.Errorf("%d told; want 7: %v", len(h.told), h.told)
	}
	for _, s := range h.told {
		if strings.Contains(s, "spam") != strings.Contains(s, "30 days") || !strings.Contains(s, "deleted-by-policy") {
			t.Error(s)
		}
	}
	if _, recipients, err := h.Depth(ctx); err != nil || recipients != 0 {
		t.Errorf("%d recipients in the queue, %v", recipients, err)
	}
}

// TestBounds (ABU-017): a botnet's letters never fill the quarantine without a bound; who
// goes first.
func TestBounds(t *testing.T) {
	day30 := map[string]time.Duration{"": 30 * day}
	for _, c := range []struct {
		name         string
		account, all Bound
		fill         func(*house)
		want         string
		told         int
	}{
		{"ABU-017 an account's oldest spam goes first", Bound{5, 1 << 20}, roomy, func(h *house) {
			h.fill(3, 10, "spam", 1, "a@x.test")
			h.fill(2, 10, "banned", 20, "a@x.test")
			h.fill(4, 10, "spam", 0, "a@x.test")
			h.fill(1, 10, "spam", 9, "b@x.test")
		}, "a@x.test banned 2, a@x.test spam 3, b@x.test spam 1", 4},
		{"ABU-017 bytes", Bound{100, 1000}, roomy, func(h *house) {
			h.fill(9, 300, "spam", 0, "a@x.test")
		}, "a@x.test spam 3", 6},
		{"ABU-017 spam displaces no virus", Bound{6, 1 << 20}, roomy, func(h *house) {
			h.fill(3, 10, "virus", 3, "a@x.test")
			h.fill(9, 10, "spam", 0, "a@x.test")
		}, "a@x.test spam 3, a@x.test virus 3", 6},
		{"ABU-017 worms displace no spam", Bound{6, 1 << 20}, roomy, func(h *house) {
			h.fill(3, 10, "spam", 3, "a@x.test")
			h.fill(9, 10, "virus", 0, "a@x.test")
		}, "a@x.test spam 3, a@x.test virus 3", 6},
		{"ABU-017 who has the most gives first", roomy, Bound{10, 1 << 20}, func(h *house) {
			h.fill(3, 10, "spam", 20, "a@x.test")
			h.fill(20, 10, "spam", 0, "b@x.test")
			h.fill(1, 10, "bad_header", 20, "c@x.test")
		}, "a@x.test spam 3, b@x.test spam 6, c@x.test bad_header 1", 14},
		{"ABU-017 a letter for many takes its room once", roomy, Bound{100, 1000}, func(h *house) {
			h.fill(1, 900, "spam", 0, "a@x.test", "b@x.test", "c@x.test")
			h.fill(1, 50, "spam", 0, "d@x.test")
		}, "a@x.test spam 1, b@x.test spam 1, c@x.test spam 1, d@x.test spam 1", 0},
		{"within", roomy, roomy, func(h *house) { h.fill(3, 10, "spam", 0, "a@x.test") }, "a@x.test spam 3", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, Settings{Keep: day30, Account: c.account, All: c.all})
			c.fill(h)
			before, _ := h.ExhibitCounts(ctx)
			h.tidy()
			if got := h.left(); got != c.want {
				t.Errorf("left %q; want %q", got, c.want)
			}
			after, _ := h.ExhibitCounts(ctx)
			if gone := sum(before).Letters - sum(after).Letters; gone != c.told || len(h.told) != c.told {
				t.Errorf("%d gone, %d told; want %d", gone, len(h.told), c.told)
			}
		})
	}
}

// TestLedger (INV-03, INV-30): whatever is released, deleted, or goes by itself, each that
// was accepted comes to one end.
func TestLedger(t *testing.T) {
	h := newHouse(t, Settings{Keep: map[string]time.Duration{"": 30 * day}, Account: Bound{8, 1 << 20}, All: roomy})
	h.fill(10, 10, "spam", 0, "a@x.test", "b@x.test")
	h.fill(5, 10, "virus", 40, "a@x.test")
	var released, deleted int
	free, err := h.FreeExhibits(ctx, queue.ExhibitFilter{Account: "b@x.test"}, func(_ context.Context, it *queue.Item, r queue.Recipient) (queue.Recipient, error) {
		if it.ID%2 == 0 {
			return r, fmt.Errorf("not this one")
		}
		return r, nil
	})
	if released = free.Recipients; err == nil && released < 10 {
		t.Error("what could not be routed was not told")
	}
	h.tidy()
	n, err := h.DropExhibits(ctx, queue.ExhibitFilter{Account: "a@x.test", Category: "spam"})
	if err != nil {
		t.Fatal(err)
	}
	deleted = n.Recipients
	counts, _ := h.ExhibitCounts(ctx)
	_, queued, _ := h.Depth(ctx)
	if queued != released || released+deleted+len(h.told)+sum(counts).Letters != 25 {
		t.Errorf("released %d (queued %d), deleted %d, told %d, left %d; want 25 in all", released, queued, deleted, len(h.told), sum(counts).Letters)
	}
	delivered := 0
	for {
		items, _, err := h.Claim(ctx, time.Now().Add(time.Second), 100, queue.Except{})
		if err != nil || len(items) == 0 {
			break
		}
		for _, it := range items {
			for _, r := range it.Recipients {
				if _, err := h.Settle(ctx, queue.Settlement{Item: it.ID, Outcomes: []queue.Outcome{{N: r.N, Result: queue.Delivered}}}); err != nil {
					t.Fatal(err)
				}
				delivered++
			}
		}
	}
	if delivered != released {
		t.Errorf("%d delivered of %d released", delivered, released)
	}
	if dir, _ := filepath.Glob(filepath.Join(h.Dir(), "*")); len(dir) != 0 {
		t.Errorf("files are left: %v", dir)
	}
}

// TestRun: the keeper hears of what comes, without looking again and again.
func TestRun(t *testing.T) {
	h := newHouse(t, Settings{Keep: map[string]time.Duration{"": 30 * day}, Account: Bound{1, 1 << 20}, All: roomy})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	h.fill(3, 10, "spam", 0, "a@x.test")
	for end := time.Now().Add(time.Minute); h.left() != "a@x.test spam 1"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(h.left())
		}
	}
	cancel()
	<-done
}
