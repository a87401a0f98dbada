package mailbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// large is an account whose INBOX is too large for its list to be written each time that
// sessions wait. Timers of its store do nothing.
func large(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: New(vfs.OS{}, event.Discard), owner: Owner{Address: "a@example.org", Home: t.TempDir()}}
	f.store.linger, f.store.wake = time.Hour, time.Hour
	fill(t, f.owner.Home, maxListedAsleep+1)
	f.reopen()
	t.Cleanup(func() { f.store.Close() })
	return f
}

// says is what facteur-uids says of INBOX.
func (f *fixture) says() (open, listed bool) {
	f.t.Helper()
	s, found, err := readState(vfs.OS{}, f.root)
	if err != nil || !found {
		f.t.Fatal(found, err)
	}
	_, listed = s.Boxes[""]
	return s.Open, listed
}

// noIndex checks that nothing has put a file where the index was.
func (f *fixture) noIndex() {
	f.t.Helper()
	if _, err := os.Stat(filepath.Join(f.owner.Home, "index.db")); !errors.Is(err, fs.ErrNotExist) {
		f.t.Error("somebody made an index.db:", err)
	}
}

// same checks that INBOX is named as before.
func (f *fixture) same(before Status) {
	f.t.Helper()
	if s := f.status("INBOX"); s.UIDValidity != before.UIDValidity || s.UIDNext != before.UIDNext || s.Messages != before.Messages {
		f.t.Errorf("%+v, was %+v", s, before)
	}
}

// TestIndexDeletedAtRest: INV-13: whenever facteur-uids says that nobody uses the account,
// the index can be deleted, and UIDs and UIDVALIDITY stay, however large the mailbox is.
func TestIndexDeletedAtRest(t *testing.T) {
	t.Parallel()
	t.Run("before the account is closed", func(t *testing.T) {
		f := large(t)
		before := f.status("INBOX")
		f.shut()
		f.doze() // nobody uses it, but it is kept for who comes back
		if open, listed := f.says(); open || !listed {
			t.Errorf("open %v, listed %v", open, listed)
		}
		f.dropIndex()
		f.store.rested(f.Account)
		f.noIndex()
		f.reopen()
		f.same(before)
		f.shut()
	})
	t.Run("while a session waits", func(t *testing.T) {
		f := large(t)
		v := f.selectBox("INBOX")
		f.doze()
		if open, _ := f.says(); !open {
			t.Error("the list is not written, and the index may be deleted")
		}
		f.append("INBOX", "one more", 0)
		before := f.status("INBOX")
		f.doze()
		must(t, v.Close())
		f.shut()
		f.store.rested(f.Account)
		if open, listed := f.says(); open || !listed {
			t.Errorf("open %v, listed %v", open, listed)
		}
		f.dropIndex()
		f.reopen()
		f.same(before)
		f.shut()
	})
	t.Run("killed while a session waits", func(t *testing.T) {
		f := large(t)
		before := f.status("INBOX")
		f.doze()
		f.store = newStore(vfs.OS{})
		f.reopen()
		before.UIDNext += uncleanGap
		f.same(before)
		f.shut()
	})
	t.Run("seen only", func(t *testing.T) { // until the first change nothing is written
		f := rested(t)
		before := f.status("INBOX")
		f.dropIndex()
		if _, _, err := f.Append(bg, "INBOX", strings.NewReader(letterText("2")), 0, AppendOptions{}); !errors.Is(err, errGone) {
			t.Error("written into an index that was deleted:", err)
		}
		f.same(before)
		f.append("INBOX", "2", 0)
		f.shut()
	})
	t.Run("another connection", func(t *testing.T) {
		f := rested(t)
		before := f.status("INBOX")
		f.dropIndex()
		f.idx.db.SetMaxIdleConns(0)
		if err := f.Check(); err == nil {
			t.Error("an index where there is none")
		}
		f.noIndex()
		f.same(before)
		f.shut()
	})
	t.Run("while it is closed", func(t *testing.T) {
		f := rested(t)
		before := f.status("INBOX")
		f.doze()
		f.dropIndex()
		must(t, f.Account.Close())
		f.noIndex()
		f.reopen()
		f.same(before)
		f.shut()
	})
}

// rested is an account with a letter whose index was closed as it should be.
func rested(t *testing.T) *fixture {
	t.Helper()
	f := open(t, t.TempDir())
	f.append("INBOX", "1", 0)
	f.shut()
	f.store.clock(func() time.Time { return time.Now().Add(time.Hour) })
	f.reopen()
	return f
}

// TestIndexMaking: what was not made to its end has not the name of an index, and is in
// nobody's way; where an older version left such a file, UIDVALIDITY stays all the same.
func TestIndexMaking(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(path string) error{
		"nothing":       func(string) error { return nil },
		"a part":        func(path string) error { return os.WriteFile(path+"-making", []byte("SQLite format 3"), 0o600) },
		"a part of old": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			f := rested(t)
			before := f.status("INBOX")
			must(t, f.Account.Close())
			f.dropIndex()
			path := filepath.Join(f.owner.Home, "index.db")
			must(t, leave(path))
			f.reopen()
			f.same(before)
			f.shut()
			left, err := filepath.Glob(path + "?*")
			if must(t, err); len(left) > 0 {
				t.Error(left, "are left")
			}
		})
	}
}
