package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncFS makes the file system that holds f durable.
func syncFS(f *os.File) error {
	err := unix.Syncfs(int(f.Fd()))
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return ErrNoSyncFS
	}
	return os.NewSyscallError("syncfs "+f.Name(), err)
}
