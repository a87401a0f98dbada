package quota

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

// account is a Maildir in memory with 1000 bytes and 10 letters allowed.
type account struct {
	t    *testing.T
	fs   *vfs.Mem
	book *Book
	Owner
	n int
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{t: t, fs: vfs.NewMem(), Owner: Owner{Address: "alice@example.org", Root: "/home/Maildir"}}
	a.Limits = Limits{Bytes: 1000, Messages: 10, Grace: 10, Outside: "Expunged", Warnings: []int{80, 95, 100}}
	for _, name := range []string{"INBOX", "Trash", "Expunged"} {
		if _, err := maildir.CreateFolder(a.fs, a.Root, name); err != nil {
			t.Fatal(err)
		}
	}
	a.book = New(a.fs)
	return a
}

// put makes a letter as any program would, without a word to the book.
func (a *account) put(folder string, size int) string {
	a.t.Helper()
	a.n++
	path := filepath.Join(a.Root, folder, "new", fmt.Sprintf("17.%d.x,S=%d", a.n, size))
	if err := vfs.WriteFile(a.fs, path, nil, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

func (a *account) want(bytes, messages int64) {
	a.t.Helper()
	got, err := a.book.Usage(a.t.Context(), a.Owner)
	if err != nil || got != (Usage{bytes, messages}) {
		a.t.Errorf("usage %+v, %v; want %d, %d", got, err, bytes, messages)
	}
}

func (a *account) file() string {
	a.t.Helper()
	if err := a.book.Wait(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	data, err := vfs.ReadFile(a.fs, filepath.Join(a.Root, sizeFile), 1<<20)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func TestFigure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.put("", 100)
		a.put(".Trash", 50)
		a.put(".Expunged", 500)
		time.Sleep(time.Second)
		a.want(150, 2)
		if got := a.file(); got != "1000S,10C\n150 2\n" {
			t.Errorf("%q", got)
		}
		// What we do counts at once, and stands in the file soon.
		a.book.Add(a.Owner, "INBOX", Usage{-100, -1})
		a.book.Delivered(Owner{Root: a.Root}, "INBOX", 7)
		a.book.Add(a.Owner, "Expunged", Usage{1000, 1000})
		a.want(57, 2)
		if _, sum, ok := parseSizes([]byte(a.file())); !ok || sum != (Usage{57, 2}) {
			t.Errorf("%q", a.file())
		}
		time.Sleep(2 * time.Second)
		a.want(57, 2)
		// Another program adds a line.
		if err := appendSizes(a.fs, a.Root, Usage{43, 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		a.want(100, 3)
		// In the end the directories are right: 100 + 50.
		time.Sleep(6 * time.Minute)
		a.want(150, 2)
		if got := a.file(); got != "1000S,10C\n150 2\n" {
			t.Errorf("%q", got)
		}
	})
}

// TestFileIsBelieved: after a restart nothing is counted if the file is younger than
// the letters; a file that is older, torn, long or of other limits is made anew.
func TestFileIsBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		older      bool
		want       Usage
	}{
		{"younger", "1000S,10C\n400 4\n", false, Usage{400, 4}},
		{"older", "1000S,10C\n400 4\n", true, Usage{100, 1}},
		{"torn", "1000S,10C\n400 4\n100", false, Usage{100, 1}},
		{"negative", "1000S,10C\n-400 4\n", false, Usage{100, 1}},
		{"other limits", "2000S,10C\n400 4\n", false, Usage{100, 1}},
		{"long", "1000S,10C\n" + strings.Repeat("1 0\n", 2000), false, Usage{100, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				write := func() { vfs.WriteFile(a.fs, filepath.Join(a.Root, sizeFile), []byte(c.text), 0o600) }
				if c.older {
					write()
					time.Sleep(time.Second)
				}
				a.put("", 100)
				time.Sleep(time.Second)
				if !c.older {
					write()
				}
				a.want(c.want.Bytes, c.want.Messages)
				a.file()
			})
		})
	}
}

// TestRefusalLooksFirst: who made room by another program need not wait.
func TestRefusalLooksFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		large := a.put("", 990)
		time.Sleep(time.Second)
		need := Usage{100, 1}
		if err := a.book.Room(t.Context(), a.Owner, "Trash", need); !errors.Is(err, ErrFull) {
			t.Error(err)
		}
		if err := a.book.Room(t.Context(), a.Owner, "Expunged", need); err != nil {
			t.Error(err)
		}
		if free, err := a.book.Free(t.Context(), a.Owner, 50); err != nil || free != 110 {
			t.Error(free, err)
		}
		time.Sleep(3 * time.Second)
		a.fs.Remove(large)
		time.Sleep(time.Second)
		if err := a.book.Room(t.Context(), a.Owner, "Trash", need); err != nil {
			t.Error(err)
		}
		a.file()
	})
}

// TestDiskFull (FLT-006): without room for the file the figure is right all the same.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.put("", 100)
		time.Sleep(time.Second)
		a.want(100, 1)
		a.fs.Inject(vfs.Fault{Op: vfs.OpWrite, For: -1, Err: syscall.ENOSPC, Short: true})
		a.fs.Inject(vfs.Fault{Op: vfs.OpCreate, For: -1, Err: syscall.ENOSPC})
		a.book.Add(a.Owner, "Trash", Usage{200, 2}) // until it is known that it can't be written
		a.book.Wait(t.Context())
		for range 3 {
			time.Sleep(3 * time.Second)
			a.want(100, 1) // the two letters are only said to be there
		}
		a.fs.Heal()
		time.Sleep(6 * time.Minute)
		a.want(100, 1)
		if got := a.file(); got != "1000S,10C\n100 1\n" {
			t.Errorf("%q", got)
		}
	})
}

// hanging is a file system that stops to answer.
type hanging struct {
	vfs.FS
	mu   sync.Mutex
	wait chan struct{}
}

func (h *hanging) hang() {
	h.mu.Lock()
	wait := h.wait
	h.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (h *hanging) Open(name string) (vfs.File, error)       { h.hang(); return h.FS.Open(name) }
func (h *hanging) Append(name string) (vfs.File, error)     { h.hang(); return h.FS.Append(name) }
func (h *hanging) Stat(name string) (vfs.Info, error)       { h.hang(); return h.FS.Stat(name) }
func (h *hanging) ReadDir(name string) ([]vfs.Entry, error) { h.hang(); return h.FS.ReadDir(name) }

// TestHungMount: nobody waits for ever, and nobody is told that he is over quota.
func TestHungMount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		wait := make(chan struct{})
		a.book = New(&hanging{FS: a.fs, wait: wait})
		for range 3 {
			begun := time.Now()
			_, err := a.book.Free(t.Context(), a.Owner, 1)
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrFull) || time.Since(begun) > patience {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		}
		a.book.Add(a.Owner, "INBOX", Usage{1, 1}) // and this does not wait at all
		close(wait)
		synctest.Wait()
		a.put("", 1)
		time.Sleep(6 * time.Minute)
		a.want(1, 1)
		a.file()
	})
}

// TestNothingForUnlimited: nothing is read or written for an account without limits.
func TestNothingForUnlimited(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.Limits = Limits{}
	before := a.fs.Ops()
	a.book.Add(a.Owner, "INBOX", Usage{100, 1})
	a.want(0, 0)
	if free, err := a.book.Free(t.Context(), a.Owner, 1<<40); err != nil || free < 1<<40 {
		t.Error(free, err)
	}
	if a.fs.Ops() != before {
		t.Error("the disk was asked")
	}
}

func TestWarningsComeOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		var mu sync.Mutex
		var told []int
		listen := func() {
			a.book.OnCrossing(func(x Crossing) { mu.Lock(); told = append(told, x.Threshold); mu.Unlock() })
		}
		listen()
		change := func(d int64, want string) {
			t.Helper()
			a.book.Add(a.Owner, "INBOX", Usage{d, 1})
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := fmt.Sprint(told); got != want {
				t.Errorf("told %s, want %s", got, want)
			}
			told = nil
		}
		a.want(0, 0)
		change(790, "[]")
		a.Limits.Messages, a.Limits.Rules = 0, nil
		a.put("", 790)
		time.Sleep(time.Second)
		a.want(790, 1)
		change(20, "[80]")
		change(20, "[]")
		change(-60, "[]") // 77 %: not left yet
		change(60, "[]")
		change(140, "[95]")
		change(60, "[100]")
		// A restart does not forget it.
		a.file()
		time.Sleep(time.Second)
		a.book = New(a.fs)
		listen()
		for _, size := range []int{200, 40} {
			a.put("", size)
		}
		time.Sleep(time.Second)
		a.want(1030, 3)
		change(1, "[]")
		change(-60, "[]")
		change(-100, "[0]") // room again
		change(150, "[]")   // full again on the same day
		change(-300, "[0]")
		time.Sleep(25 * time.Hour)
		change(1, "[]")
		a.file()
	})
}

// TestRealFiles: the same on the file system of this machine.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	o := Owner{Address: "a@example.org", Root: filepath.Join(home, "Maildir"), Limits: Limits{Bytes: 1 << 20}}
	if _, err := maildir.Create(vfs.OS{}, o.Root); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Root, "cur", "17.1.x:2,S"), make([]byte, 321), 0o600); err != nil {
		t.Fatal(err)
	}
	b := New(vfs.OS{})
	if got, err := b.Usage(t.Context(), o); err != nil || got != (Usage{321, 1}) {
		t.Fatal(got, err)
	}
	for range 100 {
		b.Add(o, "INBOX", Usage{10, 1})
	}
	if err := b.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(o.Root, sizeFile))
	if _, sum, ok := parseSizes(data); err != nil || !ok || sum != (Usage{1321, 101}) {
		t.Errorf("%v %q", err, data)
	}
}
