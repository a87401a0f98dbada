package mailbox

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// spareSize is how much room is kept for a full disk, in bytes: what some accounts need
// to open their indexes and to write down what goes.
const spareSize = 4 << 20

// spareEvery is how often the room is taken back, if there is some.
const spareEvery = time.Minute

// spare is a file that is there to be deleted: on a disk without a free block letters
// could not be expunged, as the index has to say so, and SQLite has to have room for
// its log. It is given up when that happens, and made anew when there is room again.
type spare struct {
	mu    sync.Mutex
	path  string // "" for none
	again *time.Timer
}

// KeepSpare keeps some room in a directory for who wants to make room when the file
// system is full. It comes before the first use.
func (s *Store) KeepSpare(dir string) {
	s.spare.mu.Lock()
	defer s.spare.mu.Unlock()
	s.spare.path = filepath.Join(dir, "spare")
	s.spare.make()
}

// make makes the file, and tries again later if it can't. Callers hold mu.
func (s *spare) make() {
	if info, err := os.Stat(s.path); err == nil && info.Size() == spareSize {
		return
	}
	if err := s.write(); err != nil {
		os.Remove(s.path)
		s.later()
	}
}

// write fills the file with what no file system makes smaller. If it leaves no room for
// anything else, it is not to be there.
func (s *spare) write() error {
	data := make([]byte, spareSize)
	rand.Read(data) // never fails
	if err := os.WriteFile(s.path, data, 0o600); err != nil {
		return err
	}
	var left syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(s.path), &left); err == nil && int64(left.Bavail)*int64(left.Bsize) < 2*spareSize {
		return syscall.ENOSPC
	}
	return nil
}

func (s *spare) later() {
	s.again = time.AfterFunc(spareEvery, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.again != nil {
			s.make()
		}
	})
}

// giveUp makes room, and tells whether it did.
func (s *spare) giveUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" || os.Remove(s.path) != nil {
		return false
	}
	s.later()
	return true
}

// close ends the attempts to make it anew.
func (s *spare) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again != nil {
		s.again.Stop()
		s.again = nil
	}
}

// inNeed runs what may find the disk full, and again with the room that was kept.
func (s *spare) inNeed(fn func() error) error {
	err := fn()
	if IsFull(err) && s.giveUp() {
		err = fn()
	}
	return err
}
