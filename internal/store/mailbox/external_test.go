package mailbox

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/vfs"
)

// drop puts a file into the Maildir as another program does.
func (f *fixture) drop(name, text string) {
	f.t.Helper()
	must(f.t, os.WriteFile(filepath.Join(f.owner.Home, "Maildir", name), []byte(text), 0o600))
}

func (f *fixture) tree() []string {
	var out []string
	filepath.WalkDir(filepath.Join(f.owner.Home, "Maildir"), func(p string, d os.DirEntry, err error) error {
		if sub := filepath.Base(filepath.Dir(p)); sub == "cur" || sub == "new" {
			out = append(out, d.Name())
		}
		return nil
	})
	return out
}

func TestExternal(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-025", func(t *testing.T) {
		f := open(t, t.TempDir())
		f.drop("new/200.b.h", letterText("later"))
		f.drop("new/100.z.h", letterText("sooner"))
		f.drop("cur/100.a.h:2,SZ!a", letterText("garbage flags"))
		f.drop("cur/100.c.h:1,x", letterText("strange info"))
		f.drop("cur/noseconds", letterText("no seconds"))
		f.drop("cur/.hidden", "not a letter")
		must(t, os.Mkdir(filepath.Join(f.owner.Home, "Maildir/cur/dir"), 0o700))
		must(t, os.Symlink("/etc/passwd", filepath.Join(f.owner.Home, "Maildir/cur/100.link.h:2,")))
		must(t, syscall.Mkfifo(filepath.Join(f.owner.Home, "Maildir/cur/100.fifo.h:2,"), 0o600))
		v := f.selectBox("INBOX")
		var got []string
		for seq := range v.Len() {
			l := v.Letter(seq + 1)
			text := read(t, v, l.UID)
			if int64(len(text)) != l.Size {
				t.Fatal(l.Size, len(text))
			}
			_, s, _ := strings.Cut(text, "Subject: ")
			s, _, _ = strings.Cut(s, "\r\n")
			got = append(got, fmt.Sprint(s, l.Flags.System))
		}
		if want := []string{"garbage flags1", "strange info0", "sooner0", "later0", "no seconds0"}; !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
		// Garbage flags stay when ours change.
		_, err := v.Store(bg, []uint32{1, 2}, FlagsAdd, Flags{System: Flagged})
		must(t, err)
		for _, want := range []string{"100.a.h:2,!FSZa", "100.c.h:2,F"} {
			if !slices.Contains(f.tree(), want) {
				t.Fatalf("no %s in %q", want, f.tree())
			}
		}
		f.shut()
	})
	t.Run("IMAP-025 same base twice", func(t *testing.T) {
		f := open(t, t.TempDir())
		f.drop("new/100.a.h", letterText("one"))
		f.drop("cur/100.a.h:2,S", letterText("two"))
		f.drop("cur/100.a.h:2,", letterText("three"))
		f.drop("cur/101.b.h:2,", letterText("four"))
		must(t, os.Link(filepath.Join(f.owner.Home, "Maildir/cur/101.b.h:2,"), filepath.Join(f.owner.Home, "Maildir/cur/101.b.h:2,F")))
		v := f.selectBox("INBOX")
		seen := map[string]int{}
		for seq := range v.Len() {
			seen[read(t, v, v.Letter(seq+1).UID)]++
		}
		if v.Len() != 5 || len(seen) != 4 || seen[letterText("four")] != 2 {
			t.Fatalf("%d letters: %v", v.Len(), seen)
		}
		if len(f.tree()) != 5 {
			t.Fatal("files were removed", f.tree())
		}
		f.shut()
	})
	for _, name := range []string{"new/100.a.h", "cur/100.a.h:2,S"} {
		t.Run("INV-10 a stranger with the name of a letter in "+name[:3], func(t *testing.T) {
			f := open(t, t.TempDir())
			f.drop(name, letterText("ours"))
			v := f.selectBox("INBOX")
			uid := v.Letter(1).UID
			for _, other := range []string{"new/100.a.h", "cur/100.a.h:2,S", "cur/100.a.h:2,F"} {
				if other != name {
					time.Sleep(2 * settled)
					f.drop(other, letterText("stranger"))
					_, err := v.Poll(bg, true)
					must(t, err)
				}
			}
			if got := read(t, v, uid); got != letterText("ours") || v.Len() != 3 {
				t.Fatalf("of %d letters, UID %d is now %q", v.Len(), uid, got)
			}
			f.shut()
		})
	}
	t.Run("IMAP-025 changes under a session", func(t *testing.T) {
		f := open(t, t.TempDir())
		f.drop("new/100.a.h", letterText("a"))
		f.drop("new/101.b.h", letterText("b"))
		f.drop("new/102.c.h", letterText("c"))
		v := f.selectBox("INBOX")
		time.Sleep(2 * settled)
		dir := filepath.Join(f.owner.Home, "Maildir")
		must(t, os.Rename(filepath.Join(dir, "new/101.b.h"), filepath.Join(dir, "cur/101.b.h:2,RS")))
		must(t, os.Remove(filepath.Join(dir, "new/100.a.h")))
		must(t, os.Rename(filepath.Join(dir, "new/102.c.h"), filepath.Join(dir, ".Sent/cur/102.c.h:2,")))
		select {
		case <-v.Wake():
		case <-time.After(20 * time.Second):
			t.Fatal("not woken")
		}
		var changes []Change
		for len(changes) < 3 {
			changes = append(changes, f.poll(v)...)
		}
		if want := []Change{{Expunged, 1, 1}, {Expunged, 2, 3}, {Reflagged, 1, 2}}; !slices.Equal(changes, want) {
			t.Fatal(changes)
		}
		if f.status("Sent").Messages != 1 {
			t.Fatal("moved letter")
		}
		f.shut()
	})
	t.Run("IMAP-025 directories", func(t *testing.T) {
		f := open(t, t.TempDir())
		dir := filepath.Join(f.owner.Home, "Maildir")
		for _, d := range []string{".Mutt", ".B&APw-ro", ".bad&", ".INBOX", ".noMaildir"} {
			for _, sub := range []string{"cur", "new", "tmp"} {
				if d != ".noMaildir" || sub == "tmp" {
					must(t, os.MkdirAll(filepath.Join(dir, d, sub), 0o700))
				}
			}
		}
		list, err := f.List(bg)
		must(t, err)
		var names []string
		for _, i := range list {
			names = append(names, i.Name)
		}
		if !slices.Equal(names, []string{"INBOX", "Archive", "Büro", "Drafts", "Junk", "Mutt", "Sent", "Trash"}) {
			t.Fatal(names)
		}
		time.Sleep(2 * settled)
		must(t, os.RemoveAll(filepath.Join(dir, ".Mutt")))
		if _, err := f.Status(bg, "Mutt"); !errors.Is(err, ErrNoMailbox) {
			t.Fatal(err)
		}
		if os.Getuid() != 0 {
			must(t, os.Chmod(filepath.Join(dir, "cur"), 0))
			_, err := f.Select(bg, "INBOX", false)
			if err == nil {
				t.Fatal("an unreadable directory is an empty mailbox")
			}
			must(t, os.Chmod(filepath.Join(dir, "cur"), 0o700))
		}
		f.shut()
	})
}

// TestUnreadable: a directory that can't be read is an error, not an empty
// mailbox: no UID is lost.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-025", func(t *testing.T) {
		r := prepared(t)
		s := newStore(r.mem)
		a, err := s.Open(bg, Owner{Home: r.home})
		must(t, err)
		v, err := a.Select(bg, "INBOX", false)
		must(t, err)
		must(t, r.mem.Link(r.home+"/Maildir/tmp", r.home+"/Maildir/cur/x")) // anything that touches cur/
		must(t, r.mem.Remove(r.home+"/Maildir/cur/x"))
		r.mem.Inject(vfs.Fault{Op: vfs.OpReadDir, Match: "/cur", Nth: 1, For: -1, Err: syscall.EACCES})
		if _, err := v.Poll(bg, true); !errors.Is(err, syscall.EACCES) {
			t.Fatal(err)
		}
		r.mem.Heal()
		if c, err := v.Poll(bg, true); len(c) != 0 || err != nil {
			t.Fatal(c, err)
		}
		must(t, v.Close())
		must(t, a.Close())
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-008", func(t *testing.T) {
		home := filepath.Join(t.TempDir(), "deep", "home")
		f := open(t, home)
		for _, name := range []string{"../../etc", "/abs", "a//b", ".", "..", "a/../b", "n\x00l", "c\rr", "l\nf", "\xff\xfe",
			strings.Repeat("x", 4096), strings.Repeat("a/", 200) + "a", "", "*", "a%", "#news"} {
			for op, err := range map[string]error{"create": f.Create(bg, name), "rename": f.Rename(bg, "Junk", name)} {
				if !errors.Is(err, ErrBadName) {
					t.Errorf("%s %.20q: %v", op, name, err)
				}
			}
		}
		for _, name := range []string{"INBOX.", "x.lock", "cur", "new", "tmp", "dovecot-uidlist", "~user/x", "trailing ", "a.b/c.d", "facteur-uids"} {
			must(t, f.Create(bg, name))
			f.append(name, "x", 0)
			if f.status(name).Messages != 1 {
				t.Error(name)
			}
		}
		entries, _ := os.ReadDir(filepath.Dir(home))
		if len(entries) != 1 {
			t.Fatal("left the home:", entries)
		}
		f.shut()
	})
	t.Run("IMAP-009", func(t *testing.T) {
		f := open(t, t.TempDir())
		must(t, f.Create(bg, "caf\u00e9"))
		if err := f.Create(bg, "cafe\u0301"); !errors.Is(err, ErrExists) {
			t.Fatal("one name in two forms:", err)
		}
		if err := f.Create(bg, "iNbOx"); !errors.Is(err, ErrExists) {
			t.Fatal(err)
		}
		f.shut()
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-011", func(t *testing.T) {
		f := open(t, t.TempDir())
		f.append("INBOX", "x", 0)
		v := f.selectBox("INBOX")
		var names []string
		for i := range maxKeywords {
			names = append(names, fmt.Sprint("k", i))
		}
		_, err := v.Store(bg, []uint32{1}, FlagsAdd, Flags{Keywords: names})
		must(t, err)
		for _, k := range []string{"onemore", strings.Repeat("k", 256)} {
			if _, err := v.Store(bg, []uint32{1}, FlagsAdd, Flags{Keywords: []string{k}}); !errors.Is(err, ErrLimit) {
				t.Fatal(err)
			}
		}
		if l := v.Letter(1); len(l.Flags.Keywords) != maxKeywords || len(v.Keywords()) != maxKeywords {
			t.Fatal(len(l.Flags.Keywords))
		}
		f.mu.Lock()
		for i := range maxMailboxes - len(f.boxes) {
			f.boxes[fmt.Sprint("full", i)] = f.boxes["Junk"]
		}
		f.mu.Unlock()
		if err := f.Create(bg, "toomany"); !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
		f.mu.Lock()
		for name := range f.boxes {
			if strings.HasPrefix(name, "full") {
				delete(f.boxes, name)
			}
		}
		f.mu.Unlock()
		f.shut()
	})
}

// TestExhausted: near the last UID nothing is added, and files of others start
// the mailbox anew.
func TestExhausted(t *testing.T) {
	t.Parallel()
	t.Run("IMAP-019", func(t *testing.T) {
		f := open(t, t.TempDir())
		f.append("INBOX", "x", 0)
		f.mu.Lock()
		b := f.boxes["INBOX"]
		b.uidNext = maxUID - 1
		must(t, f.write(bg, func(tx *sql.Tx) error { return b.saveRow(tx) }))
		f.mu.Unlock()
		if uid := f.append("INBOX", "last", 0); uid != maxUID-1 {
			t.Fatal(uid)
		}
		text := letterText("too many")
		if _, _, err := f.Append(bg, "INBOX", strings.NewReader(text), 0, AppendOptions{}); !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
		before := f.status("INBOX")
		v := f.selectBox("INBOX")
		f.drop("new/100.a.h", letterText("dropped"))
		time.Sleep(2 * settled)
		if _, err := v.Poll(bg, true); !errors.Is(err, ErrMailboxGone) {
			t.Fatal(err)
		}
		after := f.status("INBOX")
		if after.Messages != 3 || after.UIDNext != 4 || after.UIDValidity <= before.UIDValidity {
			t.Fatalf("%+v", after)
		}
		f.shut()
	})
}

// TestRebuild: an index that is lost after a kill costs a new, larger
// UIDVALIDITY, even within one second; nothing else is lost.
func TestRebuild(t *testing.T) {
	t.Parallel()
	t.Run("INV-13 IMAP-019", func(t *testing.T) {
		f := open(t, t.TempDir())
		now := time.Now()
		f.store.clock(func() time.Time { return now })
		f.append("INBOX", "x", Seen, "keyword")
		last := map[string]uint32{}
		for range 4 {
			for _, name := range []string{"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"} {
				s := f.status(name)
				if s.UIDValidity <= last[name] {
					t.Fatalf("%s: UIDVALIDITY %d after %d", name, s.UIDValidity, last[name])
				}
				last[name] = s.UIDValidity
			}
			if s := f.status("INBOX"); s.Messages != 1 || s.Unseen != 0 {
				t.Fatalf("%+v", s)
			}
			f.killed()
			f.dropIndex()
			f.reopen()
		}
		f.shut()
	})
}

// TestNotify: a delivery by this process wakes the session.
func TestNotify(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	v := f.selectBox("INBOX")
	f.store.watch.remove(v.box) // without the watcher's help
	f.drop("new/100.a.h,S=5,W=5", "a\r\nb\n")
	f.store.Notify(f.owner.Home + "/")
	select {
	case <-v.Wake():
	case <-time.After(20 * time.Second):
		t.Fatal("not woken")
	}
	if c := f.poll(v); !slices.Equal(c, []Change{{Arrived, 1, 1}}) {
		t.Fatal(c)
	}
	f.store.Notify("/nobody")
	f.shut()
}

// TestSubscriptionsOfDovecot reads both forms of the file.
func TestSubscriptionsOfDovecot(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"INBOX\nWork.2024\nB&APw-ro\n", "V\t2\n\nINBOX\nWork\t2024\nB&APw-ro\n"} {
		home := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(home, "Maildir"), 0o700))
		must(t, os.WriteFile(filepath.Join(home, "Maildir", subscriptionFile), []byte(text), 0o600))
		f := open(t, home)
		list, err := f.List(bg)
		must(t, err)
		var got []string
		for _, i := range list {
			if i.Subscribed {
				got = append(got, i.Name)
			}
		}
		if !slices.Equal(got, []string{"INBOX", "Büro", "Work/2024"}) {
			t.Fatal(got)
		}
		f.shut()
	}
}

// TestDates: the time of arrival comes from where other programs keep it, and
// goes there.
func TestDates(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	old, made := time.Unix(1_000_000_000, 0), time.Unix(1_600_000_000, 0)
	f.drop("cur/1600000000.a.h:2,", letterText("stored by Dovecot with an older date"))
	must(t, os.Chtimes(filepath.Join(f.owner.Home, "Maildir/cur/1600000000.a.h:2,"), old, old))
	f.drop("cur/1600000000.b.h:2,", letterText("copied without its mtime"))
	f.drop("cur/c:2,", letterText("no time in the name"))
	must(t, os.Chtimes(filepath.Join(f.owner.Home, "Maildir/cur/c:2,"), made, made))
	text := letterText("ours")
	_, _, err := f.Append(bg, "INBOX", strings.NewReader(text), int64(len(text)), AppendOptions{Received: old})
	must(t, err)
	v := f.selectBox("INBOX")
	for i, want := range []time.Time{old, made, made, old} {
		if got := v.Letter(uint32(i) + 1).Received; !got.Equal(want) {
			t.Errorf("letter %d: %v", i+1, got)
		}
	}
	files, err := filepath.Glob(filepath.Join(f.owner.Home, "Maildir/new/*"))
	must(t, err)
	info, err := os.Stat(files[0])
	must(t, err)
	if len(files) != 1 || !info.ModTime().Equal(old) {
		t.Error(files, info.ModTime())
	}
	f.shut()
}

// TestTargetGone: a letter was on its way to a mailbox when the power went, and
// another program deleted that mailbox. The account opens, and has the letter.
func TestTargetGone(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	must(t, f.Create(bg, "Gone"))
	f.append("INBOX", "on its way", Seen)
	v := f.selectBox("INBOX")
	files := f.tree()
	f.mu.Lock()
	c := change{todos: []todo{{source: "cur/" + files[0], target: ".Gone/cur/" + files[0]}}}
	d := c.of(f.boxes["INBOX"])
	d.removed, d.freed = []uint32{1}, f.boxes["INBOX"].bytes
	must(t, f.commit(bg, &c))
	f.mu.Unlock()
	must(t, v.Close())
	must(t, f.Account.Close())
	must(t, os.RemoveAll(filepath.Join(f.owner.Home, "Maildir/.Gone")))
	f.reopen()
	if s := f.status("INBOX"); s.Messages != 1 || s.UIDNext != 3 {
		t.Fatalf("%+v", s)
	}
	f.shut()
}
