package listen

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"facteur/internal/base/limit"
)

// Conn is an accepted connection. It belongs to its handler's goroutine; only Nudge
// and the waking of Drain and of the shedding come from elsewhere.
type Conn struct {
	// Conn is the stream, encrypted once TLS is on.
	net.Conn
	// Remote and Local are its ends, IPv4 in its own form; zero for a Unix
	// socket. Behind a proxy they are those of the client that it speaks for, and
	// 0.0.0.0 for one whom it does not name.
	Remote, Local netip.AddrPort

	raw     net.Conn // the socket below; behind a proxy, what follows its header
	tls     *tls.ConnectionState
	gate    *Gate
	room    *limit.Room
	service string
	// loggedIn: its place in room is one of those.
	loggedIn bool
	away     bool // a proxy on another machine speaks for the client

	one [1]byte // see ReadLate

	mu       sync.Mutex
	idle     time.Time // since when it waits for a command, which may be interrupted
	until    time.Time // the deadline of that
	lull     bool      // it is in Await, which Nudge may end
	nudged   bool
	known    bool
	counted  bool   // as a client, at the gate
	account  string // counted under it, at the gate
	owner    string // who has logged in
	draining bool
}

// NewConn wraps a connection that no Server accepted: for tests of handlers, and for the
// server that tries its own door.
func NewConn(raw net.Conn) *Conn { return newConn(raw) }

func newConn(raw net.Conn) *Conn {
	return &Conn{Conn: raw, raw: raw, Remote: addrPort(raw.RemoteAddr()), Local: addrPort(raw.LocalAddr())}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return plain(t.AddrPort())
	}
	return netip.AddrPort{}
}

// plain is an address as everybody compares it: IPv4 in its own form, and without
// the zone of a link-local address, which no network contains.
func plain(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// Loopback tells that both ends are this machine: over a loopback address or a
// Unix socket.
func (c *Conn) Loopback() bool {
	if !c.Remote.IsValid() || !c.Local.IsValid() {
		return isUnix(c.raw)
	}
	return !c.away && c.Remote.Addr().IsLoopback() && c.Local.Addr().IsLoopback()
}

func isUnix(c net.Conn) bool {
	_, unix := socket(c).(*net.UnixConn)
	return unix
}

// socket is what the system gave.
func socket(c net.Conn) net.Conn {
	if p, ok := c.(*proxied); ok {
		return p.Conn
	}
	return c
}

// TLS is the state of the encryption, nil without.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// Idle says that the handler is about to wait for the peer's next command. It
// sets the deadline of writes and reads to d from now, in total: it is called
// once for a command and not for each read. When it returns false the server is
// draining: say goodbye and return. A Drain while waiting makes the read fail
// with os.ErrDeadlineExceeded, and so does the end of a stranger's place when there
// is no room for others; Draining tells the first from the peer's slowness.
func (c *Conn) Idle(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	now := time.Now()
	c.idle, c.until = now, now.Add(d)
	c.raw.SetDeadline(c.until)
	return true
}

// Busy says that the handler is in the middle of something, which Drain does
// not interrupt, and sets the deadline of writes and reads to d from now.
func (c *Conn) Busy(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = time.Time{}
	c.raw.SetDeadline(time.Now().Add(d))
}

// Known says that the client has shown to be one of ours: it logged in to an account,
// named in one form always. From here on it is no more counted with the strangers of
// its address, so that an office behind one address is not shut out by its own size,
// but with the connections of its account and of all who have logged in, and it keeps
// its place when others lose theirs. An error says why there is no room for one more,
// and the client stays a stranger.
func (c *Conn) Known(account string) error {
	if err := c.countAccount(account); err != nil {
		return err
	}
	if err := c.logIn(); err != nil {
		c.discountAccount()
		return err
	}
	c.mu.Lock()
	counted := c.counted
	c.known, c.counted, c.owner = true, false, account
	c.mu.Unlock()
	if counted {
		c.gate.leave(c.service, c.Remote.Addr())
	}
	return nil
}

// logIn takes a place among those who have logged in, once.
func (c *Conn) logIn() error {
	if c.room == nil || c.loggedIn { // a test's
		return nil
	}
	err := c.room.LogIn()
	c.loggedIn = err == nil
	return err
}

// giveRoom gives the connection's place to others.
func (c *Conn) giveRoom() {
	if c.loggedIn {
		c.room.LogOut()
		return
	}
	c.room.Leave()
}

// countAccount counts the connection under an account, and no more under the one
// before.
func (c *Conn) countAccount(account string) error {
	if c.gate == nil { // a test's
		return nil
	}
	c.discountAccount()
	counted, err := c.gate.enterAccount(c.service, account, c.Remote.Addr())
	if counted {
		c.account = account
	}
	return err
}

func (c *Conn) discountAccount() {
	if c.account != "" {
		c.gate.accounts.Leave(holder{c.service, c.account})
		c.account = ""
	}
}

// loggedInAs is the account that the client has logged in to; "" for none.
func (c *Conn) loggedInAs() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owner
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
	c.wake()
}

// wake ends the wait for a command. c.mu is held.
func (c *Conn) wake() bool {
	if c.idle.IsZero() {
		return false
	}
	c.raw.SetReadDeadline(time.Unix(1, 0))
	return true
}

// waiting is since when the client says nothing, if it is a stranger; zero if it is not
// both.
func (c *Conn) waiting() (since time.Time, stranger bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		return time.Time{}, false
	}
	return c.idle, true
}

// shed takes a waiting client's place, unless it has come to life since.
func (c *Conn) shed(since time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle.Equal(since) && !c.known && c.wake()
}

// What HangUp reads at most before it closes.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
)

// HangUp closes the connection in such a way that the last words arrive. A close
// while something from the peer is unread makes the system reset the connection, and
// then what we wrote is lost at the peer (RFC 9293 §3.10.4). So our half is closed
// first and what comes still is read for two seconds. Call it after a last reply
// that the peer may not have waited for; the connection is closed afterwards.
func (c *Conn) HangUp() error {
	if t, ok := c.Conn.(*tls.Conn); ok {
		t.CloseWrite() //nolint:errcheck // the notice is a courtesy
	}
	if closeWrite(socket(c.raw)) == nil {
		c.Busy(lingerTime)
		io.CopyN(io.Discard, c.raw, lingerBytes) //nolint:errcheck // nobody wants it
	}
	return c.raw.Close()
}

// errNoPeer is the error of Peer on a connection that is no Unix socket.
var errNoPeer = errors.New("only the other end of a Unix socket has an owner")
