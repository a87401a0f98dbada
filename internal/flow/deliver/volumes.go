package deliver

import (
	"path/filepath"
	"sync"
	"sync/atomic"
)

// volumes are the file systems that mailboxes are on, and which of them do not answer
// (LOC-005): an NFS server that is down holds every call for what is on it, for hours. A
// volume is named by where it is mounted. On the file system of the queue, which has to
// answer in any case, each domain's directory is one, for it may be a link to elsewhere.
type volumes struct {
	queue string // a path on the queue's own file system
	list  func() []string

	// mounts are the mount points, and hung is how many volumes do not answer.
	mounts atomic.Pointer[map[string]bool]
	hung   atomic.Int32

	mu sync.Mutex
	// waitedFor is how many carriers wait for a volume.
	waitedFor map[string]int
}

func newVolumes(queue string, list func() []string) *volumes {
	v := &volumes{queue: queue, list: list, waitedFor: make(map[string]int)}
	v.refresh()
	return v
}

// refresh reads the mount points again.
func (v *volumes) refresh() {
	mounts := make(map[string]bool)
	for _, m := range v.list() {
		mounts[filepath.Clean(m)] = true
	}
	v.mounts.Store(&mounts)
}

// of is the volume of an account's home. Nothing on it is touched.
func (v *volumes) of(home string) string {
	mounts := *v.mounts.Load()
	if m := mountOf(mounts, home); m != mountOf(mounts, v.queue) {
		return m
	}
	return filepath.Dir(home)
}

// mountOf is the nearest mount point above a path, or the path itself.
func mountOf(mounts map[string]bool, path string) string {
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		if mounts[dir] || dir == filepath.Dir(dir) {
			return dir
		}
	}
}

// answers tells whether a home may be touched. While all is well that costs next to
// nothing.
func (v *volumes) answers(home string) bool {
	if v.hung.Load() == 0 {
		return true
	}
	name := v.of(home)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.waitedFor[name] == 0
}

// avoid keeps all from volumes, until revive was called as often.
func (v *volumes) avoid(names []string) { v.count(names, 1) }

func (v *volumes) revive(names []string) { v.count(names, -1) }

func (v *volumes) count(names []string, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range names {
		if v.waitedFor[name] += n; v.waitedFor[name] == 0 {
			delete(v.waitedFor, name)
		}
	}
	v.hung.Store(int32(len(v.waitedFor)))
}
