package listen

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Conn is an accepted connection. It belongs to its handler's goroutine; only
// the waking of Drain comes from elsewhere.
type Conn struct {
	// Conn is the stream, encrypted once TLS is on.
	net.Conn
	// Remote and Local are its ends, IPv4 in its own form; zero for a Unix
	// socket.
	Remote, Local netip.AddrPort

	raw    net.Conn // the socket below
	tls    *tls.ConnectionState
	client netip.Addr // what it is counted under

	mu       sync.Mutex
	idle     bool // waiting for a command: Drain may interrupt
	draining bool
}

// NewConn wraps a connection that no Server accepted, for tests of handlers.
func NewConn(raw net.Conn) *Conn { return newConn(raw) }

func newConn(raw net.Conn) *Conn {
	return &Conn{Conn: raw, raw: raw, Remote: addrPort(raw.RemoteAddr()), Local: addrPort(raw.LocalAddr())}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		// Without the zone of a link-local address, which no network contains.
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}

// Loopback tells that both ends are this machine: over a loopback address or a
// Unix socket.
func (c *Conn) Loopback() bool {
	if !c.Remote.IsValid() || !c.Local.IsValid() {
		_, unix := c.raw.(*net.UnixConn)
		return unix
	}
	return c.Remote.Addr().IsLoopback() && c.Local.Addr().IsLoopback()
}

// TLS is the state of the encryption, nil without.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// StartTLS does the server's side of a handshake, within HandshakeTimeout. The
// caller has made sure that it holds no bytes from before: they were sent in
// the clear by anybody. After an error the connection is to be closed.
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) error {
	c.Busy(HandshakeTimeout)
	t := tls.Server(c.raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	state := t.ConnectionState()
	c.Conn, c.tls = t, &state
	return nil
}

// Idle says that the handler is about to wait for the peer's next command. It
// sets the deadline of writes and reads to d from now, in total: it is called
// once for a command and not for each read. When it returns false the server is
// draining: say goodbye and return. A Drain while waiting makes the read fail
// with os.ErrDeadlineExceeded; Draining tells it from the peer's slowness.
func (c *Conn) Idle(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	c.idle = true
	c.raw.SetDeadline(time.Now().Add(d))
	return true
}

// Busy says that the handler is in the middle of something, which Drain does
// not interrupt, and sets the deadline of writes and reads to d from now.
func (c *Conn) Busy(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
	c.raw.SetDeadline(time.Now().Add(d))
}

// Draining tells that the server wants to end.
func (c *Conn) Draining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// drain tells the handler to finish and wakes it where it waits.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.idle {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}
