package queue

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/queue/queuetest"
	"facteur/internal/test/doubling"
)

// filled is a queue with so many items that wait.
func filled(t testing.TB, m queuetest.Mail) *Queue {
	t.Helper()
	dir := t.TempDir()
	fill(t, dir, m)
	return openTest(t, dir)
}

func fill(t testing.TB, dir string, m queuetest.Mail) {
	t.Helper()
	if m.Message == nil {
		m.Message = []byte("Subject: x\r\n\r\n")
	}
	m.Senders, m.Domains = max(m.Senders, 1), max(m.Domains, 1)
	if m.Arrived.IsZero() {
		m.Arrived = time.Now().Add(-24 * time.Hour)
	}
	if err := queuetest.Fill(dir, Migrations(), m); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkMillion tells what a million queued messages cost; in short mode it is
// fewer. A queue that is already in FACTEUR_MILLION_DIR is taken instead.
func BenchmarkMillion(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	dir := b.TempDir()
	if at := os.Getenv("FACTEUR_MILLION_DIR"); at != "" {
		dir = at
	}
	took := func(name string, fn func()) {
		begun := time.Now()
		fn()
		b.ReportMetric(time.Since(begun).Seconds(), name)
		b.Logf("%s %v", name, time.Since(begun))
	}
	took("s-fill", func() {
		if _, err := os.Stat(filepath.Join(dir, "queue.db")); err == nil {
			return
		}
		fill(b, dir, queuetest.Mail{Items: n, Senders: 10, Domains: 1000, Message: bytes.Repeat([]byte("x"), 2000),
			Due: time.Now().Add(time.Hour), Attempts: 3, Reply: strings.Repeat("later ", 10)})
	})
	var q *Queue
	took("s-open", func() { q = openTest(b, dir) })
	took("s-landings", func() { q.Landings(ctx) })
	took("s-commit", func() { commit(b, q, draft(q, 2000, "a")) })
	took("s-claim", func() { claim(b, q, time.Now()) })
	took("s-sweep", func() { q.background.Wait() })
	took("s-first", func() { q.List(ctx, func(*Item) bool { return false }) })
	took("s-count-sender", func() { b.Log(q.Count(ctx, Filter{Sender: "s3@sender.example"})) })
	took("s-depth", func() { b.Log(q.Depth(ctx)) })
	took("s-delete-sender", func() { b.Log(q.Delete(ctx, Filter{Sender: "s3@sender.example"})) })
	took("s-claim-due", func() { b.Log(len(claim(b, q, time.Now().Add(2*time.Hour)))) })
	took("s-list", func() { q.List(ctx, func(*Item) bool { return true }) })
	status, _ := os.ReadFile("/proc/self/status")
	for line := range bytes.Lines(status) {
		if bytes.HasPrefix(line, []byte("VmHWM")) || bytes.HasPrefix(line, []byte("VmRSS")) {
			b.Logf("%s", line)
		}
	}
}

// OUT-013, INV-24: what is due for a route that has enough is not in the way of the
// others, however much it is, and one Claim does not get dearer with it.
func TestClaimBesideABacklog(t *testing.T) {
	const backlog = 20_000
	dir := t.TempDir()
	fill(t, dir, queuetest.Mail{Items: backlog, Due: time.Now().Add(-time.Hour), Attempts: 1})
	fill(t, dir, queuetest.Mail{Items: 300, Domains: 100, Arrived: time.Now().Add(-time.Hour), Due: time.Now().Add(-time.Minute), Attempts: 1})
	q := openTest(t, dir)
	except := Except{Routes: []string{"smtp:d0.example"}}
	found := 0
	for claims := 0; found < 297; claims++ { // 99 domains
		items, next, err := q.Claim(ctx, time.Now(), 100, except)
		if err != nil || claims > backlog/walkMax+20 || len(items) == 0 && next.After(time.Now()) {
			t.Fatalf("%d found after %d claims, next %v, %v", found, claims, next, err)
		}
		found += len(items)
	}
	if items, next, err := q.Claim(ctx, time.Now(), 100, except); len(items) != 0 || !next.After(time.Now()) || err != nil {
		t.Errorf("%d more, next %v, %v", len(items), next, err)
	}
	commit(t, q, draft(q, 1, "a"))
	if items, _, err := q.Claim(ctx, time.Now(), 100, except); len(items) != 1 || err != nil {
		t.Errorf("fresh mail behind the backlog: %d, %v", len(items), err)
	}
	q.Look()
	last := ID(0)
	for n := 0; n < 1000; { // the backlog has its turn, oldest first
		items, _, err := q.Claim(ctx, time.Now(), 100, Except{})
		if err != nil || len(items) == 0 {
			t.Fatalf("%d of the backlog, then %v", n, err)
		}
		for _, it := range items {
			if n++; it.ID <= last {
				t.Fatalf("%s after %s", it.ID, last)
			}
			last = it.ID
		}
	}
}

// OUT-013: the time of a Claim does not grow with what is left out.
func TestClaimDoubles(t *testing.T) {
	doubling.Check(t, "Claim beside a backlog", 20_000, func(n int) func() {
		q := filled(t, queuetest.Mail{Items: n, Due: time.Now().Add(-time.Hour), Attempts: 1})
		return func() {
			q.Look()
			if _, _, err := q.Claim(ctx, time.Now(), 100, Except{Routes: []string{"smtp:d0.example"}}); err != nil {
				t.Error(err)
			}
		}
	})
}

// OUT-023: after an outage everything is due at once. What is fresh goes first, and
// what was tried is not kept waiting for ever by it.
func TestFreshBesideRetries(t *testing.T) {
	q := filled(t, queuetest.Mail{Items: 1000, Domains: 10, Due: time.Now().Add(-time.Hour), Attempts: 1})
	fresh, retries := 0, 0
	for range 4 {
		for range 200 {
			commit(t, q, draft(q, 1, "a"))
		}
		q.Look()
		items, _, err := q.Claim(ctx, time.Now(), 100, Except{})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if it.Recipients[0].Attempts == 0 {
				fresh++
			} else {
				retries++
			}
		}
	}
	if fresh < 250 || retries < 50 {
		t.Errorf("%d fresh, %d tried before", fresh, retries)
	}
}

// A route whose oldest recipients are all under way, more than a search reads, neither
// hides those behind them nor keeps the scheduler spinning.
func TestClaimBehindManyLeased(t *testing.T) {
	const all = 3 * walkMax
	q := filled(t, queuetest.Mail{Items: all, Due: time.Now().Add(-time.Hour), Attempts: 1})
	var taken []*Item
	for len(taken) < all-1 {
		items, _, err := q.Claim(ctx, time.Now(), all-1-len(taken), Except{})
		if err != nil || len(items) == 0 {
			t.Fatalf("%d taken, %v", len(taken), err)
		}
		taken = append(taken, items...)
	}
	q.mu.Lock()
	q.passedRoute("smtp:d0.example")
	q.mu.Unlock()
	q.Look()
	if items, _, err := q.Claim(ctx, time.Now(), 10, Except{}); len(items) != 1 || err != nil {
		t.Errorf("%d behind those that are leased, %v", len(items), err)
	}
	q.Look()
	if items, next, err := q.Claim(ctx, time.Now(), 10, Except{}); len(items) != 0 || !next.After(time.Now()) || err != nil {
		t.Errorf("%d, next %v, %v", len(items), next, err)
	}
}
