package listen

import (
	"net"
	"syscall"
)

// Credentials are those of the process at the other end of a Unix socket, when it
// connected.
type Credentials struct {
	UID, GID uint32
	PID      int32
}

// Peercred asks the system who is at the other end of a Unix socket (SO_PEERCRED).
func (c *Conn) Peercred() (Credentials, error) {
	u, ok := socket(c.raw).(*net.UnixConn)
	if !ok {
		return Credentials{}, errNoPeer
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Credentials{}, err
	}
	var cred *syscall.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return Credentials{}, err
	}
	if inner != nil {
		return Credentials{}, inner
	}
	return Credentials{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}, nil
}
