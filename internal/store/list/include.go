package list

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// includeMax is the largest :include: file of aliases(5), in bytes.
	includeMax = 4 << 20
	// includeWait is how long one may take to be read.
	includeWait = 10 * time.Second
	// includesMax is how many may be under way at once.
	includesMax = 64
)

// Includes reads the :include: files of aliases(5). It is safe for concurrent use.
//
// A file lies where it lies, on the home of a machine that went away too, and a read
// there can be neither ended nor hurried. So each path has one reading at a time, in a
// goroutine of its own: those who ask meanwhile wait for it together, ten seconds from
// its beginning; who comes later hears at once that the file can't be had. At most 64
// readings hang.
type Includes struct {
	read  func(path string) included
	mu    sync.Mutex
	under map[string]*reading
}

// included is what a file said.
type included struct {
	text, owner string
	err         error
}

// reading is a read that is under way.
type reading struct {
	over  chan struct{} // closed once what is known
	what  included
	until time.Time // nobody waits for it beyond
}

// NewIncludes makes an Includes.
func NewIncludes() *Includes {
	return &Includes{read: readInclude, under: map[string]*reading{}}
}

// Read reads an :include: file, and tells who owns it: its commands are his. Of a file of
// root's that is nobody, "". An error means that it can't be had now: mail waits.
//
// The server reads with root's rights what a user may have put there. So only regular
// files of at most 4 MB are read, the last part of the path is no symbolic link, and the
// file belongs to root or to whoever owns its directory, if that is not root's own.
func (s *Includes) Read(ctx context.Context, path string) (text, owner string, err error) {
	r := s.reading(path)
	if r == nil {
		return "", "", errors.New("too many files hang")
	}
	late := time.NewTimer(time.Until(r.until))
	defer late.Stop()
	select {
	case <-r.over:
		return r.what.text, r.what.owner, r.what.err
	case <-ctx.Done():
		return "", "", ctx.Err()
	case <-late.C:
		return "", "", fmt.Errorf("can't be read within %v", includeWait)
	}
}

// reading is the one of a path; nil where too many are under way.
func (s *Includes) reading(path string) *reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.under[path]; r != nil {
		return r
	}
	if len(s.under) >= includesMax {
		return nil
	}
	r := &reading{over: make(chan struct{}), until: time.Now().Add(includeWait)}
	s.under[path] = r
	go func() {
		r.what = s.read(path)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.under, path)
		close(r.over)
	}()
	return r
}

func readInclude(path string) included {
	f, who, err := openInclude(path)
	if err != nil {
		return included{err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, includeMax))
	if err != nil {
		return included{err: err}
	}
	if who == 0 {
		return included{text: string(b)}
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(who), 10))
	if err != nil {
		return included{err: fmt.Errorf("whose it is can't be told: %w", err)}
	}
	return included{text: string(b), owner: u.Username}
}

// openInclude opens a file that may be read, and tells the number of its owner.
func openInclude(path string) (*os.File, uint32, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	fd, err := unix.Openat(int(dir.Fd()), filepath.Base(path), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) // a FIFO has no writer
	if errors.Is(err, unix.ELOOP) {
		return nil, 0, errors.New("expected a file, found a symbolic link")
	}
	if err != nil {
		return nil, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	who, err := ownerOf(f, dir)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, who, nil
}

// ownerOf is who owns a file that may be read. In a directory of root's he put it there;
// in anybody else's, a file of a third user may be a link to what is none of his business.
func ownerOf(f, dir *os.File) (uint32, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > includeMax {
		return 0, fmt.Errorf("expected a file of at most %d MB", includeMax>>20)
	}
	around, err := dir.Stat()
	if err != nil {
		return 0, err
	}
	file, of := info.Sys().(*syscall.Stat_t), around.Sys().(*syscall.Stat_t)
	if file.Uid != 0 && of.Uid != 0 && file.Uid != of.Uid {
		return 0, errors.New("belongs neither to root nor to the owner of its directory")
	}
	return file.Uid, nil
}
