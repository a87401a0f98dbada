package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open listens on "host:port". Keep-alive probes are off: sessions have
// deadlines, and each accepted connection is spared four system calls.
func Open(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	return lc.Listen(ctx, "tcp", address)
}

// OpenUnix listens on a Unix socket at path. A socket that a killed server left
// there is removed; one where somebody answers, one of another user's, a link, or a file
// that is no socket, is an error, and stays (LOC-015). Nobody whom mode does not allow can connect at any moment. Closing the
// listener removes the socket.
func OpenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// Linux makes the file with the mode of the socket, less the umask, so
		// that it is never open to more than it should.
		var inner error
		err := c.Control(func(fd uintptr) { inner = syscall.Fchmod(int(fd), uint32(mode.Perm())) })
		return errors.Join(err, inner)
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := chmodSocket(path, mode); err != nil { // what the umask took away
		l.Close()
		return nil, err
	}
	return l, nil
}

// chmodSocket is chmod for a socket of ours, and for nothing that somebody has put in its
// place meanwhile.
func chmodSocket(path string, mode fs.FileMode) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if info, err := f.Stat(); err != nil || OwnSocket(path, info) != nil {
		return errors.Join(err, fmt.Errorf("%s was replaced by another program", path))
	}
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode.Perm())
}

// OwnSocket is an error for what is no socket, or one that another user has made.
func OwnSocket(path string, info fs.FileInfo) error {
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is no socket: move it away", path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is a socket of another user's: remove it, or choose a directory that only the server may write to", path)
	}
	return nil
}

// removeStale removes a socket where nobody answers any more.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := OwnSocket(path, info); err != nil {
		return err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("another program listens on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: can't tell whether another program listens there: %w", path, err)
	}
	return os.Remove(path)
}
