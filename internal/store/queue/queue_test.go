package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"facteur/internal/mail/address"
)

var ctx = context.Background()

func openTest(t testing.TB, dir string) *Queue {
	t.Helper()
	q, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func draft(q *Queue, size int, to ...string) Draft {
	s := q.Spool()
	s.Write(bytes.Repeat([]byte("x"), size))
	it := &Item{ID: q.NextID(), Sender: address.Address{Local: "s@t", Domain: "example.org"},
		Origin: Origin{Account: "alice@example.org", ClientAddr: "192.0.2.1", Helo: "h", Protocol: "ESMTPSA"}, UTF8: true}
	for _, a := range to {
		it.Recipients = append(it.Recipients, Recipient{Address: address.Address{Local: a, Domain: "example.com"},
			Original: address.Address{Local: a, Domain: "example.com"}, Route: "smtp:example.com"})
	}
	return Draft{Item: it, Spool: s}
}

func commit(t testing.TB, q *Queue, d Draft) *Item {
	t.Helper()
	if err := q.Commit(ctx, d); err != nil {
		t.Fatal(err)
	}
	return d.Item
}

func claim(t testing.TB, q *Queue, now time.Time) []*Item {
	t.Helper()
	items, _, err := q.Claim(ctx, now, 100, Except{})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func settled(t testing.TB, q *Queue, s ...Settlement) []ID {
	t.Helper()
	ended, err := q.Settle(ctx, s...)
	if err != nil {
		t.Fatal(err)
	}
	return ended
}

func depth(t testing.TB, q *Queue, items, recipients int) {
	t.Helper()
	i, r, err := q.Depth(ctx)
	if err != nil || i != items || r != recipients {
		t.Errorf("depth %d items, %d recipients, %v; want %d, %d", i, r, err, items, recipients)
	}
}

// TestEverythingComesBack: what was committed is the same after a restart, inline
// and in a file, and IDs go on rising.
func TestEverythingComesBack(t *testing.T) {
	for _, size := range []int{0, 10, inlineMax, inlineMax + 1, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			q := openTest(t, dir)
			want := commit(t, q, draft(q, size, "a", "b"))
			q.Close()
			q = openTest(t, dir)
			items := claim(t, q, time.Now())
			if len(items) != 1 {
				t.Fatalf("%d items", len(items))
			}
			got := items[0]
			if got.ID != want.ID || got.Sender != want.Sender || got.Origin != want.Origin || !got.UTF8 || got.Body8Bit ||
				got.Size != int64(size) || len(got.Recipients) != 2 || got.Recipients[1].Address != want.Recipients[1].Address {
				t.Errorf("%+v\nwant %+v", got, want)
			}
			body, err := q.Body(ctx, got)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				r, _ := body.Open()
				b, _ := io.ReadAll(r)
				r.Close()
				if !bytes.Equal(b, bytes.Repeat([]byte("x"), size)) {
					t.Errorf("%d bytes came back", len(b))
				}
			}
			if next := q.NextID(); next <= want.ID {
				t.Errorf("ID %v after %v", next, want.ID)
			}
		})
	}
}

func TestIDsRiseEvenWhenTheClockDoesNot(t *testing.T) {
	var g ids
	a := g.next(time.Unix(2e9, 0))
	if b := g.next(time.Unix(1e9, 0)); b <= a {
		t.Errorf("FLT-014: %v after %v", b, a)
	}
}

func TestAnIDIsNotUsedAgainAfterItsItemEnded(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	q.ids.last = time.Now().Add(24 * time.Hour).UnixMicro() // the clock was a day ahead
	it := commit(t, q, draft(q, 1, "a"))
	settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Result: Delivered}}})
	q.Close()
	if q = openTest(t, dir); q.NextID() <= it.ID {
		t.Error("FLT-014: an ID came again")
	}
}

func TestLifeOfARecipient(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	it := commit(t, q, draft(q, inlineMax+1, "a", "b", "c"))
	now := time.Now()
	if items := claim(t, q, now); len(items) != 1 || len(items[0].Recipients) != 3 {
		t.Fatalf("claimed %v", items)
	}
	if again := claim(t, q, now); len(again) != 0 {
		t.Fatalf("claimed twice: %v", again[0])
	}
	due := now.Add(time.Hour)
	ended := settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{
		{N: 1, Result: Delivered}, {N: 2, Result: Staged}, {N: 3, Due: due, Reply: "later"}}})
	if len(ended) != 0 {
		t.Error("ended too early")
	}
	depth(t, q, 1, 2)
	if early := claim(t, q, now.Add(59*time.Minute)); len(early) != 0 {
		t.Error("claimed before it was due")
	}
	q.Close() // as a crash would
	q = openTest(t, dir)
	landings, err := q.Landings(ctx)
	if err != nil || len(landings) != 1 || landings[0].Recipients[0].N != 2 {
		t.Fatalf("landings: %v %v", landings, err)
	}
	late := claim(t, q, due.Add(time.Second))
	if len(late) != 1 || len(late[0].Recipients) != 1 || late[0].Recipients[0].Attempts != 1 || late[0].Recipients[0].LastReply != "later" {
		t.Fatalf("%+v", late)
	}
	ended = settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 2, Result: Delivered}, {N: 3, Result: Failed}}})
	if len(ended) != 1 || ended[0] != it.ID {
		t.Errorf("ended %v", ended)
	}
	depth(t, q, 0, 0)
	if files, _ := os.ReadDir(filepath.Join(dir, "queue")); len(files) != 0 {
		t.Errorf("files left: %v", files)
	}
}

// TestNoticeCommitsWithItsCause: INV-04.
func TestNoticeCommitsWithItsCause(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	it := commit(t, q, draft(q, 1, "a"))
	claim(t, q, time.Now())
	notice := draft(q, 5, "n")
	notice.Item.ID = it.ID // can't be: the insertion fails
	if _, err := q.Settle(ctx, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Result: Failed}}, Offspring: []Draft{notice}}); err == nil {
		t.Fatal("a duplicate ID was taken")
	}
	depth(t, q, 1, 1)
	if again := claim(t, q, time.Now()); len(again) != 0 {
		t.Error("the lease was lost with the failed settlement")
	}
	notice = draft(q, 5, "n")
	settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Result: Failed}}, Offspring: []Draft{notice}})
	if got := claim(t, q, time.Now()); len(got) != 1 || got[0].ID != notice.Item.ID {
		t.Errorf("claimed %v", got)
	}
}

// FLT-022: orphans, however many, are removed beside the mail, and strangers are not.
func TestOrphansAreRemovedAndStrangersAreNot(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	it := commit(t, q, draft(q, inlineMax+1, "a"))
	q.Close()
	spool := filepath.Join(dir, "queue")
	for _, name := range []string{"incoming-123", ID(42).String(), "README"} {
		os.WriteFile(filepath.Join(spool, name), []byte("x"), 0o600)
	}
	for n := range 2000 {
		os.WriteFile(filepath.Join(spool, fmt.Sprintf("incoming-x%d", n)), nil, 0o600)
	}
	q = openTest(t, dir)
	fresh := commit(t, q, draft(q, inlineMax+1, "b"))
	q.background.Wait()
	if err := os.Remove(bodyPath(spool, fresh.ID)); err != nil {
		t.Error("what came meanwhile lost its bytes:", err)
	}
	var left []string
	files, _ := os.ReadDir(spool)
	for _, f := range files {
		left = append(left, f.Name())
	}
	if fmt.Sprint(left) != fmt.Sprint([]string{it.ID.String(), "README"}) {
		t.Errorf("left: %v", left)
	}
}

func TestShowAndList(t *testing.T) {
	q := openTest(t, t.TempDir())
	a, b := commit(t, q, draft(q, 1, "a", "b")), commit(t, q, draft(q, 2, "c"))
	var seen []string
	if err := q.List(ctx, func(it *Item) bool {
		seen = append(seen, fmt.Sprint(it.ID, len(it.Recipients)))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{fmt.Sprint(a.ID, 2), fmt.Sprint(b.ID, 1)}; fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", seen, want)
	}
	for range pageItems {
		commit(t, q, draft(q, 1, "x", "y"))
	}
	n, stopped := 0, 0
	last := ID(0)
	q.List(ctx, func(it *Item) bool {
		if n++; it.ID <= last || n > 2 && len(it.Recipients) != 2 {
			t.Errorf("%v with %d recipients after %v", it.ID, len(it.Recipients), last)
		}
		last = it.ID
		return true
	})
	q.List(ctx, func(it *Item) bool { stopped++; return stopped < 3 })
	if n != pageItems+2 || stopped != 3 {
		t.Errorf("%d items listed, %d until told to stop", n, stopped)
	}
	if it, body, err := q.Show(ctx, b.ID); err != nil || it.ID != b.ID || body.Size() != 2 {
		t.Errorf("%v %v", it, err)
	}
	if _, _, err := q.Show(ctx, 7); !errors.Is(err, ErrNoItem) {
		t.Error(err)
	}
}

// TestManyHandsNeverShareARecipient: claims and settlements at once, each
// recipient is handed out until it is settled, and never to two.
func TestManyHandsNeverShareARecipient(t *testing.T) {
	q := openTest(t, t.TempDir())
	const total = 400
	var mu sync.Mutex
	held := make(map[lease]bool)
	ended := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range total / 4 {
				if err := q.Commit(ctx, draft(q, 100, "a", "b")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				items, _, err := q.Claim(ctx, time.Now(), 7, Except{})
				if err != nil {
					t.Error(err)
				}
				for _, it := range items {
					s := Settlement{Item: it.ID}
					mu.Lock()
					for i, r := range it.Recipients {
						l := lease{it.ID, r.N}
						if held[l] {
							t.Errorf("%v handed out twice", l)
						}
						held[l] = true
						o := Outcome{N: r.N, Result: Delivered}
						if r.Attempts == 0 && (i+n+w)%3 == 0 {
							o = Outcome{N: r.N, Due: time.Now()}
						}
						s.Outcomes = append(s.Outcomes, o)
					}
					for _, r := range it.Recipients {
						delete(held, lease{it.ID, r.N}) // just before it is given back
					}
					mu.Unlock()
					gone, err := q.Settle(ctx, s)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					ended += len(gone)
					mu.Unlock()
				}
				mu.Lock()
				stop := ended == total
				mu.Unlock()
				if stop || t.Failed() {
					return
				}
				if len(items) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	depth(t, q, 0, 0)
}

func BenchmarkCommit100Callers10KB(b *testing.B) {
	q := openTest(b, b.TempDir())
	body := bytes.Repeat([]byte("x"), 10<<10)
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d := draft(q, 0, "a")
			d.Spool.Write(body)
			if err := q.Commit(ctx, d); err != nil {
				b.Error(err)
			}
			q.takeFresh(1)
		}
	})
}

// TestLeftOut: a route with a backlog hides nothing else, and comes back when the
// next Claim does not leave it out.
func TestLeftOut(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	for range 20 {
		commit(t, q, draft(q, 1, "a"))
	}
	other := draft(q, 1, "b")
	other.Item.Recipients[0].Route = "mailbox:b@example.org"
	commit(t, q, other)
	q.Close()
	q = openTest(t, dir)
	for _, except := range []Except{{Routes: []string{"smtp:example.com"}}, {Kind: "smtp:"}} {
		items, next, err := q.Claim(ctx, time.Now(), 10, except)
		if err != nil || len(items) != 1 || items[0].ID != other.Item.ID || !next.After(time.Now()) {
			t.Fatalf("%+v: %d items, next %v, %v", except, len(items), next, err)
		}
		q.Park(items...)
		if more, _, _ := q.Claim(ctx, time.Now(), 10, except); len(more) != 0 {
			t.Error("parked and handed out without a Look")
		}
		q.Look()
	}
	if items := claim(t, q, time.Now()); len(items) != 21 {
		t.Errorf("%d items when nothing is left out", len(items))
	}
}

// TestCommitIsNotClaimedTwice: while a commit is on its way the recipients are
// leased, so that a search which sees the rows first does not hand them out, and
// a failed commit leaves neither lease nor file.
func TestCommitIsNotClaimedTwice(t *testing.T) {
	q := openTest(t, t.TempDir())
	d := draft(q, inlineMax+1, "a")
	d.Announce = func() { // durable, and not yet at hand
		q.Look()
		if items := claim(t, q, time.Now()); len(items) != 0 {
			t.Error("claimed before its commit was over")
		}
	}
	commit(t, q, d)
	if items := claim(t, q, time.Now()); len(items) != 1 {
		t.Errorf("%d items", len(items))
	}
	again := draft(q, inlineMax+1, "a")
	again.Item.Sender.Local = "second"
	_, err := q.db.Reader().Exec("CREATE TRIGGER refuse BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'no'); END")
	if err != nil {
		t.Fatal(err)
	}
	if q.Commit(ctx, again) == nil {
		t.Fatal("committed")
	}
	if q.Active(again.Item) {
		t.Error("a lease without a row")
	}
	if _, err := os.Stat(bodyPath(q.spoolDir, again.Item.ID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stays: %v", err)
	}
}
