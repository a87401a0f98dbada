package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// doze closes the index as the timer does.
func (f *fixture) doze() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	must(f.t, f.sleep())
	if !f.asleep {
		f.t.Fatal("awake")
	}
}

// TestSleep: while sessions only wait, the index is closed and letters are not in
// memory; whatever they do next works as if nothing had been.
func TestSleep(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*fixture, *View) {
		f := open(t, t.TempDir())
		for i := range 5 {
			f.append("INBOX", fmt.Sprint(i+1), SystemFlags(i), "Red")
		}
		v := f.selectBox("INBOX")
		f.doze()
		if v.box.letters != nil || v.Len() != 5 {
			t.Fatal("letters stay in memory")
		}
		return f, v
	}
	t.Run("reading", func(t *testing.T) {
		f, v := start(t)
		if read(t, v, 3) != letterText("3") {
			t.Fatal("another letter")
		}
		f.doze()
		if l := v.Letter(2); l.UID != 2 || l.Flags.System != Seen || l.Flags.Keywords[0] != "Red" {
			t.Fatalf("%+v", l)
		}
		f.doze()
		n := 0
		for _, l := range v.Letters(all(v)) {
			if n++; l.Size == 0 {
				t.Fatalf("%+v", l)
			}
		}
		f.shut()
	})
	t.Run("changes", func(t *testing.T) {
		f, v := start(t)
		w := f.selectBox("INBOX")
		f.doze()
		_, err := v.Store(bg, []uint32{1, 2}, FlagsAdd, Flags{System: Deleted})
		must(t, err)
		f.doze()
		must(t, v.Expunge(bg, []uint32{1}))
		f.doze()
		if l := w.Letter(1); l.UID != 1 || l.Size == 0 {
			t.Fatalf("%+v: forgotten before it was told", l)
		}
		f.append("INBOX", "6", 0)
		f.doze()
		if c := f.poll(w); len(c) != 3 || c[0].UID != 1 || c[1].Kind != Arrived || c[2].UID != 2 {
			t.Fatalf("%+v", c)
		}
		f.doze()
		f.shut()
	})
	t.Run("IMAP-018 facteur-uids says that all is well", func(t *testing.T) {
		f, _ := start(t)
		s, found, err := readState(vfs.OS{}, f.root)
		if err != nil || !found || s.Open || s.Boxes[""].UIDNext != 6 {
			t.Fatal(s, found, err)
		}
		// What a power cut leaves now, and the index is lost as well.
		home := t.TempDir()
		must(t, os.CopyFS(filepath.Join(home, "Maildir"), os.DirFS(f.root)))
		after := open(t, home)
		if s := after.status("INBOX"); s.UIDNext != 6 || s.Messages != 5 || s.UIDValidity != f.status("INBOX").UIDValidity {
			t.Fatalf("%+v", s)
		}
		after.shut()
		f.shut()
	})
	t.Run("delivery wakes", func(t *testing.T) {
		f, v := start(t)
		f.drop("new/100.a.h,S=6,W=6", "a\r\nb\r\n")
		f.store.Notify(f.owner.Home)
		select {
		case <-v.Wake():
		case <-time.After(20 * time.Second):
			t.Fatal("not woken")
		}
		f.poll(v)
		if v.Len() != 6 {
			t.Fatal(v.Len())
		}
		f.shut()
	})
	t.Run("IMAP-019 index deleted meanwhile", func(t *testing.T) {
		f, v := start(t)
		before := f.status("INBOX")
		f.doze()
		must(t, os.Remove(filepath.Join(f.owner.Home, "index.db")))
		if _, err := v.Poll(bg, true); !errors.Is(err, ErrMailboxGone) {
			t.Fatal(err)
		}
		if s := f.status("INBOX"); s.UIDNext != before.UIDNext || s.UIDValidity != before.UIDValidity {
			t.Fatalf("%+v, was %+v", s, before)
		}
		must(t, v.Close())
		f.shut()
	})
	t.Run("by itself", func(t *testing.T) {
		f := &fixture{t: t, store: New(vfs.OS{}, event.Discard), owner: Owner{Address: "a@example.org", Home: t.TempDir()}}
		f.store.wake = 20 * time.Millisecond
		f.reopen()
		t.Cleanup(func() { f.store.Close() })
		v := f.selectBox("INBOX")
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			f.mu.Lock()
			done := f.asleep
			f.mu.Unlock()
			if done {
				break
			}
			if time.Now().After(end) {
				t.Fatal("still open")
			}
		}
		f.poll(v)
		must(t, v.Close())
		f.shut()
	})
	t.Run("not too many", func(t *testing.T) {
		s := newStore(vfs.OS{})
		s.maxAwake = 3
		t.Cleanup(func() { s.Close() })
		var views []*View
		for i := range 8 {
			a, err := s.Open(bg, Owner{Home: filepath.Join(t.TempDir(), fmt.Sprint(i))})
			must(t, err)
			v, err := a.Select(bg, "INBOX", false)
			must(t, err)
			views = append(views, v)
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			open := 0
			for _, v := range views {
				v.acct.mu.Lock()
				if !v.acct.asleep {
					open++
				}
				v.acct.mu.Unlock()
			}
			if open <= 3 {
				break
			}
			if time.Now().After(end) {
				t.Fatal(open, "are open")
			}
		}
		for _, v := range views {
			_, _, err := v.acct.Append(bg, "INBOX", strings.NewReader(letterText("x")), 0, AppendOptions{})
			must(t, err)
			if c, err := v.Poll(bg, true); err != nil || len(c) != 1 {
				t.Fatal(c, err)
			}
			must(t, v.Close())
			must(t, v.acct.Check())
			must(t, v.acct.Close())
		}
	})
}
