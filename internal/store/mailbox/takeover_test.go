package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/vfs"
)

// TestTakeOver: a mailbox gets the UIDVALIDITY and UIDs of another server only where
// nobody was ever told something else by them (INV-10).
func TestTakeOver(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := newStore(vfs.OS{})
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	take := func(name string, validity, next uint32) bool {
		t.Helper()
		kept, err := a.TakeOver(bg, name, validity, next)
		must(t, err)
		return kept
	}
	bring := func(name, source string, uids ...uint32) {
		t.Helper()
		b, err := a.Bring(bg, name, source)
		must(t, err)
		for _, uid := range uids {
			key := Key{byte(uid)}
			must(t, b.Add(bg, Arriving{Key: key, UID: uid, UIDL: fmt.Sprint("id-", uid)}, strings.NewReader(letterText(fmt.Sprint(uid)))))
		}
		_, err = b.Commit(bg)
		must(t, err)
		must(t, b.End(bg))
		must(t, b.Close())
	}
	uids := func(name string) string {
		t.Helper()
		v, err := a.Select(bg, name, true)
		must(t, err)
		defer v.Close()
		return fmt.Sprint(v.UIDValidity(), v.uids)
	}
	if !take("INBOX", 1_500_000_000, 100) || !take("INBOX", 1_500_000_000, 110) {
		t.Error("a new mailbox was not taken over, or only once")
	}
	bring("INBOX", "x", 10, 12, 50)
	bring("INBOX", "x", 10, 12, 50, 60) // again, and one more
	if got := uids("INBOX"); got != "1500000000 [10 12 50 60]" {
		t.Error(got)
	}
	// What is delivered meanwhile is above all that is to come; from the first letter
	// that somebody is told of, others follow it.
	_, uid, err := a.Append(bg, "INBOX", strings.NewReader(letterText("own")), 0, AppendOptions{})
	must(t, err)
	bring("INBOX", "x", 70)
	if got := uids("INBOX"); uid != 110 || got != "1500000000 [10 12 50 60 110 111]" {
		t.Error(uid, got)
	}
	must(t, a.Create(bg, "Second"))
	must(t, a.Create(bg, "Third"))
	if take("Second", 1_500_000_000, 5) {
		t.Error("two mailboxes with one UIDVALIDITY")
	}
	future := uint32(time.Now().Unix()) + 10_000_000
	if !take("Second", 1_400_000_000, 5) || !take("Third", future, 7) {
		t.Error("not taken over")
	}
	must(t, a.Delete(bg, "Second"))
	must(t, a.Create(bg, "Second"))
	if take("Second", 1_400_000_000, 5) || take("Second", future, 5) {
		t.Error("a UIDVALIDITY was given twice")
	}
	if take("Second", uint32(time.Now().Unix()), 5) {
		t.Error("one that may have been given here")
	}
	must(t, a.Close())
	must(t, s.Close())

	// Next run: all that is still known. A session that has looked ends the keeping.
	s = newStore(vfs.OS{})
	a, err = s.Open(bg, Owner{Home: home})
	must(t, err)
	if take("Second", 1_400_000_000, 5) {
		t.Error("given twice, in another run")
	}
	if !take("Third", future, 7) {
		t.Error("the same mailbox is not known any more")
	}
	v, err := a.Select(bg, "Third", false)
	must(t, err)
	if v.Recent() != 0 || take("Third", future, 7) {
		t.Error("a session has looked")
	}
	must(t, v.Close())
	bring("Third", "y", 3)
	if got := uids("Third"); got != fmt.Sprint(future, " [7]") {
		t.Error(got)
	}
	v, err = a.Select(bg, "INBOX", false)
	must(t, err)
	ids, err := v.UIDLs(bg)
	must(t, err)
	if got := string(ids.Of(50)); got != "id-50" {
		t.Errorf("unique-id of POP3 %q", got)
	}
	must(t, v.Close())
	must(t, a.Close())
	must(t, s.Close())
}

// An account of which nobody knows since when it is there takes over nothing that may
// have been given.
func TestTakeOverOfOldAccount(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	open := func() (*Store, *Account) {
		s := newStore(vfs.OS{})
		a, err := s.Open(bg, Owner{Home: home})
		must(t, err)
		return s, a
	}
	s, a := open()
	_, _, err := a.Append(bg, "INBOX", strings.NewReader(letterText("x")), 0, AppendOptions{})
	must(t, err)
	must(t, a.Close())
	must(t, s.Close())
	must(t, os.Remove(filepath.Join(home, "index.db")))
	must(t, os.Remove(filepath.Join(home, "Maildir", stateFile)))
	s, a = open()
	kept, err := a.TakeOver(bg, "Sent", 1_400_000_000, 5)
	if kept || err != nil {
		t.Error(kept, err)
	}
	must(t, a.Close())
	must(t, s.Close())
}

// TestBringJournal: whatever a crash leaves of the journal, the next run knows what came.
func TestBringJournal(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := newStore(vfs.OS{})
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	journal := filepath.Join(home, "imports", "x")
	fill := func(from, to int) {
		t.Helper()
		b, err := a.Bring(bg, "INBOX", "x")
		must(t, err)
		for i := from; i < to; i++ {
			must(t, b.Add(bg, Arriving{Key: Key{1, byte(i)}}, strings.NewReader(letterText(fmt.Sprint(i)))))
		}
		_, err = b.Commit(bg)
		must(t, err)
		must(t, b.Close())
	}
	fill(0, 3)
	before, err := os.ReadFile(journal)
	must(t, err)
	fill(3, 6)
	whole, err := os.ReadFile(journal)
	must(t, err)
	intent := whole[:len(whole)-len("c\n")]
	for _, x := range []struct {
		name string
		text string
		come int // letters in INBOX after all of them were brought again
	}{
		{"whole", string(whole), 6},
		{"committed, and not noted", string(intent), 6},
		{"torn in the middle, so that nothing was committed", string(before) + "b 3\n0102", 9},
		{"torn, with rubbish", string(before) + "b 3\n\x00\x00\n", 12},
		{"intended, and not committed", string(before) + strings.ReplaceAll(string(intent[len(before):]), ".N", ".X"), 15},
	} {
		must(t, os.WriteFile(journal, []byte(x.text), 0o600))
		fill(0, 6)
		st, err := a.Status(bg, "INBOX")
		must(t, err)
		if int(st.Messages) != x.come {
			t.Errorf("%s: %d letters, want %d", x.name, st.Messages, x.come)
		}
	}
	must(t, os.WriteFile(journal, []byte("b 1\nrubbish\ne\nc\n"+string(whole)), 0o600))
	if _, err := a.Bring(bg, "INBOX", "x"); err == nil {
		t.Error("a damaged journal was believed")
	}
	must(t, a.Close())
	must(t, s.Close())
}

// A source that fails, and a disk that is full, leave nothing behind.
func TestBringFails(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := newStore(vfs.OS{})
	a, err := s.Open(bg, Owner{Home: home})
	must(t, err)
	b, err := a.Bring(bg, "INBOX", "x")
	must(t, err)
	must(t, b.Add(bg, Arriving{Key: Key{1}}, strings.NewReader(letterText("1"))))
	if err := b.Add(bg, Arriving{Key: Key{2}}, &torn{}); err == nil {
		t.Error("half a letter")
	}
	n, err := b.Commit(bg)
	if n != 1 || err != nil {
		t.Error(n, err)
	}
	must(t, b.Add(bg, Arriving{Key: Key{3}}, strings.NewReader(letterText("1"))))
	must(t, b.Close())
	left, err := os.ReadDir(filepath.Join(home, "Maildir", "tmp"))
	if len(left) > 0 || err != nil {
		t.Error(left, err)
	}
	must(t, a.Close())
	must(t, s.Close())
}

type torn struct{ n int }

func (r *torn) Read(p []byte) (int, error) {
	if r.n++; r.n > 2 {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(p, "Subject: a\r\n"), nil
}

// A crash at any file operation of a takeover leaves a mailbox that can be taken over, or is. What the index of a new account lost
// was never given to anybody.
func TestTakeOverCrashes(t *testing.T) {
	t.Parallel()
	const old, future = 1_500_000_000, 4_000_000_000
	for _, validity := range []uint32{old, future} {
		t.Run(fmt.Sprint(validity), func(t *testing.T) {
			t.Parallel()
			if validity == future && testing.Short() {
				t.Skip("the long run does both")
			}
			base := &cutRun{t: t, home: t.TempDir(), mem: vfs.NewMem()}
			must(t, vfs.MkdirAll(base.mem, base.home, 0o700))
			take := func(mem *vfs.Mem, name string, validity uint32) (*Account, bool, error) {
				a, err := newStore(mem).Open(bg, Owner{Home: base.home})
				if err != nil {
					return nil, false, err
				}
				for _, x := range []string{"Sent", "Trash"} { // the end may have come before they were made
					if err := a.Create(bg, x); err != nil && !errors.Is(err, ErrExists) {
						return a, false, err
					}
				}
				kept, err := a.TakeOver(bg, name, validity, 100)
				return a, kept, err
			}
			step := 1
			if testing.Short() {
				step = 5
			}
			for n := 0; ; n += step {
				mem := base.mem.Crash(0)
				mem.StopAfter(n)
				a, _, done := take(mem, "Sent", validity)
				if a != nil {
					a.idx.close()
				}
				b, kept, err := take(mem.Crash(1), "Sent", validity)
				if must(t, err); !kept {
					t.Errorf("crash after %d operations: it is not taken over", n)
				}
				twice, err := b.TakeOver(bg, "Trash", validity, 5)
				if must(t, err); kept && twice {
					t.Errorf("crash after %d operations: it is given twice", n)
				}
				b.idx.close()
				must(t, removeIndex(filepath.Join(base.home, "index.db")))
				if done == nil {
					t.Logf("%d operations", n)
					return
				}
			}
		})
	}
}

// A server that ends between facteur-uids and the index can go on with the same mailbox,
// and with no other; what a backup has of it counts no more.
func TestTakeOverCutOff(t *testing.T) {
	t.Parallel()
	const old, future = 1_500_000_000, 4_000_000_000
	for _, x := range []struct {
		validity uint32
		restored bool
	}{{old, false}, {future, false}, {old, true}} {
		t.Run(fmt.Sprint(x), func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			a, err := newStore(vfs.OS{}).Open(bg, Owner{Home: home})
			must(t, err)
			a.mu.Lock()
			b, err := a.find("Sent")
			must(t, err)
			a.noteValidity(x.validity)
			a.validity, a.taking = max(a.validity, x.validity), taking{x.validity, b.validity}
			must(t, a.noteTaking())
			a.mu.Unlock()
			must(t, a.idx.close())
			if x.restored {
				must(t, Restored(home))
			}
			for run, want := range []bool{!x.restored, !x.restored} {
				s := newStore(vfs.OS{})
				a, err := s.Open(bg, Owner{Home: home})
				must(t, err)
				must(t, a.Subscribe(bg, "Junk", true)) // a change that comes first
				other, err := a.TakeOver(bg, "Trash", x.validity, 100)
				must(t, err)
				kept, err := a.TakeOver(bg, "Sent", x.validity, 100)
				if must(t, err); other || kept != want {
					t.Errorf("run %d: another mailbox %t, the same %t", run, other, kept)
				}
				must(t, errors.Join(a.Close(), s.Close()))
			}
		})
	}
}
