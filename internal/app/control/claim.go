package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse: another process works on the data directory.
var ErrInUse = errors.New("is in use")

// patience is how long a server waits for the data directory: a command that
// works on it is done sooner, another server is not.
const patience = 3 * time.Second

// Claim is the sole right to work on a data directory (FLT-011).
type Claim struct{ file *os.File }

// NewClaim makes dir (mode 0700) if it is missing, checks that it is ours and
// nobody else's, and takes it. It waits a moment for a command to finish; the
// error then wraps ErrInUse and names the other process.
func NewClaim(ctx context.Context, dir string) (*Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := tryClaim(dir)
		if !errors.Is(err, ErrInUse) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func tryClaim(dir string) (*Claim, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		defer f.Close()
		return nil, fmt.Errorf("data directory %s %w%s", dir, ErrInUse, holder(f))
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("data directory: lock %s: %w", f.Name(), err)
	}
	// Only for messages: the lock is what counts.
	if f.Truncate(0) == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &Claim{f}, nil
}

// holder is " by process N", if the file says so.
func holder(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		return fmt.Sprintf(" by process %d", pid)
	}
	return ""
}

// Release gives the directory back.
func (c *Claim) Release() error { return c.file.Close() }

// prepare makes dir if it is missing, and refuses one that is not ours alone: what
// root would write into another user's directory, that user's server could not
// read; and where everybody can write, everybody can make accounts (MAP-011).
func prepare(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		info, err = os.Stat(dir)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("data directory %s is not a directory", dir)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("data directory %s can be written by others (mode %04o); chmod 700 it", dir, mode)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return fmt.Errorf("data directory %s belongs to user %d, and this is user %d; run facteur as its owner", dir, owner, os.Geteuid())
	}
	return nil
}
