package sim

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Net is an Internet in memory: machines with addresses, roads between them, and
// connections with latency, loss and all the ways in which they end. Nothing of it is
// outside of the process, so it runs under testing/synctest, where days pass in
// seconds. It is safe for concurrent use.
type Net struct {
	mu        sync.Mutex
	random    *rand.Rand
	listeners map[netip.AddrPort]*listener
	roads     map[netip.Addr]Road
	port      uint16 // the last that was given to a client
	down      bool
}

// Road is how packets travel to and from an address. The zero Road is a good one, a
// millisecond long.
type Road struct {
	// Latency is one way (1 ms). Loss is the share of segments that are lost: they
	// are sent again, as TCP does, and arrive late.
	Latency time.Duration
	Loss    float64
	// Refused: nobody listens there for now. Silent: nothing comes back, and what is
	// sent on open connections is lost.
	Refused, Silent bool
}

// NewNet makes one. seed decides which segments are lost.
func NewNet(seed uint64) *Net {
	return &Net{random: rand.New(rand.NewPCG(seed, 25)), listeners: make(map[netip.AddrPort]*listener),
		roads: make(map[netip.Addr]Road), port: 1024}
}

// Pave changes the road to an address, for connections that are open, too.
func (n *Net) Pave(addr netip.Addr, road Road) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.roads[addr] = road
}

// Down makes all roads silent, as a link that is down does, or ends that.
func (n *Net) Down(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

// retransmission is how long TCP waits before it sends a segment again, at first.
const retransmission = 200 * time.Millisecond

// trip is how long a segment takes on the road to an address, and whether it arrives
// at all.
func (n *Net) trip(addr netip.Addr) (time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	road := n.roads[addr]
	if road.Silent || n.down {
		return 0, false
	}
	took := max(road.Latency, time.Millisecond)
	for wait := retransmission; n.random.Float64() < road.Loss && wait < time.Minute; wait *= 2 {
		took += wait
	}
	return took, true
}

// Listen waits for connections to an address.
func (n *Net) Listen(at netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[at] != nil {
		return nil, opError("listen", at, syscall.EADDRINUSE)
	}
	l := &listener{net: n, addr: at, arrived: make(chan net.Conn, backlog), closed: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

// Machine is a computer on a Net, with at most one address of each family.
type Machine struct {
	net   *Net
	addrs []netip.Addr

	mu    sync.Mutex
	off   bool
	conns map[*conn]bool
}

// Machine adds a computer that connections are made from.
func (n *Net) Machine(addrs ...netip.Addr) *Machine {
	return &Machine{net: n, addrs: addrs, conns: make(map[*conn]bool)}
}

// Kill ends all connections of the machine at once, with a reset, as the kernel does
// for a process that is killed. It makes no others.
func (m *Machine) Kill() {
	m.mu.Lock()
	m.off = true
	conns := m.conns
	m.conns = make(map[*conn]bool)
	m.mu.Unlock()
	for c := range conns {
		c.reset()
	}
}

// connectTime is how long a kernel tries to reach somebody who does not answer.
const connectTime = 127 * time.Second

// Dial connects to an address, from one of the machine or any; network is as for
// net.Dial. The connection is a stream whatever the network is called.
func (m *Machine) Dial(ctx context.Context, network string, to netip.AddrPort, from netip.Addr) (net.Conn, error) {
	if !from.IsValid() {
		from = m.addrOf(to.Addr())
	}
	if !from.IsValid() || m.isOff() {
		return nil, opError("dial", to, syscall.ENETUNREACH)
	}
	there, answers := m.net.trip(to.Addr())
	if !answers {
		there = connectTime
	}
	if err := pass(ctx, 2*there); err != nil {
		return nil, opError("dial", to, err)
	}
	if !answers {
		return nil, opError("dial", to, syscall.ETIMEDOUT)
	}
	c, err := m.net.connect(netip.AddrPortFrom(from, m.net.nextPort()), to)
	if err != nil {
		return nil, err
	}
	if !m.keep(c) {
		c.reset()
		return nil, opError("dial", to, syscall.ENETUNREACH)
	}
	return c, nil
}

// DialContext is Dial as net.Dialer has it.
func (m *Machine) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	return m.Dial(ctx, network, to, netip.Addr{})
}

func (m *Machine) isOff() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.off
}

// keep takes note of a connection, unless the machine was killed.
func (m *Machine) keep(c *conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		return false
	}
	m.conns[c] = true
	c.onClose = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.conns, c)
	}
	return true
}

// addrOf is the machine's address of a family.
func (m *Machine) addrOf(to netip.Addr) netip.Addr {
	for _, a := range m.addrs {
		if a.Is4() == to.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

func (n *Net) nextPort() uint16 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.port = max(n.port+1, 1024)
	return n.port
}

// connect makes both ends of a connection, and hands one to who listens.
func (n *Net) connect(from, to netip.AddrPort) (*conn, error) {
	n.mu.Lock()
	l, road := n.listeners[to], n.roads[to.Addr()]
	n.mu.Unlock()
	if l == nil || road.Refused {
		return nil, opError("dial", to, syscall.ECONNREFUSED)
	}
	// The remote address is what the road belongs to, in both directions.
	up, down := newStream(n, to.Addr()), newStream(n, to.Addr())
	near := &conn{in: down, out: up, local: from, remote: to}
	far := &conn{in: up, out: down, local: to, remote: from}
	select {
	case l.arrived <- far:
		return near, nil
	default:
		return nil, opError("dial", to, syscall.ECONNREFUSED)
	}
}

// pass lets time go by.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		if ctx.Err() == context.DeadlineExceeded {
			return os.ErrDeadlineExceeded
		}
		return ctx.Err()
	}
}

func opError(op string, at netip.AddrPort, err error) error {
	if number, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(map[string]string{"dial": "connect", "listen": "bind"}[op], number)
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: err}
}

// backlog is how many connections wait to be accepted.
const backlog = 128

// listener is where connections to one address arrive.
type listener struct {
	net     *Net
	addr    netip.AddrPort
	arrived chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.arrived:
		return c, nil
	case <-l.closed:
		return nil, opError("accept", l.addr, net.ErrClosed)
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func (l *listener) Close() error {
	l.closing.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr)
		l.net.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.arrived:
				c.(*conn).reset()
			default:
				return
			}
		}
	})
	return nil
}
