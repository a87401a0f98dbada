package mailbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// IMAP-025, INV-12: what another program does in the midst of a change of ours hides
// behind the mtimes that the change leaves.
func TestBesideOwnChange(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, watch *watcher) (*func(), *fixture, *View) {
		other := new(func())
		f := &fixture{t: t, store: newStore(beside{meanwhile: other}), owner: Owner{Address: "a@example.org", Home: t.TempDir()}}
		f.store.watch = watch
		f.reopen()
		t.Cleanup(func() { f.store.Close() })
		f.append("INBOX", "one", Seen)
		f.append("INBOX", "two", Seen)
		v := f.selectBox("INBOX")
		time.Sleep(2 * settled)
		f.poll(v)
		return other, f, v
	}
	flag := func(t *testing.T, f *fixture, v *View, uid uint32) {
		_, err := v.Store(bg, []uint32{uid}, FlagsAdd, Flags{System: Flagged})
		must(t, err)
	}
	t.Run("a letter, and somebody selects", func(t *testing.T) {
		meanwhile, f, v := begin(t, nil)
		*meanwhile = func() { f.drop("new/100.a.h", letterText("theirs")) }
		flag(t, f, v, 1)
		if n := f.selectBox("INBOX").Len(); n != 3 {
			t.Errorf("%d letters", n)
		}
		f.shut()
	})
	t.Run("a letter, and somebody waits", func(t *testing.T) {
		meanwhile, f, v := begin(t, newWatcher())
		*meanwhile = func() { f.drop("new/100.a.h", letterText("theirs")) }
		flag(t, f, v, 1)
		for deadline := time.Now().Add(20 * time.Second); v.Len() < 3; f.poll(v) {
			select {
			case <-v.Wake():
			case <-time.After(time.Until(deadline)):
				t.Fatal("nobody was woken")
			}
		}
		f.shut()
	})
	t.Run("flags, and somebody goes on", func(t *testing.T) {
		meanwhile, f, v := begin(t, nil)
		other, err := filepath.Glob(filepath.Join(f.root, "cur", "*C000002*"))
		if err != nil || len(other) != 1 {
			t.Fatal(other, err)
		}
		*meanwhile = func() { must(t, os.Rename(other[0], other[0]+"T")) }
		flag(t, f, v, 1)
		for deadline := time.Now().Add(20 * time.Second); v.Letter(2).Flags.System&Deleted == 0; f.poll(v) {
			if time.Now().After(deadline) {
				t.Fatal("the flag was not seen")
			}
			time.Sleep(settled)
		}
		f.shut()
	})
	t.Run("flags of the letter itself", func(t *testing.T) {
		meanwhile, f, v := begin(t, nil)
		other, err := filepath.Glob(filepath.Join(f.root, "cur", "*C000002*"))
		if err != nil || len(other) != 1 {
			t.Fatal(other, err)
		}
		*meanwhile = func() { must(t, os.Rename(other[0], other[0]+"T")) }
		_, err = v.Store(bg, []uint32{1, 2}, FlagsAdd, Flags{System: Flagged})
		if f.poll(v); v.Letter(2).Flags.System != Seen|Deleted {
			t.Errorf("%v after %v", v.Letter(2).Flags, err)
		}
		f.shut()
	})
	t.Run("flags of a letter that moves", func(t *testing.T) {
		meanwhile, f, v := begin(t, nil)
		must(t, f.Create(bg, "Other"))
		other, err := filepath.Glob(filepath.Join(f.root, "cur", "*C000002*"))
		if err != nil || len(other) != 1 {
			t.Fatal(other, err)
		}
		*meanwhile = func() { must(t, os.Rename(other[0], other[0]+"T")) }
		_, _, err = v.Move(bg, []uint32{1, 2}, "Other")
		must(t, err)
		w := f.selectBox("Other")
		if got := w.Letter(2); got.Flags.System != Seen|Deleted || w.Len() != 2 {
			t.Errorf("%d letters, %+v", w.Len(), got)
		}
		f.shut()
	})
}
