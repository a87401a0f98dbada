//go:build unix

package listen

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// readSocket reads from a socket, and takes the buffer only for the moments of the
// system calls.
func readSocket(s syscall.Conn, buffers *sync.Pool) (b *Buffer, n int, err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		b = buffers.Get().(*Buffer)
		for {
			n, failed = syscall.Read(int(fd), b[:])
			if failed != syscall.EINTR {
				break
			}
		}
		if failed != nil || n == 0 {
			buffers.Put(b)
			b = nil
		}
		return failed != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return nil, 0, err
	case failed != nil:
		return nil, 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", failed)}
	case n == 0:
		return nil, 0, io.EOF
	}
	return b, n, nil
}
