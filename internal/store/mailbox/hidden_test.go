package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/vfs"
)

// beside is the real file system, where something else happens in the midst of
// the next rename of ours.
type beside struct {
	vfs.OS
	meanwhile *func()
}

func (b beside) Rename(from, to string) error {
	err := b.OS.Rename(from, to)
	if f := *b.meanwhile; f != nil {
		*b.meanwhile = nil
		f()
	}
	return err
}

// TestDeliveryBeside: a letter that is delivered while a session changes the
// mailbox is seen at once, and by who opens the account later.
func TestDeliveryBeside(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*fixture, *View, func()) {
		home := t.TempDir()
		meanwhile := func() {}
		f := &fixture{t: t, store: newStore(beside{meanwhile: &meanwhile}), owner: Owner{Address: "a@example.org", Home: home}}
		f.reopen()
		t.Cleanup(func() { f.store.Close() })
		for i := range 3 {
			f.append("INBOX", fmt.Sprint(i), Answered)
		}
		v := f.selectBox("INBOX")
		f.poll(v)
		meanwhile = func() { f.drop("new/100.x.h", letterText("beside")) }
		_, err := v.Store(bg, []uint32{1, 2, 3}, FlagsAdd, Flags{System: Seen})
		must(t, err)
		for len(v.Wake()) > 0 {
			<-v.Wake()
		}
		return f, v, func() {}
	}
	t.Run("told by the deliverer", func(t *testing.T) {
		f, v, _ := start(t)
		f.store.Notify(f.owner.Home)
		<-v.Wake()
		if got := f.poll(v); len(got) != 1 || got[0].Kind != Arrived {
			t.Fatal(got)
		}
	})
	t.Run("after a new log-in", func(t *testing.T) {
		f, v, _ := start(t)
		must(t, v.Close())
		must(t, f.Account.Close())
		f.reopen()
		if n := f.selectBox("INBOX").Len(); n != 4 {
			t.Fatal(n, "letters")
		}
	})
	t.Run("after a crash", func(t *testing.T) {
		f, _, _ := start(t)
		home := t.TempDir()
		must(t, os.CopyFS(filepath.Join(home, "Maildir"), os.DirFS(filepath.Join(f.owner.Home, "Maildir"))))
		stampAs(t, f.owner.Home, home)
		copyIndex(t, f.owner.Home, home)
		f2 := open(t, home)
		if n := f2.status("INBOX").Messages; n != 4 {
			t.Fatal(n, "letters")
		}
	})
}

// stampAs gives the directories of a copy the mtimes of the original.
func stampAs(t *testing.T, from, to string) {
	t.Helper()
	for _, dir := range strings.Fields("new cur") {
		info, err := os.Stat(filepath.Join(from, "Maildir", dir))
		must(t, err)
		must(t, os.Chtimes(filepath.Join(to, "Maildir", dir), info.ModTime(), info.ModTime()))
	}
}
