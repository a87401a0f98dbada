package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"facteur/internal/server/listen"
)

const socketName = "control.sock"

// maxSocketPath is what fits a Unix socket's address (sun_path, with its NUL).
const maxSocketPath = 107

// socketPath is a name for the socket in dir that fits an address: a long one goes
// by way of an open descriptor. done ends its validity.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName), func() { d.Close() }, nil
}

// listenSocket makes the socket anew. The caller has the claim on dir, so that an
// old one is a dead one; what is none of ours is an error, and stays (LOC-015).
func listenSocket(dir string) (*net.UnixListener, error) {
	real := filepath.Join(dir, socketName)
	if info, err := os.Lstat(real); err == nil {
		if err := listen.OwnSocket(real, info); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(real); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // path may be of a descriptor that is closed by then
	// The directory keeps others out until this is done.
	if err := os.Chmod(real, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// guard is a listener that lets in only root and the user that we run as.
type guard struct{ *net.UnixListener }

// Accept gives the next connection of somebody who may.
func (g guard) Accept() (net.Conn, error) {
	for {
		c, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && (uid == 0 || int(uid) == os.Geteuid()) {
			return peerConn{c, uid}, nil
		}
		c.Close()
	}
}

// peer is the user on the other end of a connection, as the kernel knows it.
func peer(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
