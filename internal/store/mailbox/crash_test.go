package mailbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/vfs"
)

// cutRun is one life of an account whose Maildir is in a Mem and whose index is
// a real file: SQLite has its own crash tests, and what it committed is there.
type cutRun struct {
	t     *testing.T
	home  string
	mem   *vfs.Mem
	owner Owner
}

// prepared has an account with three letters in INBOX and closes it.
func prepared(t *testing.T) *cutRun {
	t.Helper()
	return preparedAs(t, Owner{}, func(*Account) {})
}

// preparedAs is prepared for an owner; first is what he does then.
func preparedAs(t *testing.T, o Owner, first func(*Account)) *cutRun {
	t.Helper()
	r := &cutRun{t: t, home: t.TempDir(), mem: vfs.NewMem(), owner: o}
	r.owner.Home = r.home
	must(t, vfs.MkdirAll(r.mem, r.home, 0o700))
	s := newStore(r.mem)
	a, err := s.Open(bg, r.owner)
	must(t, err)
	for i := range 3 {
		text := letterText(fmt.Sprint(i))
		_, _, err := a.Append(bg, "INBOX", strings.NewReader(text), 0, AppendOptions{Flags: Flags{System: Deleted}})
		must(t, err)
	}
	must(t, a.Create(bg, "Work/sub"))
	first(a)
	must(t, a.Close())
	must(t, r.mem.SyncFS("/"))
	return r
}

// subjects reads what every mailbox holds, through the store.
func (r *cutRun) subjects(a *Account) map[string][]string {
	r.t.Helper()
	out := map[string][]string{}
	list, err := a.List(bg)
	must(r.t, err)
	for _, i := range list {
		if !i.Exists {
			continue
		}
		v, err := a.Select(bg, i.Name, false)
		must(r.t, err)
		for seq := range v.Len() {
			text := read(r.t, v, v.Letter(seq+1).UID)
			_, s, _ := strings.Cut(text, "Subject: ")
			s, _, _ = strings.Cut(s, "\r\n")
			if text != letterText(s) {
				r.t.Fatalf("torn letter %q", text)
			}
			out[i.Name] = append(out[i.Name], s)
		}
		slices.Sort(out[i.Name])
		must(r.t, v.Close())
	}
	return out
}

// copyIndex takes along what SQLite has on disk at this moment.
func copyIndex(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(filepath.Join(from, "index.db"+suffix))
		if errors.Is(err, fs.ErrNotExist) {
			os.Remove(filepath.Join(to, "index.db"+suffix))
			continue
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, "index.db"+suffix), b, 0o600))
	}
	os.Remove(filepath.Join(to, "index.db-shm"))
}

// everyCut runs an operation, stopping it after each n-th file operation, loses
// power, and lets check judge what the next life of the account holds, with the
// index as it was and without it.
func everyCut(t *testing.T, op func(a *Account, v *View) error, check func(got map[string][]string, done, indexLost bool) error) {
	t.Helper()
	everyCutOf(t, prepared(t), op, check)
}

// everyCutOf is everyCut for an account that was prepared in another way.
func everyCutOf(t *testing.T, base *cutRun, op func(a *Account, v *View) error, check func(got map[string][]string, done, indexLost bool) error) {
	t.Helper()
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for n := 0; ; n++ {
		mem := base.mem.Crash(0)
		saved := t.TempDir()
		copyIndex(t, base.home, saved)
		s := newStore(mem)
		a, err := s.Open(bg, base.owner)
		must(t, err)
		v, err := a.Select(bg, "INBOX", false)
		must(t, err)
		validity := v.UIDValidity()
		mem.StopAfter(n)
		err = op(a, v)
		done := err == nil
		frozen := t.TempDir()
		copyIndex(t, base.home, frozen)
		a.idx.close()
		for seed := range seeds {
			for _, lost := range []bool{false, true} {
				copyIndex(t, frozen, base.home)
				if lost {
					os.Remove(filepath.Join(base.home, "index.db"))
					os.Remove(filepath.Join(base.home, "index.db-wal"))
				}
				r := &cutRun{t: t, home: base.home, mem: mem.Crash(seed), owner: base.owner}
				s := newStore(r.mem)
				a, err := s.Open(bg, r.owner)
				if err != nil {
					t.Fatalf("cut %d seed %d: %v", n, seed, err)
				}
				got := r.subjects(a)
				err = errors.Join(check(got, done, lost), a.Check())
				if st, serr := a.Status(bg, "INBOX"); !lost && (serr != nil || st.UIDValidity != validity) {
					err = errors.Join(err, fmt.Errorf("the index is thrown away: %d was UIDVALIDITY, now %+v %w", validity, st, serr))
				}
				if err != nil {
					t.Fatalf("cut %d seed %d, done %t, index lost %t: %v\n%v", n, seed, done, lost, err, got)
				}
				must(t, a.Close())
			}
		}
		copyIndex(t, saved, base.home)
		if done {
			t.Logf("%d operations", n)
			return
		}
	}
}

// equal compares with one of several states.
func oneOf(got map[string][]string, states ...map[string][]string) error {
	for _, s := range states {
		same := true
		for name := range s {
			same = same && slices.Equal(got[name], s[name])
		}
		for name, list := range got {
			same = same && (len(list) == 0 || s[name] != nil)
		}
		if same {
			return nil
		}
	}
	return errors.New("neither before nor after")
}

func TestCrashes(t *testing.T) {
	t.Parallel()
	three := []string{"0", "1", "2"}
	before := map[string][]string{"INBOX": three}
	t.Run("IMAP-018 INV-09 append", func(t *testing.T) {
		after := map[string][]string{"INBOX": {"0", "1", "2", "new"}}
		everyCut(t, func(a *Account, v *View) error {
			_, _, err := a.Append(bg, "INBOX", strings.NewReader(letterText("new")), 0, AppendOptions{})
			return err
		}, func(got map[string][]string, done, lost bool) error {
			if done {
				return oneOf(got, after)
			}
			return oneOf(got, before, after)
		})
	})
	t.Run("IMAP-018 INV-09 sleep and wake", func(t *testing.T) {
		after := map[string][]string{"INBOX": {"0", "1", "2", "new"}}
		everyCut(t, func(a *Account, v *View) error {
			if _, err := v.Store(bg, []uint32{1}, FlagsAdd, Flags{System: Seen}); err != nil {
				return err
			}
			a.mu.Lock()
			err := a.sleep()
			a.mu.Unlock()
			if err != nil {
				return err
			}
			_, _, err = a.Append(bg, "INBOX", strings.NewReader(letterText("new")), 0, AppendOptions{})
			return err
		}, func(got map[string][]string, done, lost bool) error {
			if done {
				return oneOf(got, after)
			}
			return oneOf(got, before, after)
		})
	})
	t.Run("IMAP-018 INV-09 multiappend", func(t *testing.T) {
		after := map[string][]string{"INBOX": {"0", "1", "2", "new", "newer"}}
		everyCut(t, func(a *Account, v *View) error {
			return appendTwo(a)
		}, func(got map[string][]string, done, lost bool) error {
			switch {
			case lost: // what was decided and not done is undone
				return holds(got, three)
			case done:
				return oneOf(got, after)
			}
			return oneOf(got, before, after)
		})
	})
	t.Run("IMAP-018 INV-09 replace", func(t *testing.T) {
		after := map[string][]string{"INBOX": {"0", "2"}, "Trash": {"new"}}
		everyCut(t, func(a *Account, v *View) error {
			return replaceOne(a, v)
		}, func(got map[string][]string, done, lost bool) error {
			switch {
			case lost:
				return holds(got, []string{"0", "2"})
			case done:
				return oneOf(got, after)
			}
			return oneOf(got, before, after)
		})
	})
	t.Run("IMAP-018 INV-09 move", func(t *testing.T) {
		everyCut(t, func(a *Account, v *View) error {
			_, _, err := v.Move(bg, []uint32{1, 3}, "Trash")
			return err
		}, func(got map[string][]string, done, lost bool) error {
			after := map[string][]string{"INBOX": {"1"}, "Trash": {"0", "2"}}
			switch {
			case lost: // each letter is where its file is: once
				return exactlyOnce(got, three)
			case done:
				return oneOf(got, after)
			}
			return oneOf(got, before, after)
		})
	})
	t.Run("IMAP-018 INV-09 copy", func(t *testing.T) {
		after := map[string][]string{"INBOX": three, "Trash": {"0", "2"}}
		everyCut(t, func(a *Account, v *View) error {
			_, _, err := v.Copy(bg, []uint32{1, 3}, "Trash")
			return err
		}, func(got map[string][]string, done, lost bool) error {
			switch {
			case done && !lost:
				return oneOf(got, after)
			case lost:
				if !slices.Equal(got["INBOX"], three) {
					return errors.New("COPY lost a letter")
				}
				return nil
			}
			return oneOf(got, before, after)
		})
	})
	t.Run("IMAP-018 INV-09 expunge", func(t *testing.T) {
		after := map[string][]string{}
		everyCut(t, func(a *Account, v *View) error { return v.Expunge(bg, nil) },
			func(got map[string][]string, done, lost bool) error {
				switch {
				case lost: // what was decided and not done is undone
					return nil
				case done:
					return oneOf(got, after)
				}
				return oneOf(got, before, after)
			})
	})
	t.Run("IMAP-018 INV-09 rename INBOX", func(t *testing.T) {
		after := map[string][]string{"Old": three}
		everyCut(t, func(a *Account, v *View) error { return a.Rename(bg, "INBOX", "Old") },
			func(got map[string][]string, done, lost bool) error {
				switch {
				case lost:
					return exactlyOnce(got, three)
				case done:
					return oneOf(got, after)
				}
				return oneOf(got, before, after)
			})
	})
	t.Run("IMAP-018 INV-09 delete", func(t *testing.T) {
		everyCut(t, func(a *Account, v *View) error {
			if err := a.Rename(bg, "Work", "Job"); err != nil {
				return err
			}
			return a.Delete(bg, "Job/sub")
		}, func(got map[string][]string, done, lost bool) error {
			return oneOf(got, before)
		})
	})
}

// What is expunged and kept is in one mailbox or the other at every moment, once; so it
// is with what is brought back.
func TestCrashesWhereLettersAreKept(t *testing.T) {
	t.Parallel()
	three := []string{"0", "1", "2"}
	owner := Owner{Keep: Retention{Mailbox: "Expunged", For: time.Hour}}
	inInbox, inKept := map[string][]string{"INBOX": three}, map[string][]string{"Expunged": three}
	judge := func(before, after map[string][]string) func(map[string][]string, bool, bool) error {
		return func(got map[string][]string, done, lost bool) error {
			switch {
			case lost: // each letter is where its file is
				return exactlyOnce(got, three)
			case done:
				return oneOf(got, after)
			}
			return oneOf(got, before, after)
		}
	}
	t.Run("IMAP-018 INV-09 expunge", func(t *testing.T) {
		everyCutOf(t, preparedAs(t, owner, func(*Account) {}), func(a *Account, v *View) error { return v.Expunge(bg, nil) }, judge(inInbox, inKept))
	})
	expunged := func(a *Account) {
		v, err := a.Select(bg, "INBOX", false)
		must(t, err)
		must(t, v.Expunge(bg, nil))
		must(t, v.Close())
	}
	undelete := func(a *Account, to string) error {
		_, list, err := a.KeptLetters(bg)
		if err != nil {
			return err
		}
		var uids []uint32
		for _, k := range list {
			uids = append(uids, k.UID)
		}
		_, err = a.Restore(bg, uids, to)
		return err
	}
	t.Run("IMAP-018 INV-09 undelete", func(t *testing.T) {
		everyCutOf(t, preparedAs(t, owner, expunged), func(a *Account, v *View) error { return undelete(a, "INBOX") }, judge(inKept, inInbox))
	})
	t.Run("IMAP-018 INV-09 undelete into a mailbox that is gone", func(t *testing.T) {
		everyCutOf(t, preparedAs(t, owner, expunged), func(a *Account, v *View) error { return undelete(a, "Gone/deep") },
			judge(inKept, map[string][]string{"Gone/deep": three}))
	})
	t.Run("IMAP-018 INV-09 delete", func(t *testing.T) {
		fill := func(a *Account) {
			v, err := a.Select(bg, "INBOX", false)
			must(t, err)
			_, _, err = v.Move(bg, []uint32{1, 2, 3}, "Work/sub")
			must(t, err)
			must(t, v.Close())
		}
		everyCutOf(t, preparedAs(t, owner, fill), func(a *Account, v *View) error { return a.Delete(bg, "Work/sub") },
			judge(map[string][]string{"Work/sub": three}, inKept))
	})
}

// appendTwo is MULTIAPPEND.
func appendTwo(a *Account) error {
	var list []*Staged
	for _, subject := range []string{"new", "newer"} {
		s, err := a.Stage(bg, "INBOX", strings.NewReader(letterText(subject)), 0, AppendOptions{})
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	_, _, err := a.Commit(bg, "INBOX", list)
	return err
}

// replaceOne is REPLACE of the second letter.
func replaceOne(a *Account, v *View) error {
	s, err := a.Stage(bg, "Trash", strings.NewReader(letterText("new")), 0, AppendOptions{})
	if err != nil {
		return err
	}
	_, _, err = v.Replace(bg, 2, "Trash", s)
	return err
}

// holds checks that letters are in INBOX, whatever else is there.
func holds(got map[string][]string, want []string) error {
	for _, s := range want {
		if !slices.Contains(got["INBOX"], s) {
			return fmt.Errorf("%q is lost", s)
		}
	}
	return nil
}

func exactlyOnce(got map[string][]string, want []string) error {
	var all []string
	for _, list := range got {
		all = append(all, list...)
	}
	slices.Sort(all)
	if !slices.Equal(all, want) {
		return fmt.Errorf("letters are %v", all)
	}
	return nil
}

// TestFaults: an operation that meets an error says so, and leaves the account
// usable and consistent once the disk is well.
func TestFaults(t *testing.T) {
	t.Parallel()
	ops := map[string]func(a *Account, v *View) error{
		"append": func(a *Account, v *View) error {
			_, _, err := a.Append(bg, "INBOX", strings.NewReader(letterText("new")), 0, AppendOptions{})
			return err
		},
		"copy":    func(a *Account, v *View) error { _, _, err := v.Copy(bg, []uint32{1, 2}, "Sent"); return err },
		"move":    func(a *Account, v *View) error { _, _, err := v.Move(bg, []uint32{1, 2}, "Sent"); return err },
		"expunge": func(a *Account, v *View) error { return v.Expunge(bg, nil) },
		"store": func(a *Account, v *View) error {
			_, err := v.Store(bg, []uint32{1, 2, 3}, FlagsSet, Flags{System: Seen, Keywords: []string{"x"}})
			return err
		},
		"multiappend": func(a *Account, v *View) error { return appendTwo(a) },
		"create":      func(a *Account, v *View) error { return a.Create(bg, "New") },
		"rename":      func(a *Account, v *View) error { return a.Rename(bg, "Work", "Job") },
	}
	for name, op := range ops {
		t.Run("FLT-005 FLT-006 "+name, func(t *testing.T) {
			for nth := 1; nth < 60; nth++ {
				r := prepared(t)
				s := newStore(r.mem)
				a, err := s.Open(bg, Owner{Home: r.home})
				must(t, err)
				v, err := a.Select(bg, "INBOX", false)
				must(t, err)
				ops := r.mem.Ops()
				r.mem.Inject(vfs.Fault{Nth: nth, Err: []error{syscall.EIO, syscall.ENOSPC}[nth%2], Short: true})
				err = op(a, v)
				used := r.mem.Ops() - ops
				r.mem.Heal()
				if cerr := a.Check(); cerr != nil {
					t.Fatalf("%v at %d: %v", err, nth, cerr)
				}
				got := r.subjects(a)
				for _, want := range []string{"0", "1", "2"} {
					n := 0
					for _, list := range got {
						n += len(list) - len(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == want }))
					}
					if n == 0 && name != "expunge" || n > 1 && name != "copy" {
						t.Fatalf("%v at %d: %q is there %d times", err, nth, want, n)
					}
				}
				must(t, v.Close())
				must(t, a.Close())
				if used < nth {
					return
				}
			}
		})
	}
}

// TestAppendFails: a broken upload leaves nothing.
func TestAppendFails(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	_, _, err := f.Append(bg, "INBOX", io.MultiReader(strings.NewReader("half"), errReader{}), 100, AppendOptions{})
	if !errors.Is(err, io.ErrUnexpectedEOF) || f.status("INBOX").Messages != 0 {
		t.Fatal(err)
	}
	f.shut()
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
