//go:build !unix

package listen

import (
	"io"
	"sync"
	"syscall"
)

// readSocket holds a buffer while it waits: here we know no better.
func readSocket(s syscall.Conn, buffers *sync.Pool) (*Buffer, int, error) {
	b := buffers.Get().(*Buffer)
	n, err := s.(io.Reader).Read(b[:])
	if n == 0 {
		buffers.Put(b)
		return nil, 0, err
	}
	return b, n, nil
}
