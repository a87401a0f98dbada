package mailbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"facteur/internal/base/vfs"
)

// smallDisk is a file system of its own, and a function that fills it to the last
// block.
func smallDisk(t *testing.T) (dir string, fill func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skip("a file system of our own can't be mounted:", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir, func() {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, "ballast"))
		must(t, err)
		defer f.Close()
		for size := 1 << 16; size > 0; size /= 2 {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
		}
	}
}

// TestNoBlockLeft is FLT-006 with a real disk: the account is opened when nothing more
// fits, letters are read and expunged, and when there is room again, all is as before.
func TestNoBlockLeft(t *testing.T) {
	dir, fill := smallDisk(t)
	f := &fixture{t: t, store: newStore(vfs.OS{}), owner: Owner{Address: "a@example.org", Home: filepath.Join(dir, "home"),
		Keep: Retention{Mailbox: "Expunged", For: 1 << 40}}}
	f.store.KeepSpare(dir)
	f.reopen()
	for _, s := range []string{"one", "two", "three"} {
		f.append("INBOX", s, Seen)
	}
	before := f.status("INBOX")
	f.shut()
	must(t, f.store.Close())
	fill()
	f.store = newStore(vfs.OS{})
	f.store.KeepSpare(dir)
	f.reopen()
	v := f.selectBox("INBOX")
	if text := read(t, v, 1); text != letterText("one") {
		t.Errorf("FLT-006: %q", text)
	}
	_, err := v.Store(bg, []uint32{1, 2}, FlagsAdd, Flags{System: Deleted})
	must(t, err)
	must(t, v.Expunge(bg, []uint32{1, 2}))
	must(t, v.Close())
	if left, err := filepath.Glob(filepath.Join(dir, "home/Maildir/cur/*")); err != nil || len(left) != 1 {
		t.Errorf("FLT-006: files %v, %v", left, err)
	}
	must(t, os.Remove(filepath.Join(dir, "ballast")))
	now := f.status("INBOX")
	if now.Messages != 1 || now.UIDValidity != before.UIDValidity || now.UIDNext != before.UIDNext {
		t.Errorf("FLT-006: %+v, was %+v", now, before)
	}
	f.shut()
}

// Without what was kept for it an account can't be opened on a full disk; its index is
// good all the same, and stays.
func TestAFullDiskIsNoCorruptIndex(t *testing.T) {
	dir, fill := smallDisk(t)
	f := &fixture{t: t, store: newStore(vfs.OS{}), owner: Owner{Address: "a@example.org", Home: filepath.Join(dir, "home")}}
	f.reopen()
	f.append("INBOX", "one", Seen)
	before := f.status("INBOX")
	f.shut()
	must(t, f.store.Close())
	fill()
	f.store = newStore(vfs.OS{})
	if _, err := f.store.Open(bg, f.owner); !IsFull(err) {
		t.Errorf("FLT-006: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, "ballast")))
	f.reopen()
	if now := f.status("INBOX"); now != before {
		t.Errorf("INV-13 FLT-006: %+v, was %+v", now, before)
	}
	f.shut()
}
