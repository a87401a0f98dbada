package queue

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// moment is what is on disk after a step, and what a queue opened on it must hold.
type moment struct {
	step  string
	log   int64 // the length of the write-ahead log
	files map[string][]byte
	state string
}

// FLT-001, FLT-002, INV-02, INV-04, INV-30: a crash at any write of a commit, a settlement with
// what it causes, or an order leaves what was before it or what is after it, with all
// bytes, and nothing in between. SQLite appends pages to its log and flushes them with
// the commit; so each prefix of the log, cut at a page or within one, is what a crash
// may leave, and what was answered is in every prefix from then on.
func TestCrashAtEveryWrite(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	q.background.Wait()
	var moments []moment
	after := func(step string) {
		for i := 0; i < 1000; i++ { // the background is part of the step
			q.mu.Lock()
			busy := q.reaping || len(q.removed)+len(q.fresh.shelving) > 0
			q.mu.Unlock()
			if !busy {
				break
			}
			time.Sleep(time.Millisecond)
		}
		moments = append(moments, record(t, dir, step, q))
	}
	after("open")
	someSteps(t, q, after)
	for i := 1; i < len(moments); i++ {
		before, now := moments[i-1], moments[i]
		for cut := before.log; cut <= now.log; cut += walFrame / 2 {
			want := []string{before.state}
			if cut == now.log {
				want = []string{now.state}
			} else if now.parts() {
				want = append(want, now.state)
			}
			checkClone(t, dir, before, now, cut, want)
		}
	}
}

// walFrame is a page of the log with its header, in bytes.
const walFrame = 4096 + 24

// parts tells that a step takes several transactions, of which the first shows.
func (m moment) parts() bool { return strings.HasPrefix(m.step, "delete") || m.step == "park" }

func record(t *testing.T, dir, step string, q *Queue) moment {
	t.Helper()
	st, err := os.Stat(filepath.Join(dir, "queue.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	m := moment{step: step, log: st.Size(), files: map[string][]byte{}, state: what(t, q)}
	names, _ := os.ReadDir(q.spoolDir)
	for _, e := range names {
		m.files[e.Name()], _ = os.ReadFile(filepath.Join(q.spoolDir, e.Name()))
	}
	return m
}

// someSteps leads letters through all that can happen to them.
func someSteps(t *testing.T, q *Queue, after func(string)) {
	now := time.Now()
	in := func(f Filter, do func(context.Context, Filter, ...Told) (Count, error), step string) {
		if n, err := do(ctx, f); err != nil || n.Recipients == 0 {
			t.Fatalf("%s: %+v, %v", step, n, err)
		}
		after(step)
	}
	a := commit(t, q, draft(q, 100, "a", "b"))
	after("commit")
	b := commit(t, q, draft(q, inlineMax+1, "c"))
	after("commit of a file")
	claim(t, q, now.Add(time.Second))
	settled(t, q, Settlement{Item: a.ID, Outcomes: []Outcome{{N: 1, Due: now.Add(-time.Minute), Reply: "later"}, {N: 2, Result: Staged}}})
	after("settle: deferred and staged")
	settled(t, q, Settlement{Item: a.ID, Outcomes: []Outcome{{N: 2, Result: Delivered}}})
	after("settle: landed")
	settled(t, q, Settlement{Item: b.ID, Outcomes: []Outcome{{N: 1, Result: Failed}}, Offspring: []Draft{draft(q, 50, "notice"), draft(q, inlineMax+1, "copy")}})
	after("settle: bounced, with notices")
	in(Filter{IDs: []ID{a.ID}}, q.Expire, "expire")
	in(Filter{IDs: []ID{a.ID}}, q.Hold, "hold")
	in(Filter{IDs: []ID{a.ID}}, func(ctx context.Context, f Filter, _ ...Told) (Count, error) {
		return q.Requeue(ctx, f, func(_ context.Context, _ *Item, r Recipient) (Recipient, error) {
			r.Address.Local = "elsewhere"
			return r, nil
		})
	}, "requeue")
	items := claim(t, q, now.Add(time.Second))
	q.Park(items...)
	after("park")
	in(Filter{Recipient: "notice@example.com"}, q.Delete, "delete")
	in(Filter{Recipient: "copy@example.com"}, q.Delete, "delete")
	c := commit(t, q, put(put(draft(q, 100, "x", "y", "z"), 1, "spam", "x@example.com", "s"), 3, "virus", "z@example.com", "s"))
	after("commit, two of three into quarantine")
	large := commit(t, q, put(draft(q, inlineMax+1, "w"), 1, "spam", "w@example.com", "s"))
	after("commit of a file into quarantine")
	over := func(n Count, err error) {
		if err != nil || n.Recipients != 1 {
			t.Fatalf("%+v, %v", n, err)
		}
	}
	over(q.FreeExhibits(ctx, ExhibitFilter{IDs: []ExhibitID{{c.ID, 1}}}, same))
	after("release from quarantine")
	over(q.DropExhibits(ctx, ExhibitFilter{Category: "virus"}))
	after("delete from quarantine")
	over(q.DropExhibits(ctx, ExhibitFilter{IDs: []ExhibitID{{Item: large.ID}}}))
	after("delete a file from quarantine")
	var all []Settlement
	for _, it := range claim(t, q, time.Now().Add(time.Second)) {
		end := Settlement{Item: it.ID}
		for _, r := range it.Recipients {
			end.Outcomes = append(end.Outcomes, Outcome{N: r.N, Result: Delivered})
		}
		all = append(all, end)
	}
	settled(t, q, all...)
	after("settle: delivered")
}

// checkClone opens what a crash would have left, twice: the clean-up is no step either.
func checkClone(t *testing.T, dir string, before, now moment, cut int64, want []string) {
	t.Helper()
	clone := t.TempDir()
	os.Mkdir(filepath.Join(clone, "queue"), 0o700)
	copyPart(t, filepath.Join(dir, "queue.db"), filepath.Join(clone, "queue.db"), -1)
	copyPart(t, filepath.Join(dir, "queue.db-wal"), filepath.Join(clone, "queue.db-wal"), cut)
	for _, files := range []map[string][]byte{before.files, now.files} {
		for name, text := range files {
			os.WriteFile(filepath.Join(clone, "queue", name), text, 0o600)
		}
	}
	for range 2 {
		q, err := Open(clone)
		if err != nil {
			t.Fatal(err)
		}
		got := what(t, q)
		sound := got == want[0] || got == want[len(want)-1]
		if !sound {
			t.Errorf("after %q, %d bytes into %q:\n%s\nwant %q", before.step, cut-before.log, now.step, got, want)
		}
		if _, err := q.Check(ctx, func(d Damage) { t.Errorf("%d bytes into %q: %+v", cut-before.log, now.step, d) }); err != nil {
			t.Error(err)
		}
		q.background.Wait()
		if left, items := spooled(t, q); fmt.Sprint(left) != fmt.Sprint(items) {
			t.Errorf("%d bytes into %q: files %v of items %v", cut-before.log, now.step, left, items)
		}
		q.Close()
		if t.Failed() {
			t.FailNow()
		}
	}
}

// spooled gives the files there are, and the items whose bytes should be in one.
func spooled(t *testing.T, q *Queue) (files, items []string) {
	t.Helper()
	names, err := os.ReadDir(q.spoolDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		files = append(files, e.Name())
	}
	for _, shelf := range []Shelf{ShelfAny, ShelfQuarantine} {
		q.Select(ctx, Filter{Shelf: shelf}, func(it *Item) bool {
			if it.Size > inlineMax {
				items = append(items, it.ID.String())
			}
			return true
		})
	}
	return files, items
}

func copyPart(t *testing.T, from, to string, n int64) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if n < 0 {
		_, err = io.Copy(out, in)
	} else {
		_, err = io.CopyN(out, in, n)
	}
	if err != nil {
		t.Fatal(err)
	}
}
