package deliver

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/vfs"
)

// hangingFS is a file system of which a part does not answer, as when an NFS server is
// down: calls for it wait until it is back.
type hangingFS struct {
	vfs.FS
	part string // of the path
	op   string // the call that hangs: "create", "stat", "rename", "sync"

	mu   sync.Mutex
	down chan struct{} // closed when it answers again
	held int
}

func (f *hangingFS) wait(op, name string) {
	f.mu.Lock()
	down := f.down
	if op != f.op || !strings.Contains(name, f.part) || down == nil {
		f.mu.Unlock()
		return
	}
	f.held++
	f.mu.Unlock()
	<-down
}

func (f *hangingFS) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

func (f *hangingFS) answer() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.down)
	f.down = nil
}

func (f *hangingFS) Create(name string, perm fs.FileMode) (vfs.File, error) {
	f.wait("create", name)
	return f.FS.Create(name, perm)
}

func (f *hangingFS) Stat(name string) (vfs.Info, error) {
	f.wait("stat", name)
	info, err := f.FS.Stat(name)
	if strings.Contains(name, f.part) {
		info.Device += 1 << 40 // it is another file system
	}
	return info, err
}

func (f *hangingFS) Rename(from, to string) error {
	f.wait("rename", from)
	return f.FS.Rename(from, to)
}

func (f *hangingFS) SyncDir(name string) error {
	f.wait("sync", name)
	return f.FS.SyncDir(name)
}

// SyncFS is what a batch of several letters calls.
func (f *hangingFS) SyncFS(name string) error {
	f.wait("sync", name)
	return f.FS.SyncFS(name)
}

// TestAFileSystemThatHangsHoldsUpNobodyElse: bob's mailbox is on a server that is down.
func TestAFileSystemThatHangsHoldsUpNobodyElse(t *testing.T) {
	for _, op := range []string{"stat", "create", "sync", "rename"} {
		t.Run("LOC-005 "+op, func(t *testing.T) {
			c, book := newCorridor(t), &record{}
			// The mailboxes are made first: what is new syncs the directories above.
			stop := c.run()
			c.post("", "s@elsewhere.example", letterText, "alice@example.org", "bob@example.org")
			c.await("the queue is empty", c.empty)
			stop()

			far := &hangingFS{FS: vfs.OS{}, part: "/bob/", op: op, down: make(chan struct{})}
			c.fs, c.events = far, book
			d := c.dispatcher()
			bob := filepath.Join(c.dir, "mail", "example.org", "bob")
			d.local.patience = 2 * time.Second
			d.local.volumes = newVolumes(c.queue.Dir(), func() []string { return []string{"/", bob} })
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- d.Run(ctx, time.Second) }()

			for range 6 { // more than there are carriers
				c.post("", "s@elsewhere.example", letterText, "bob@example.org", "alice@example.org")
			}
			c.await("alice has hers", func() bool { return len(c.letters("alice")) == 7 })
			c.await("a carrier waits", func() bool { return far.waiting() > 0 })
			for range 6 {
				c.post("", "s@elsewhere.example", letterText, "alice@example.org", "bob@example.org")
			}
			c.await("alice has hers", func() bool { return len(c.letters("alice")) == 13 })
			c.await("bob's wait", func() bool {
				return slices.ContainsFunc(book.all(), func(line string) bool {
					return strings.Contains(line, "status=deferred (mailbox not reachable: the file system does not answer)")
				})
			})
			// With "sync" some may have their name already, and wait for that to be durable.
			if n := len(c.letters("bob")); n != 1 && op != "sync" {
				t.Errorf("bob has %d letters from a file system that hangs", n)
			}
			far.answer()
			c.await("the queue is empty", c.empty)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if a, b := len(c.letters("alice")), len(c.letters("bob")); a != 13 || b != 13 {
				t.Errorf("alice has %d letters, bob %d; want 13 each, none twice", a, b)
			}
			if d.local.volumes.hung.Load() != 0 || d.local.roster.aside != 0 {
				t.Errorf("still avoided: %v", d.local.volumes.waitedFor)
			}
		})
	}
}

func TestTheServerStopsAlthoughAFileSystemHangs(t *testing.T) {
	c := newCorridor(t)
	far := &hangingFS{FS: vfs.OS{}, part: "/bob/", op: "stat", down: make(chan struct{})}
	c.fs = far
	defer far.answer()
	d := c.dispatcher()
	d.local.patience = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Run(ctx, time.Second) }()
	c.post("", "s@elsewhere.example", letterText, "bob@example.org")
	c.await("a carrier waits", func() bool { return far.waiting() > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestVolumesAreNamedWithoutTouchingThem(t *testing.T) {
	v := newVolumes("/data/queue", func() []string { return []string{"/", "/data", "/data/mail/far.example", "/data/mail/far"} })
	for home, want := range map[string]string{
		"/data/mail/near.example/alice": "/data/mail/near.example",
		"/data/mail/far.example/bob":    "/data/mail/far.example",
		"/data/mail/farther.example/x":  "/data/mail/farther.example",
		"/elsewhere/x":                  "/",
	} {
		if got := v.of(home); got != want {
			t.Errorf("%s: %s, want %s", home, got, want)
		}
	}
	v.avoid([]string{"/data/mail/far.example"})
	v.avoid([]string{"/data/mail/far.example"})
	v.revive([]string{"/data/mail/far.example"})
	if v.answers("/data/mail/far.example/bob") || !v.answers("/data/mail/near.example/alice") {
		t.Error("one of two still waits for it")
	}
	v.revive([]string{"/data/mail/far.example"})
	if !v.answers("/data/mail/far.example/bob") {
		t.Error("nobody waits for it any more")
	}
}
