// Package listen accepts connections for the protocol doors: it counts them,
// encrypts them where TLS comes first, runs a handler for each and lets them
// finish when the house closes. It knows no protocol but that of proxies.
//
// # Who comes in
//
// All listeners share one Gate: the budget of the process (limit.Budget) and what
// one client may do, counted under his address and under the networks around it
// (limit.Networks): connections at a time, and connections in a minute, in which a
// failed TLS handshake counts five times. Who is over is told why in one line and
// closed, before any goroutine or TLS. When there is no room at all, strangers who
// have waited long for their next command lose their place, the longest first.
// TLS handshakes are computed by as many at a time as there are processors; those
// that wait for their client hold nothing.
//
// On a listener for proxies each connection begins with a PROXY header (versions 1
// and 2), and what it says is the client everywhere: in limits, logs and policy.
// Whoever is not a named proxy is closed without a word.
//
// # Invariants
//
// A handler that panics ends its own connection and is reported with its stack; the
// others do not notice. Every read and write of a handler is under the deadline that
// it set last (Conn.Idle, Conn.Busy); a new connection has FirstDeadline. Running out
// of file descriptors slows accepting down and never spins. What the settings say can
// change while connections are open: those go on as they began.
//
// # The end
//
// Drain closes the listeners and wakes the sessions that wait for a command; those at
// work go on until their next Idle. At the end of the grace the context of all
// handlers is cancelled and their sockets closed.
package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/limit"
)

// Defaults and fixed times.
const (
	DefaultMaxConns = 1000
	// HandshakeTimeout is for a whole TLS handshake.
	HandshakeTimeout = 10 * time.Second
	// FirstDeadline is what a connection has until its handler sets another.
	FirstDeadline = time.Minute

	hastyHandshake = 3 * time.Second // of HandshakeTimeout, under stress
	maxBackoff     = time.Second
	hardStop       = 5 * time.Second // for handlers to return once cut off
)

// Options say how a service listens.
type Options struct {
	// Service names it in events and in the limits: "smtp", "imaps". Listeners with
	// the same name are one service.
	Service string
	// TLS, when not nil, means TLS from the first byte. (For STARTTLS the
	// handler calls Conn.StartTLS.)
	TLS *tls.Config
	// Proxied means that each connection begins with a PROXY header, and Proxies
	// are the networks from which one is believed.
	Proxied bool
	Proxies []netip.Prefix
	// Busy makes the line, with its CRLF, that a client is told who is not let in:
	// "421 …", "* BYE …". nil, or TLS first: nothing is said.
	Busy func(why string) []byte
	// Gate is shared with the other services; nil: a gate of its own, with the
	// defaults.
	Gate *Gate
	// Events takes what is to be told; nil discards it.
	Events event.Sink
}

// Handler serves one connection and returns when it is done; the connection is
// closed after it. ctx is cancelled at the hard stop, not when draining begins
// (see Conn.Idle): work that was begun may be finished.
type Handler func(ctx context.Context, c *Conn)

// setup is what a Server does with connections from now on.
type setup struct {
	Options
	handle Handler
}

// Server accepts for one service, on any number of listeners.
type Server struct {
	setup  atomic.Pointer[setup]
	gate   *Gate
	room   *limit.Room
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup // handlers

	mu        sync.Mutex
	draining  bool
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	told      time.Time // when a refusal was last reported
	untold    int       // refusals since
}

// New makes a server; Serve makes it work.
func New(opt Options, h Handler) *Server {
	if opt.Gate == nil {
		opt.Gate = newDefaultGate()
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{gate: opt.Gate, room: opt.Gate.budget.Room(opt.Service), ctx: ctx, cancel: cancel,
		listeners: map[net.Listener]struct{}{}, conns: map[*Conn]struct{}{}}
	s.Configure(opt, h)
	s.gate.room.join(s)
	return s
}

// Configure replaces options and handler for the connections to come. The gate and
// the name of the service stay.
func (s *Server) Configure(opt Options, h Handler) {
	if opt.Events == nil {
		opt.Events = event.Discard
	}
	s.setup.Store(&setup{opt, h})
}

func (s *Server) service() string    { return s.setup.Load().Service }
func (s *Server) events() event.Sink { return s.setup.Load().Events }

// Serve accepts from l until Drain, then returns nil. It closes l. Any other
// end of the listener is returned. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.track(l) {
		return nil
	}
	var pause time.Duration
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(raw)
		case errors.Is(err, net.ErrClosed):
			return s.closed(err)
		default: // EMFILE, ENOBUFS, ECONNABORTED: none is for ever
			pause = min(max(2*pause, 5*time.Millisecond), maxBackoff)
			s.events().Emit(AcceptFailed{Service: s.service(), Err: err, Pause: pause})
			s.relieve(err)
			s.sleep(pause)
		}
	}
}

// track remembers a listener for Drain; false when that has begun.
func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.listeners[l] = struct{}{}
	}
	return !s.draining
}

// closed tells a listener that Drain closed from one that broke.
func (s *Server) closed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil
	}
	return err
}

// relieve does something about the lack of descriptors or memory.
func (s *Server) relieve(err error) {
	if starved(err) {
		s.gate.budget.Starve()
		s.gate.room.make("")
	}
}

// starved tells that the system has nothing left to give.
func starved(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// admit starts a handler, or turns the client away.
func (s *Server) admit(raw net.Conn) {
	c := newConn(raw)
	set := s.setup.Load()
	c.gate, c.room, c.service = s.gate, s.room, set.Service
	if err := s.enter(c, set); err != nil {
		s.refuse(c, set, err)
		c.Close()
		return
	}
	go s.run(c, set)
}

// enter counts a connection in, or says why not. Behind a proxy the client is not
// known yet.
func (s *Server) enter(c *Conn, set *setup) error {
	addr := c.Remote.Addr()
	if set.Proxied && !isUnix(c.raw) && !limit.Contains(set.Proxies, addr) {
		return errNoProxy
	}
	if err := s.room.Enter(!set.Proxied && s.gate.rules.Load().favours(addr)); err != nil {
		s.makeRoom(err)
		return err
	}
	if !set.Proxied {
		if err := s.count(c); err != nil {
			s.room.Leave()
			return err
		}
	}
	if !s.register(c) {
		s.discount(c)
		s.room.Leave()
		return errDraining
	}
	return nil
}

// register makes a connection one of those that Drain waits for; false when that has
// begun.
func (s *Server) register(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.conns[c] = struct{}{}
	s.done.Add(1)
	return true
}

// count counts the client in at the gate.
func (s *Server) count(c *Conn) error {
	counted, err := s.gate.enter(c.service, c.Remote.Addr())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted = counted
	return err
}

// discount counts the client out.
func (s *Server) discount(c *Conn) {
	c.discountAccount()
	c.mu.Lock()
	counted := c.counted
	c.counted = false
	c.mu.Unlock()
	if counted {
		s.gate.leave(c.service, c.Remote.Addr())
	}
}

// leave counts a connection out.
func (s *Server) leave(c *Conn) {
	s.discount(c)
	c.giveRoom()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.done.Done()
}

// refuse tells a client that it is not let in. A new socket has room for a line, so
// the write does not keep the accept loop waiting.
func (s *Server) refuse(c *Conn, set *setup, why error) {
	if set.TLS == nil && set.Busy != nil && why != errNoProxy {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		c.Write(set.Busy(why.Error())) //nolint:errcheck // it is being closed anyway
	}
	if why == errDraining {
		return
	}
	if n, ok := s.report(); ok {
		set.Events.Emit(Refused{Service: set.Service, Remote: c.Remote.Addr(), Why: why, Untold: n})
	}
}

// report tells whether a refusal is to be reported, and how many were not: a flood
// does not flood the log.
func (s *Server) report() (untold int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.told) < time.Second {
		s.untold++
		return 0, false
	}
	untold = s.untold
	s.told, s.untold = now, 0
	return untold, true
}

// run is the life of a connection.
func (s *Server) run(c *Conn, set *setup) {
	defer s.leave(c)
	defer func() { c.Close() }() // of what it is by then: TLS says that it ends
	defer s.recover(c)
	if set.Proxied && !s.unwrap(c, set) {
		return
	}
	if set.TLS != nil {
		if err := c.StartTLS(set.TLS); err != nil {
			set.Events.Emit(HandshakeFailed{Service: set.Service, Remote: c.Remote.Addr(), Err: err})
			return
		}
	}
	c.SetDeadline(time.Now().Add(FirstDeadline))
	set.handle(s.ctx, c)
}

// unwrap finds out who the client behind a proxy is, and counts him in.
func (s *Server) unwrap(c *Conn, set *setup) bool {
	proxy := c.Remote.Addr()
	if err := c.unwrap(); err != nil {
		set.Events.Emit(ProxyFailed{Service: set.Service, Proxy: proxy, Err: err})
		return false
	}
	if err := s.count(c); err != nil {
		s.refuse(c, set, err)
		return false
	}
	return true
}

// recover is the one recover of a connection.
func (s *Server) recover(c *Conn) {
	if p := recover(); p != nil {
		stack := bytes.TrimSpace(debug.Stack())
		s.events().Emit(Panicked{Service: s.service(), Remote: c.Remote.Addr(), Panic: p, Stack: string(stack)})
	}
}

// Drain stops accepting, tells the sessions to finish, and waits for them until
// ctx ends; then it cuts them off and returns the error of ctx. Called again,
// it waits again.
func (s *Server) Drain(ctx context.Context) error {
	s.gate.room.quit(s)
	s.mu.Lock()
	s.draining = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() { s.done.Wait(); close(gone) }()
	select {
	case <-gone:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cut()
	select {
	case <-gone:
	case <-time.After(hardStop):
	}
	return ctx.Err()
}

// cut ends all sessions the hard way.
func (s *Server) cut() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		socket(c.raw).Close()
	}
}

// Conns is how many connections there are now.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
