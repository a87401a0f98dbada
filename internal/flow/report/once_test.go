package report

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/store/db"
	"facteur/internal/store/queue"
	"facteur/internal/store/report"
)

// walFrame is a page of SQLite's log with its header, in bytes.
const walFrame = 4096 + 24

// logSize is how long the log of a database is.
func logSize(t *testing.T, dir, name string) int64 {
	t.Helper()
	st, err := os.Stat(filepath.Join(dir, name+"-wal"))
	check(t, err)
	return st.Size()
}

// killed copies a directory as a kill leaves it: with that much of the two logs.
func killed(t *testing.T, dir string, notes, letters int64) string {
	t.Helper()
	to := t.TempDir()
	check(t, os.CopyFS(to, os.DirFS(dir)))
	for name, size := range map[string]int64{"facteur.db-wal": notes, "queue.db-wal": letters} {
		check(t, os.Truncate(filepath.Join(to, name), size))
	}
	for _, name := range []string{"facteur.db-shm", "queue.db-shm"} {
		check(t, os.Remove(filepath.Join(to, name)))
	}
	return to
}

// during calls a function when a letter is durable, and nothing is noted yet.
func (n *dusk) during(fn func()) {
	draft := n.Draft
	n.Draft = func(text []byte, it *queue.Item) (queue.Draft, error) {
		d, err := draft(text, it)
		tell := d.Announce
		d.Announce = func() { tell(); fn() }
		return d, err
	}
}

// onceLeft fails unless one report was sent, and there is one letter.
func (n *dusk) onceLeft() {
	n.t.Helper()
	if _, err := n.Send(context.Background(), false); err != nil {
		n.t.Error(err)
	}
	got := n.stages(report.DMARC)["mailto:a@sender.example"]
	if letters := n.queued(); len(letters) != 1 || !strings.HasPrefix(got, "sent: as ") {
		n.t.Errorf("%d letters, %q", len(letters), got)
	}
}

// A kill at any write while a report is sent leaves it sent once: each length that the two
// logs can have together is tried. SQLite appends to them; what was answered is in them.
func TestOnceOverAKill(t *testing.T) {
	dir, zone := t.TempDir(), sender("mailto:a@sender.example")
	n := newDusk(t, dir, zone)
	n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
	check(t, n.Store.Write(t.Context()))
	n.tomorrow()
	start, empty, begun := logSize(t, dir, "facteur.db"), logSize(t, dir, "queue.db"), int64(0)
	n.during(func() { begun = logSize(t, dir, "facteur.db") })
	n.onceLeft()
	sent, full := logSize(t, dir, "facteur.db"), logSize(t, dir, "queue.db")
	if !(start < begun && begun < sent && empty < full) {
		t.Fatalf("the steps are not in the logs: %d %d %d, %d %d", start, begun, sent, empty, full)
	}
	type state struct{ notes, letters int64 }
	var all []state
	for notes := start; notes < begun; notes += walFrame {
		all = append(all, state{notes, empty})
	}
	for letters := empty; letters < full; letters += walFrame {
		all = append(all, state{begun, letters})
	}
	for notes := begun; notes <= sent; notes += walFrame {
		all = append(all, state{notes, full})
	}
	for _, s := range all {
		t.Run(fmt.Sprintf("notes %d letters %d", (s.notes-start)/walFrame, (s.letters-empty)/walFrame), func(t *testing.T) {
			again := newDusk(t, killed(t, dir, s.notes, s.letters), zone)
			again.Recover(t.Context())
			again.tomorrow()
			again.onceLeft()
			again.onceLeft()
		})
	}
}

// Whoever ordered it may go, and the disk may fail after the letter is durable: it does not
// leave twice, nor is it forgotten.
func TestOnceOverTroubles(t *testing.T) {
	start := func(t *testing.T) *dusk {
		n := newDusk(t, t.TempDir(), sender("mailto:a@sender.example"))
		n.come("192.0.2.1", "b@sender.example", "a@sender.example", true)
		n.tomorrow()
		return n
	}
	t.Run("the order is given up", func(t *testing.T) {
		n := start(t)
		ctx, stop := context.WithCancel(t.Context())
		n.during(stop)
		n.Send(ctx, false) //nolint:errcheck // it was given up
		n.onceLeft()
	})
	t.Run("the disk fails after it", func(t *testing.T) {
		n := start(t)
		n.during(func() { n.exec("ALTER TABLE report_sending RENAME TO away") })
		if _, err := n.Send(t.Context(), false); err == nil {
			t.Fatal("nothing fails")
		}
		if _, err := n.Send(t.Context(), false); err == nil { // still
			t.Fatal("nothing fails")
		}
		n.exec("ALTER TABLE away RENAME TO report_sending")
		n.onceLeft()
	})
	t.Run("the disk fails before it", func(t *testing.T) {
		n := start(t)
		n.exec("ALTER TABLE report_sending RENAME TO away")
		if _, err := n.Send(t.Context(), false); err == nil || len(n.queued()) != 0 {
			t.Fatalf("a letter leaves that nobody noted: %v", err)
		}
		n.Recover(t.Context()) // says so, and ends
		n.exec("ALTER TABLE away RENAME TO report_sending")
		n.onceLeft()
	})
}

func (n *dusk) exec(stmt string) {
	n.t.Helper()
	check(n.t, n.files.Write(context.Background(), func(tx *db.Tx) error { _, err := tx.Exec(stmt); return err }))
}
