package list

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// MAP-004: a file on a disk that hangs holds nobody up for longer than it must, and costs
// one goroutine.
func TestIncludeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let, reads := make(chan struct{}), new(atomic.Int32)
		s := NewIncludes()
		s.read = func(string) included { reads.Add(1); <-let; return included{text: "alice"} }
		ask := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			_, _, err := s.Read(ctx, "/home/list")
			return time.Since(began), err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if took, err := ask(ctx); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the asker's own time: %v, %v", took, err)
		}
		if took, err := ask(t.Context()); took != includeWait-time.Second || err == nil {
			t.Errorf("together with the first: %v, %v", took, err)
		}
		if took, err := ask(t.Context()); took != 0 || err == nil {
			t.Errorf("while it hangs: %v, %v", took, err)
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("%d goroutines read", n)
		}
		close(let)
		synctest.Wait()
		if text, _, err := s.Read(t.Context(), "/home/list"); text != "alice" || err != nil {
			t.Errorf("when it is back: %q, %v", text, err)
		}
	})
}

func TestIncludesHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		defer close(let)
		s := NewIncludes()
		s.read = func(string) included { <-let; return included{} }
		for i := range includesMax {
			s.reading(strings.Repeat("x", i))
		}
		if _, _, err := s.Read(t.Context(), "/one/more"); err == nil || len(s.under) != includesMax {
			t.Errorf("%d files: %v", len(s.under), err)
		}
	})
}

// What root reads for a user is a file of the user's, and not what he makes it look like.
func TestIncludeIsAPlainFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(path("file"), []byte("alice"), 0o600), os.Symlink("file", path("link")), os.Mkdir(path("dir"), 0o700),
		syscall.Mkfifo(path("fifo"), 0o600), os.Symlink(dir, path("dir/here")), os.Truncate(path("file"), 5),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"file": "", "dir/here/file": "", "link": "symbolic link", "dir": "expected a file", "fifo": "expected a file", "none": "no such file",
	} {
		text, _, err := NewIncludes().Read(t.Context(), path(name))
		if want == "" && (text != "alice" || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if os.Getuid() != 0 {
		return // nobody else can give files away
	}
	for _, x := range []struct {
		dir, file int
		read      bool
	}{{0, 0, true}, {0, 1, true}, {1, 1, true}, {1, 0, true}, {1, 2, false}} {
		if err := errors.Join(os.Chown(dir, x.dir, -1), os.Chown(path("file"), x.file, -1)); err != nil {
			t.Fatal(err)
		}
		if got := readInclude(path("file")); (got.err == nil) != x.read {
			t.Errorf("a file of %d in a directory of %d: %v", x.file, x.dir, got.err)
		}
	}
}
