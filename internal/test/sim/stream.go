package sim

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one end of a connection of a Net.
type conn struct {
	in, out       *stream
	local, remote netip.AddrPort
	onClose       func() // nil at the end that was dialled
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.named("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.named("write", err)
}

func (c *conn) named(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close ends both directions. What was written still arrives.
func (c *conn) Close() error {
	c.in.close(net.ErrClosed, syscall.EPIPE)
	c.out.end()
	if c.onClose != nil {
		c.onClose()
	}
	return nil
}

// reset ends both directions, and what is on its way is lost.
func (c *conn) reset() {
	c.in.close(syscall.ECONNRESET, syscall.ECONNRESET)
	c.out.close(syscall.ECONNRESET, syscall.ECONNRESET)
}

// SetLinger is of net.TCPConn: with 0, who closes resets.
func (c *conn) SetLinger(int) error {
	c.reset()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.until(&c.in.readUntil, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.until(&c.out.writeUntil, t)
	return nil
}

// window is how many bytes are on their way at most before the writer waits.
const window = 64 << 10

// stream is one direction of a connection.
type stream struct {
	net  *Net
	road netip.Addr

	mu                    sync.Mutex
	changed               chan struct{} // closed when something below changes
	segments              []segment
	size                  int // bytes in segments
	ended                 bool
	severed               bool // bytes were lost on a silent road: nothing comes any more
	readFails, writeFails error
	readUntil, writeUntil time.Time
}

// segment is bytes that arrive at a time; nil bytes are the end.
type segment struct {
	at    time.Time
	bytes []byte
}

func newStream(n *Net, road netip.Addr) *stream {
	return &stream{net: n, road: road, changed: make(chan struct{})}
}

// change tells those who wait; mu is held.
func (s *stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) until(which *time.Time, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*which = t
	s.change()
}

// close makes reads and writes fail from now on.
func (s *stream) close(read, write error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readFails == nil {
		s.readFails = read
	}
	if s.writeFails == nil {
		s.writeFails = write
	}
	s.segments, s.size = nil, 0
	s.change()
}

// end sends the end of the stream; the writer can write no more.
func (s *stream) end() {
	s.mu.Lock()
	ended := s.ended
	s.ended = true
	if s.writeFails == nil {
		s.writeFails = net.ErrClosed
	}
	s.change()
	s.mu.Unlock()
	if !ended {
		s.send(nil)
	}
}

func (s *stream) read(p []byte) (int, error) {
	for len(p) > 0 {
		s.mu.Lock()
		n, wake, err := s.take(p, time.Now())
		changed := s.changed
		s.mu.Unlock()
		if n > 0 || err != nil {
			return n, err
		}
		await(changed, wake)
	}
	return 0, nil
}

// take reads what has arrived. When that is nothing, wake is when to look again;
// zero is when something changes.
func (s *stream) take(p []byte, now time.Time) (n int, wake time.Time, err error) {
	switch {
	case s.readFails != nil:
		return 0, wake, s.readFails
	case passed(s.readUntil, now):
		return 0, wake, os.ErrDeadlineExceeded
	}
	for len(s.segments) > 0 && n < len(p) && !s.segments[0].at.After(now) {
		first := &s.segments[0]
		if first.bytes == nil {
			if n > 0 {
				break
			}
			return 0, wake, io.EOF
		}
		took := copy(p[n:], first.bytes)
		n += took
		if first.bytes = first.bytes[took:]; len(first.bytes) == 0 {
			s.segments = s.segments[1:]
		}
	}
	if n > 0 {
		s.size -= n
		s.change()
		return n, wake, nil
	}
	wake = s.readUntil
	if len(s.segments) > 0 && (wake.IsZero() || s.segments[0].at.Before(wake)) {
		wake = s.segments[0].at
	}
	return 0, wake, nil
}

func (s *stream) write(p []byte) (sent int, err error) {
	for sent < len(p) {
		s.mu.Lock()
		room, changed, wake := window-s.size, s.changed, s.writeUntil
		switch {
		case s.writeFails != nil:
			err = s.writeFails
		case passed(s.writeUntil, time.Now()):
			err = os.ErrDeadlineExceeded
		}
		s.mu.Unlock()
		if err != nil {
			return sent, err
		}
		if room <= 0 {
			await(changed, wake)
			continue
		}
		part := p[sent:min(len(p), sent+room)]
		s.send(append([]byte{}, part...))
		sent += len(part)
	}
	return sent, nil
}

// send puts bytes on the road, or loses them. They arrive in order.
func (s *stream) send(bytes []byte) {
	took, arrives := s.net.trip(s.road)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.severed = s.severed || !arrives; s.severed || s.readFails != nil {
		return
	}
	at := time.Now().Add(took)
	if n := len(s.segments); n > 0 && at.Before(s.segments[n-1].at) {
		at = s.segments[n-1].at
	}
	s.segments = append(s.segments, segment{at: at, bytes: bytes})
	s.size += len(bytes)
	s.change()
}

func passed(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// await waits for a change, or until wake unless that is zero.
func await(changed <-chan struct{}, wake time.Time) {
	if wake.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(wake))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}
