package mailbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// TestRest: an account stays open for a while after its last user, not too many
// do, and one whose index is deleted meanwhile gets another.
func TestRest(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, linger time.Duration) *fixture {
		f := &fixture{t: t, store: New(vfs.OS{}, event.Discard), owner: Owner{Address: "a@example.org", Home: t.TempDir()}}
		f.store.linger = linger
		f.reopen()
		f.append("INBOX", "one", Seen)
		t.Cleanup(func() { f.store.Close() })
		return f
	}
	t.Run("the same index again", func(t *testing.T) {
		f := start(t, time.Hour)
		first := f.idx
		f.shut()
		f.reopen()
		if f.idx != first || f.store.resting != 0 {
			t.Fatal("opened anew", f.store.resting)
		}
		f.shut()
		must(t, f.store.Close())
		if s, _, err := readState(vfs.OS{}, f.root); err != nil || s.Open {
			t.Fatal("not closed with the store:", s, err)
		}
	})
	t.Run("closed in the end", func(t *testing.T) {
		f := start(t, time.Millisecond)
		f.shut()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			f.store.mu.Lock()
			open := len(f.store.accounts)
			f.store.mu.Unlock()
			if open == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("still open")
			}
		}
		f.reopen()
		f.shut()
	})
	t.Run("IMAP-019 index deleted", func(t *testing.T) {
		f := start(t, time.Hour)
		before := f.status("INBOX")
		f.shut()
		f.dropIndex()
		f.reopen()
		if now := f.status("INBOX"); now.Messages != 1 || now.UIDValidity != before.UIDValidity || now.UIDNext != before.UIDNext {
			t.Fatal(before, now)
		}
		if _, err := os.Stat(filepath.Join(f.owner.Home, "index.db")); err != nil {
			t.Fatal(err)
		}
		f.shut()
	})
	t.Run("not too many", func(t *testing.T) {
		s := New(vfs.OS{}, event.Discard)
		s.linger = time.Hour
		t.Cleanup(func() { s.Close() })
		s.resting = maxResting
		a, err := s.Open(bg, Owner{Home: t.TempDir()})
		must(t, err)
		must(t, a.Close())
		if len(s.accounts) != 0 {
			t.Fatal("one too many rests")
		}
	})
}
