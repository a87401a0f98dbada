package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// both runs a test on the real file system and on the twin.
func both(t *testing.T, test func(t *testing.T, f FS, root string)) {
	t.Run("OS", func(t *testing.T) { test(t, OS{}, t.TempDir()) })
	t.Run("Rooted", func(t *testing.T) {
		f, err := Rooted(t.TempDir())
		must(t, err)
		test(t, f, ".")
	})
	t.Run("Mem", func(t *testing.T) { test(t, NewMem(), "/") })
}

func write(t *testing.T, f FS, name, text string) {
	t.Helper()
	file, err := f.Create(name, 0o600)
	must(t, err)
	_, err = io.WriteString(file, text)
	must(t, err)
	must(t, file.Close())
}

func list(t *testing.T, f FS, dir string) string {
	t.Helper()
	entries, err := f.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprintf("%s:%t", e.Name, e.Type.IsDir()))
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

// TestContract: what both implementations promise.
func TestContract(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, f FS, root string) {
		in := func(name string) string { return filepath.Join(root, name) }
		must(t, MkdirAll(f, in("a/b"), 0o700))
		must(t, MkdirAll(f, in("a/b"), 0o700))
		if err := f.Mkdir(in("a"), 0o700); !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		write(t, f, in("a/x"), "hello")
		if _, err := f.Create(in("a/x"), 0o600); !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		must(t, f.Link(in("a/x"), in("a/y")))
		if err := f.Link(in("a/x"), in("a/y")); !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		x, err := f.Stat(in("a/x"))
		must(t, err)
		y, err := f.Stat(in("a/y"))
		must(t, err)
		if x.Inode != y.Inode || x.Device != y.Device || x.Size != 5 || !x.Mode.IsRegular() {
			t.Fatal(x, y)
		}
		must(t, f.Rename(in("a/x"), in("a/b/z")))
		for _, err := range []error{f.Rename(in("a/x"), in("q")), f.Remove(in("a/x")), f.Link(in("nix"), in("q")), f.SyncDir(in("nix"))} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := f.Remove(in("a")); !errors.Is(err, syscall.ENOTEMPTY) {
			t.Fatal(err)
		}
		if got := list(t, f, in("a")); got != "b:true y:false" {
			t.Fatal(got)
		}
		must(t, f.SyncDir(in("a")))
		if err := f.SyncFS(in("a")); err != nil && !errors.Is(err, ErrNoSyncFS) {
			t.Fatal(err)
		}
		file, err := f.Open(in("a/b/z"))
		must(t, err)
		defer file.Close()
		must(t, f.Remove(in("a/b/z")))
		buf := make([]byte, 10)
		if n, err := file.ReadAt(buf, 1); n != 4 || err != io.EOF || string(buf[:4]) != "ello" {
			t.Fatal(n, err)
		}
		must(t, WriteFile(f, in("w"), []byte("1"), 0o600))
		must(t, WriteFile(f, in("w"), []byte("22"), 0o600))
		if b, err := ReadFile(f, in("w"), 100); string(b) != "22" || err != nil {
			t.Fatal(b, err)
		}
	})
}

// TestRooted: no name leaves the root.
func TestRooted(t *testing.T) {
	t.Parallel()
	f, err := Rooted(t.TempDir())
	must(t, err)
	for _, name := range []string{"../x", "/etc/passwd", "a/../../x"} {
		if _, err := f.Open(name); err == nil || errors.Is(err, fs.ErrNotExist) && name != "a/../../x" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCrash: over many seeds, what was synced is always there, what was not is
// sometimes there and sometimes not, and nothing else ever.
func TestCrash(t *testing.T) {
	t.Parallel()
	t.Run("FLT-002 FLT-003", func(t *testing.T) {
		m := NewMem()
		must(t, m.Mkdir("/d", 0o700))
		write(t, m, "/d/sure", strings.Repeat("s", 2000))
		must(t, m.SyncFS("/"))
		write(t, m, "/d/torn", strings.Repeat("t", 5000))
		must(t, m.SyncDir("/d"))
		write(t, m, "/d/maybe", "m")
		must(t, m.Rename("/d/sure", "/d/moved"))
		seen := map[string]int{}
		for seed := range uint64(400) {
			c := m.Crash(seed)
			names := list(t, c, "/d")
			seen[names]++
			if strings.Contains(names, "sure") == strings.Contains(names, "moved") {
				t.Fatalf("seed %d: half a rename: %s", seed, names)
			}
			for _, n := range []string{"/d/sure", "/d/moved"} {
				if b, err := ReadFile(c, n, 1e6); err == nil && len(b) != 2000 {
					t.Fatalf("seed %d: synced bytes lost", seed)
				}
			}
			b, err := ReadFile(c, "/d/torn", 1e6)
			if err != nil {
				t.Fatalf("seed %d: synced name lost", seed)
			}
			switch {
			case len(b) == 5000 && bytes.Count(b, []byte("t")) == 5000:
				seen["whole"]++
			case len(b) == 0:
				seen["empty"]++
			case bytes.Count(b, []byte("t")) < len(b):
				seen["holes"]++
			default:
				seen["short"]++
			}
			if again := list(t, m.Crash(seed), "/d"); again != names {
				t.Fatalf("seed %d is not repeatable", seed)
			}
		}
		if len(seen) != 8 {
			t.Fatalf("not all outcomes: %v", seen)
		}
	})
}

func TestCrashOrder(t *testing.T) {
	t.Parallel()
	m := NewMem()
	must(t, m.Mkdir("/a", 0o700))
	write(t, m, "/a/1", "x")
	must(t, m.SyncFS("/"))
	must(t, m.Rename("/a/1", "/a/2"))
	must(t, m.Rename("/a/2", "/a/3"))
	write(t, m, "/a/1", "y") // the name is used again
	for seed := range uint64(200) {
		c := m.Crash(seed)
		found := 0
		for _, e := range []string{"/a/1", "/a/2", "/a/3"} {
			if b, err := ReadFile(c, e, 9); err == nil && string(b) == "x" {
				found++
			}
		}
		if found != 1 {
			t.Fatalf("seed %d: the file has %d names: %s", seed, found, list(t, c, "/a"))
		}
	}
	// Making the last name durable takes along what it builds on.
	must(t, m.Rename("/a/3", "/a/4"))
	must(t, m.SyncDir("/a"))
	if got := list(t, m.Crash(0), "/a"); got != "1:false 4:false" {
		t.Fatal(got)
	}
}

func TestStopAfter(t *testing.T) {
	t.Parallel()
	m := NewMem()
	m.StopAfter(2)
	must(t, m.Mkdir("/a", 0o700))
	must(t, m.Mkdir("/b", 0o700))
	if err := m.Mkdir("/c", 0o700); !errors.Is(err, ErrPowerCut) {
		t.Fatal(err)
	}
	if m.Ops() != 2 {
		t.Fatal(m.Ops())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	t.Run("FLT-005", func(t *testing.T) {
		m := NewMem()
		f, err := m.Create("/x", 0o600)
		must(t, err)
		must(t, m.SyncDir("/"))
		io.WriteString(f, "lost")
		m.Inject(Fault{Op: OpSync, Nth: 1, Err: syscall.EIO})
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		must(t, f.Sync()) // the lie
		for seed := range uint64(50) {
			if b, err := ReadFile(m.Crash(seed), "/x", 9); err == nil && len(b) == 0 {
				return
			}
		}
		t.Fatal("a failed sync was made good by a second one")
	})
	t.Run("FLT-006", func(t *testing.T) {
		m := NewMem()
		m.Inject(Fault{Op: OpWrite, Match: "x", Nth: 2, For: -1, Err: syscall.ENOSPC, Short: true})
		f, err := m.Create("/x", 0o600)
		must(t, err)
		_, err = io.WriteString(f, "1234")
		must(t, err)
		if n, err := io.WriteString(f, "5678"); n != 2 || !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(n, err)
		}
		m.Heal()
		_, err = io.WriteString(f, "!")
		must(t, err)
		if b, _ := ReadFile(m, "/x", 99); string(b) != "123456!" {
			t.Fatalf("%s", b)
		}
	})
}

func TestSetTime(t *testing.T) {
	t.Parallel()
	rooted, err := Rooted(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []FS{NewMem(), rooted} {
		if err := f.SetTime("x", time.Unix(1e9, 0)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%T: %v", f, err)
		}
		file, err := f.Create("x", 0o600)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		if err := f.SetTime("x", time.Unix(1e9, 0)); err != nil {
			t.Errorf("%T: %v", f, err)
		}
		if info, err := f.Stat("x"); err != nil || info.ModTime.Unix() != 1e9 {
			t.Errorf("%T: %v, %v", f, info, err)
		}
	}
}
