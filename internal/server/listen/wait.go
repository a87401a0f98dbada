package listen

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Buffer is what ReadLate reads into.
type Buffer [4 << 10]byte

// NewBuffers makes a pool of Buffers, for any number of connections.
func NewBuffers() *sync.Pool { return &sync.Pool{New: func() any { return new(Buffer) }} }

// ErrNudged is what Await gives when Nudge ended the wait.
var ErrNudged = errors.New("nudged")

// Await runs wait, which reads from the connection and does nothing else, so that
// Nudge can end it: then the error is ErrNudged. It goes with Idle: call that first,
// for the deadline. A nudge that came while nobody waited counts for the next wait.
func (c *Conn) Await(wait func() error) error {
	c.mu.Lock()
	if c.nudged {
		c.nudged = false
		c.mu.Unlock()
		return ErrNudged
	}
	c.lull = true
	c.mu.Unlock()
	err := wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	nudged := c.nudged
	c.lull, c.nudged = false, false
	if !nudged || c.draining {
		return err
	}
	c.raw.SetReadDeadline(c.until) // which the nudge had moved
	if err == nil {
		c.nudged = true // both at once: the client first
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrNudged
	}
	return err
}

// Nudge ends the wait of the handler, or the next one. It may be called from any
// goroutine, never waits, and takes no lock that is held for long.
func (c *Conn) Nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nudged = true
	if c.lull {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// Calm forgets a nudge that came too late to be of interest.
func (c *Conn) Calm() {
	c.mu.Lock()
	c.nudged = false
	c.mu.Unlock()
}

// ReadLate is Read for a handler that does not want to hold a buffer while its client
// says nothing: one is taken from the pool when there is something to read. The first
// n octets of it are what came; it is to be given back. With an error there is none.
func (c *Conn) ReadLate(buffers *sync.Pool) (b *Buffer, n int, err error) {
	if s, bare := c.Conn.(syscall.Conn); bare {
		return readSocket(s, buffers)
	}
	// Below TLS the buffers are not ours. One octet waits for the record; the rest of
	// it costs no system call.
	if n, err = c.Conn.Read(c.one[:]); n == 0 {
		return nil, 0, err
	}
	b = buffers.Get().(*Buffer)
	b[0] = c.one[0]
	return b, 1, nil
}

// Unknown is the end of what Known began: the client logged out and stays. It is a
// stranger again, counted as one at its address. An error says why there is no room
// for one more stranger from there.
func (c *Conn) Unknown() error {
	if c.gate == nil { // a test's
		return nil
	}
	c.discountAccount()
	counted, err := c.gate.enter(c.service, c.Remote.Addr())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.counted = false, counted
	return err
}

// The probes of KeepAlive: a peer that is gone without a word is noticed within ten
// minutes, and a telephone that is out of reach for a while stays.
const (
	probeAfter = 5 * time.Minute // of silence
	probeEvery = time.Minute
	probes     = 5
)

// KeepAlive lets the system look from time to time whether the peer is still there,
// for a connection on which long silence is usual. Elsewhere the deadlines do, and
// the system calls are spared.
func (c *Conn) KeepAlive() {
	if t, ok := socket(c.raw).(*net.TCPConn); ok {
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes}) //nolint:errcheck // it goes on without
	}
}
