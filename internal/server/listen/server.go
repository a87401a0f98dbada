// Package listen accepts connections for the protocol doors: it counts them,
// encrypts them where TLS comes first, runs a handler for each and lets them
// finish when the house closes. It knows no protocol.
//
// Invariants. No more than Options.MaxConns connections live at once, nor more
// than Options.MaxPerClient from one client (an IPv4 address or an IPv6 /64);
// what is over is told Options.Busy and closed without costing a goroutine. A
// handler that panics ends its own connection and is reported with its stack;
// the others do not notice. Every read and write of a handler is under the
// deadline that it set last (Conn.Idle, Conn.Busy); a new connection has
// FirstDeadline. Running out of file descriptors slows accepting down and never
// spins.
//
// How a server ends: Drain closes the listeners and wakes the sessions that
// wait for a command; those at work go on until their next Idle. At the end of
// the grace the context of all handlers is cancelled and their sockets closed.
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
	"time"

	"facteur/internal/base/event"
)

// Defaults and fixed times.
const (
	DefaultMaxConns     = 1000
	DefaultMaxPerClient = 50
	// HandshakeTimeout is for a whole TLS handshake.
	HandshakeTimeout = 10 * time.Second
	// FirstDeadline is what a connection has until its handler sets another.
	FirstDeadline = time.Minute

	maxBackoff = time.Second
	hardStop   = 5 * time.Second // for handlers to return once cut off
)

// Options say how a service listens.
type Options struct {
	// Service names it in events: "smtp", "imaps".
	Service string
	// TLS, when not nil, means TLS from the first byte. (For STARTTLS the
	// handler calls Conn.StartTLS.)
	TLS *tls.Config
	// MaxConns and MaxPerClient bound the connections at one time; 0 means the
	// default.
	MaxConns, MaxPerClient int
	// Exempt networks are spared MaxPerClient, not MaxConns.
	Exempt []netip.Prefix
	// Busy is what a client over a limit is told, with its CRLF: "421 …", "*
	// BYE …". With TLS first, nothing is said.
	Busy []byte
	// Events takes what is to be told; nil discards it.
	Events event.Sink
}

// Handler serves one connection and returns when it is done; the connection is
// closed after it. ctx is cancelled at the hard stop, not when draining begins
// (see Conn.Idle): work that was begun may be finished.
type Handler func(ctx context.Context, c *Conn)

// Server accepts for one service, on any number of listeners.
type Server struct {
	opt    Options
	handle Handler
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup // handlers

	mu        sync.Mutex
	draining  bool
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	clients   map[netip.Addr]int
	told      time.Time // when a refusal was last reported
}

// New makes a server; Serve makes it work.
func New(opt Options, h Handler) *Server {
	if opt.MaxConns <= 0 {
		opt.MaxConns = DefaultMaxConns
	}
	if opt.MaxPerClient <= 0 {
		opt.MaxPerClient = DefaultMaxPerClient
	}
	if opt.Events == nil {
		opt.Events = event.Discard
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{opt: opt, handle: h, ctx: ctx, cancel: cancel,
		listeners: map[net.Listener]struct{}{}, conns: map[*Conn]struct{}{}, clients: map[netip.Addr]int{}}
}

// Open listens on "host:port". Keep-alive probes are off: sessions have
// deadlines, and each accepted connection is spared four system calls.
func Open(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	return lc.Listen(ctx, "tcp", address)
}

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
			s.opt.Events.Emit(AcceptFailed{Service: s.opt.Service, Err: err, Pause: pause})
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

func (s *Server) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// admit starts a handler, or turns the client away.
func (s *Server) admit(raw net.Conn) {
	c := newConn(raw)
	if err := s.enter(c); err != nil {
		s.refuse(c, err)
		return
	}
	go s.run(c)
}

// What a client can be over.
var (
	errTotal    = errors.New("too many connections")
	errClient   = errors.New("too many connections from one client")
	errDraining = errors.New("shutting down")
)

// enter counts a connection in, or says why not.
func (s *Server) enter(c *Conn) error {
	c.client = s.client(c.Remote.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return errDraining
	case len(s.conns) >= s.opt.MaxConns:
		return errTotal
	case c.client.IsValid() && s.clients[c.client] >= s.opt.MaxPerClient:
		return errClient
	}
	if c.client.IsValid() {
		s.clients[c.client]++
	}
	s.conns[c] = struct{}{}
	s.done.Add(1)
	return nil
}

// leave counts a connection out.
func (s *Server) leave(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if c.client.IsValid() {
		if s.clients[c.client]--; s.clients[c.client] == 0 {
			delete(s.clients, c.client)
		}
	}
	s.mu.Unlock()
	s.done.Done()
}

// client is what MaxPerClient counts by; the zero Addr for those it spares. One
// subscriber of IPv6 has a /64 at least.
func (s *Server) client(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	for _, p := range s.opt.Exempt {
		if p.Contains(a) {
			return netip.Addr{}
		}
	}
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

// refuse closes a connection that was not let in. A new socket has room for a
// line, so the write does not keep the accept loop waiting.
func (s *Server) refuse(c *Conn, why error) {
	if s.opt.TLS == nil && len(s.opt.Busy) > 0 {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		c.Write(s.opt.Busy) //nolint:errcheck // it is being closed anyway
	}
	c.Close()
	s.mu.Lock()
	now := time.Now()
	quiet := why == errDraining || now.Sub(s.told) < time.Second
	if !quiet {
		s.told = now
	}
	s.mu.Unlock()
	if !quiet { // a flood does not flood the log
		s.opt.Events.Emit(Refused{Service: s.opt.Service, Remote: c.Remote.Addr(), Why: why})
	}
}

// run is the life of a connection.
func (s *Server) run(c *Conn) {
	defer s.leave(c)
	defer c.Close()
	defer s.recover(c)
	if s.opt.TLS != nil {
		if err := c.StartTLS(s.ctx, s.opt.TLS); err != nil {
			s.opt.Events.Emit(HandshakeFailed{Service: s.opt.Service, Remote: c.Remote.Addr(), Err: err})
			return
		}
	}
	c.SetDeadline(time.Now().Add(FirstDeadline))
	s.handle(s.ctx, c)
}

// recover is the one recover of a connection.
func (s *Server) recover(c *Conn) {
	if p := recover(); p != nil {
		stack := bytes.TrimSpace(debug.Stack())
		s.opt.Events.Emit(Panicked{Service: s.opt.Service, Remote: c.Remote.Addr(), Panic: p, Stack: string(stack)})
	}
}

// Drain stops accepting, tells the sessions to finish, and waits for them until
// ctx ends; then it cuts them off and returns the error of ctx. Called again,
// it waits again.
func (s *Server) Drain(ctx context.Context) error {
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
		c.raw.Close()
	}
}

// Conns is how many connections there are now.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
