package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/quota"
)

// keeping is a fixture whose expunged letters are kept.
func keeping(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: newStore(vfs.OS{}), owner: keptOwner(t)}
	f.reopen()
	t.Cleanup(func() { f.store.Close() })
	return f
}

func keptOwner(t *testing.T) Owner {
	return Owner{Address: "a@example.org", Home: t.TempDir(), Keep: Retention{Mailbox: "Expunged", For: time.Hour},
		Quota: quota.Limits{Bytes: 1 << 20, Outside: "Expunged"}}
}

// reopenAs changes what is said of the owner.
func (f *fixture) reopenAs(change func(*Owner)) {
	f.t.Helper()
	change(&f.owner)
	again, err := f.store.Open(bg, f.owner)
	must(f.t, err)
	must(f.t, again.Close())
}

// expunge marks letters and expunges them.
func (f *fixture) expunge(mailbox string, uids ...uint32) error {
	f.t.Helper()
	v := f.selectBox(mailbox)
	defer v.Close()
	if _, err := v.Store(bg, uids, FlagsAdd, Flags{System: Deleted}); err != nil {
		return err
	}
	return v.Expunge(bg, uids)
}

// kept lists what is kept, as "UID:origin".
func (f *fixture) keptList() string {
	f.t.Helper()
	_, list, err := f.KeptLetters(bg)
	must(f.t, err)
	var out []string
	for _, k := range list {
		out = append(out, fmt.Sprintf("%d:%s", k.UID, k.Origin))
	}
	return strings.Join(out, " ")
}

func TestExpungedLettersAreKept(t *testing.T) {
	t.Parallel()
	f := keeping(t)
	must(t, f.Create(bg, "Büro/a, b: c"))
	f.append("INBOX", "one", Seen|Flagged)
	f.append("Büro/a, b: c", "two", 0)
	must(t, f.expunge("INBOX", 1))
	must(t, f.Delete(bg, "Büro/a, b: c"))
	if got := f.keptList(); got != "1:INBOX 2:Büro/a, b: c" {
		t.Fatal(got)
	}
	if used, _, err := f.Usage(bg); err != nil || used != (quota.Usage{}) {
		t.Error("what is kept counts:", used, err)
	}
	v := f.selectBox("Expunged")
	if l := v.Letter(1); l.Flags.System != Seen|Flagged {
		t.Errorf("flags %v", l.Flags)
	}
	must(t, v.Close())
	list, err := f.List(bg)
	must(t, err)
	for _, i := range list {
		if i.Name == "Expunged" && (i.Subscribed || i.SpecialUse != "") {
			t.Errorf("%+v", i)
		}
	}
	// Where it came from is known without the index.
	f.shut()
	must(t, os.Remove(filepath.Join(f.owner.Home, "index.db")))
	f.reopen()
	if got := f.keptList(); got != "1:INBOX 2:Büro/a, b: c" {
		t.Fatal(got)
	}
	// Back to where they came from, once.
	for i, want := range []int{1, 0} {
		if n, err := f.Restore(bg, []uint32{2}, "Büro/a, b: c"); n != want || err != nil {
			t.Fatalf("%d: %d %v", i, n, err)
		}
	}
	if s, err := f.Status(bg, "Büro/a, b: c"); err != nil || s.Messages != 1 {
		t.Error(s, err)
	}
	// What is expunged there is gone.
	must(t, f.expunge("Expunged", 1))
	if got := f.keptList(); got != "" {
		t.Error(got)
	}
	f.shut()
}

func TestMovesAreNotExpunges(t *testing.T) {
	t.Parallel()
	f := keeping(t)
	f.append("INBOX", "one", 0)
	v := f.selectBox("INBOX")
	_, _, err := v.Move(bg, []uint32{1}, "Archive")
	must(t, err)
	if f.keptList() != "" {
		t.Error("a move within the account is kept")
	}
	o := Owner{Address: "b@example.org", Home: t.TempDir()}
	other, err := f.store.Open(bg, o)
	must(t, err)
	w := f.selectBox("Archive")
	_, _, err = w.MoveTo(bg, []uint32{1}, other, "INBOX", AllRights)
	must(t, err)
	must(t, other.Close())
	if f.keptList() != "" {
		t.Error("a move to another account is kept")
	}
	// Unless it was not the owner who moved it.
	f.append("Archive", "two", 0)
	g := f.selectBox("Archive")
	g.Restrict(Subject{Address: "b@example.org"}, func() bool { return true })
	must(t, f.SetACL(bg, "Archive", ParseACL("user=b@example.org lrte")))
	other, err = f.store.Open(bg, o)
	must(t, err)
	_, _, err = g.MoveTo(bg, []uint32{2}, other, "INBOX", AllRights)
	must(t, err)
	must(t, other.Close())
	if got := f.keptList(); !strings.Contains(got, "Archive") {
		t.Errorf("what a guest takes away is lost for the owner: %q", got)
	}
	f.shut()
}

// TestKeptLettersAreBounded (IMAP-011): storing and expunging does not fill the disk.
func TestKeptLettersAreBounded(t *testing.T) {
	t.Parallel()
	f := keeping(t)
	size := int64(len(letterText("0")))
	f.reopenAs(func(o *Owner) { o.Quota.Bytes = 3 * size })
	for i := range 5 {
		uid := f.append("INBOX", fmt.Sprint(i), 0)
		must(t, f.expunge("INBOX", uid))
	}
	if got := f.keptList(); got != "3:INBOX 4:INBOX 5:INBOX" {
		t.Error(got)
	}
	// Nor does copying to where nothing counts.
	f.append("INBOX", "x", 0)
	v := f.selectBox("INBOX")
	uid := v.Letter(1).UID
	if _, _, err := v.Copy(bg, []uint32{uid}, "Expunged"); !errors.Is(err, ErrOverQuota) {
		t.Error(err)
	}
	if _, _, err := v.Move(bg, []uint32{uid}, "Expunged"); !errors.Is(err, ErrOverQuota) {
		t.Error(err)
	}
	f.shut()
}

func TestExpire(t *testing.T) {
	t.Parallel()
	f := keeping(t)
	for i := range 5 {
		f.append("Trash", fmt.Sprint(i), 0)
	}
	future := time.Now().Add(time.Minute)
	if n, err := f.Expire(bg, "Trash", time.Now().Add(-time.Minute), 10); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := f.Expire(bg, "Trash", future, 3); n != 3 || err != nil || f.keptList() != "1:Trash 2:Trash 3:Trash" {
		t.Error(n, err, f.keptList())
	}
	if n, err := f.Expire(bg, "Expunged", future, 2); n != 2 || err != nil || f.keptList() != "3:Trash" {
		t.Error(n, err, f.keptList())
	}
	f.shut()
}

// fullDisk lets nothing new come into being.
type fullDisk struct {
	vfs.FS
	full bool
}

func (d *fullDisk) Mkdir(name string, perm os.FileMode) error {
	if d.full {
		return &os.PathError{Op: "mkdir", Path: name, Err: syscall.ENOSPC}
	}
	return d.FS.Mkdir(name, perm)
}

func (d *fullDisk) Create(name string, perm os.FileMode) (vfs.File, error) {
	if d.full {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOSPC}
	}
	return d.FS.Create(name, perm)
}

func (d *fullDisk) Rename(from, to string) error {
	if d.full && filepath.Dir(from) != filepath.Dir(to) {
		return &os.PathError{Op: "rename", Path: to, Err: syscall.ENOSPC}
	}
	return d.FS.Rename(from, to)
}

// TestFullDisk is FLT-006: with a full disk letters can be read and expunged, and room
// is made, though expunged letters are to be kept.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		t.Run(fmt.Sprintf("FLT-006 mailbox there %v", there), func(t *testing.T) {
			t.Parallel()
			disk := &fullDisk{FS: vfs.OS{}}
			f := &fixture{t: t, store: newStore(disk), owner: keptOwner(t)}
			f.reopen()
			t.Cleanup(func() { f.store.Close() })
			f.append("INBOX", "one", Seen)
			f.append("INBOX", "two", Seen)
			f.append("INBOX", "three", Seen)
			if there {
				must(t, f.expunge("INBOX", 3))
			}
			disk.full = true
			v := f.selectBox("INBOX")
			r, err := v.Open(bg, 1)
			must(t, err)
			must(t, r.Close())
			must(t, v.Close())
			must(t, f.expunge("INBOX", 1))
			disk.full = false
			if s, err := f.Status(bg, "INBOX"); err != nil || s.UIDNext == 0 {
				t.Error(s, err)
			}
			left, _ := filepath.Glob(filepath.Join(f.owner.Home, "Maildir/cur/*"))
			want := 2
			if there {
				want = 1
			}
			if len(left) != want {
				t.Errorf("%d files are left, want %d: %v", len(left), want, left)
			}
			f.shut()
		})
	}
}
