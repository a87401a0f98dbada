package listen

import "syscall"

// Ready tells that the client has sent something that nobody has read yet. It waits
// for nothing and reads nothing. Under TLS it is about the bytes of TLS.
func (c *Conn) Ready() bool {
	sc, ok := socket(c.raw).(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	ready := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ready = err == nil && n > 0
	})
	return err == nil && ready
}
