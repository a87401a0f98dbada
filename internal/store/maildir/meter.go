package maildir

import (
	"errors"
	"io/fs"
	"path"
	"sync"
	"time"

	"facteur/internal/base/vfs"
)

// Usage is the bytes of all letters in a Maildir and its folders, by their names
// where those tell (S=), else by the files. A Maildir that is not there is empty.
func Usage(f vfs.FS, root string) (bytes int64, err error) {
	entries, err := f.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.Name == "cur" || e.Name == "new" {
			n, err := usageOf(f, path.Join(root, e.Name))
			if err != nil {
				return 0, err
			}
			bytes += n
		} else if e.Type.IsDir() && e.Name[0] == '.' {
			n, err := Usage(f, path.Join(root, e.Name))
			if err != nil {
				return 0, err
			}
			bytes += n
		}
	}
	return bytes, nil
}

func usageOf(f vfs.FS, dir string) (bytes int64, err error) {
	entries, err := f.ReadDir(dir)
	for _, e := range entries {
		size := ParseName(e.Name).Size
		if size < 0 {
			info, err := f.Stat(path.Join(dir, e.Name))
			if err != nil {
				continue // renamed or removed meanwhile
			}
			size = info.Size
		}
		bytes += size
	}
	return bytes, err
}

// Meter remembers the usage of Maildirs, so that the quota can be asked for at
// every RCPT. It measures anew when what it knows is old, and sooner when a
// Maildir seems nearly full: a user who made room should not wait for it. Letters
// that arrive in between are told to it.
type Meter struct {
	fs vfs.FS
	mu sync.Mutex
	by map[string]reading
}

type reading struct {
	bytes int64
	at    time.Time
}

const (
	readingAge  = 5 * time.Minute
	nearlyAge   = 2 * time.Second // the same for one that is nearly full
	readingsMax = 10_000
)

// NewMeter makes a Meter over f.
func NewMeter(f vfs.FS) *Meter { return &Meter{fs: f, by: make(map[string]reading)} }

// Usage is the bytes in the Maildir at root, of which quota are allowed.
func (m *Meter) Usage(root string, quota int64) (int64, error) {
	m.mu.Lock()
	r, ok := m.by[root]
	m.mu.Unlock()
	age := time.Since(r.at)
	if ok && age < readingAge && (r.bytes < quota-quota/10 || age < nearlyAge) {
		return r.bytes, nil
	}
	n, err := Usage(m.fs, root)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.by) >= readingsMax {
		clear(m.by)
	}
	m.by[root] = reading{n, time.Now()}
	return n, nil
}

// Add tells of bytes that arrived (or, negative, went).
func (m *Meter) Add(root string, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.by[root]; ok {
		r.bytes += bytes
		m.by[root] = r
	}
}
