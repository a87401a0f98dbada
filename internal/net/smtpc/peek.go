package smtpc

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// glance is how long to look for what may lie in a TLS record that has arrived.
// Most often that is a session ticket, and the time is waited for nothing.
const glance = 5 * time.Millisecond

// spoke tells whether the peer has said something that nobody asked for. Only
// what has arrived is seen; nothing is waited for.
func (c *Conn) spoke() bool {
	if c.r.Buffered() > 0 {
		return true
	}
	arrived, _ := peek(c.raw)
	if !arrived || c.stream == c.raw {
		return arrived
	}
	// Bytes under TLS may be a session ticket, which is no speech.
	return c.peekByte() == nil
}

// quiet tells whether the peer is still there and has nothing to say.
func (c *Conn) quiet() bool {
	if c.r.Buffered() > 0 {
		return false
	}
	arrived, closed := peek(c.raw)
	if !arrived || c.stream == c.raw {
		return !arrived && !closed
	}
	// Not a byte to read, and not a close_notify either.
	return errors.Is(c.peekByte(), os.ErrDeadlineExceeded)
}

func (c *Conn) peekByte() error {
	c.raw.SetReadDeadline(time.Now().Add(glance))
	_, err := c.r.Peek(1)
	return err
}

// peek looks at what has arrived on a socket without taking it.
func peek(nc net.Conn) (arrived, closed bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false, true
	}
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		arrived = n > 0
		closed = n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR
	})
	return arrived, closed || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}
