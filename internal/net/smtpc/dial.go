package smtpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Target is a host to connect to.
type Target struct {
	// Host is its name, for TLS, logs and replies.
	Host string
	// Addrs are tried in this order until one answers as a mail host should.
	Addrs []netip.Addr
	// Port is 25 when zero.
	Port uint16
	// Socket is the path of a Unix socket, which takes the place of the addresses.
	Socket string
}

func (t Target) port() uint16 {
	if t.Port == 0 {
		return 25
	}
	return t.Port
}

// peer is an address of the target as log lines name it.
func (t Target) peer(addr netip.Addr) string {
	if t.Socket != "" {
		return fmt.Sprintf("%s[%s]", t.Host, t.Socket)
	}
	peer := fmt.Sprintf("%s[%s]", t.Host, addr)
	if port := t.port(); port != 25 {
		peer += ":" + strconv.Itoa(int(port))
	}
	return peer
}

// place is what a Memory knows it by: another port may be another program.
func (t Target) place() string {
	if t.Socket != "" {
		return t.Socket
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.port())))
}

// Attempt is an address that did not take us, and why.
type Attempt struct {
	Addr netip.Addr
	Err  *Failure
}

// Dial connects to the first address of the target that takes us: greeted, over
// TLS and logged in as cfg wants it. The error is a *Failure, the last address's;
// its Attempts tell of all.
//
// Where an address does not answer, the next is tried beside it after
// Timeouts.Stagger (RFC 8305 §5), and the first connection that stands is used: a
// family that leads nowhere costs seconds, not the time of a connection. Addresses that
// take the connection and its time, and then not the mail, are not all tried: after
// Timeouts.Search there is no other.
//
// A greeting or EHLO refused with 5yz is the Failure's Reply as it came; it is
// about the host and not about any message, so another host may be tried and
// nothing need bounce.
func Dial(ctx context.Context, target Target, cfg Config) (*Conn, error) {
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if target.Socket != "" {
		target.Addrs = []netip.Addr{{}}
		if !cfg.mustEncrypt() {
			cfg.Security = Clear // nobody listens between two processes
		}
	}
	begun := time.Now()
	cfg.place = target.place()
	race := newRace(ctx, target, cfg)
	defer race.end()
	var missed []Attempt
	last := &Failure{Result: deferred(StageConnect, target.Host, errors.New("host has no address")), Peer: target.Host}
	for a := range race.arrivals {
		var c *Conn
		if a.failure == nil {
			c, a.failure = talk(ctx, a.raw, target, a.addr, cfg)
		}
		if a.failure == nil {
			c.missed = missed
			return c, nil
		}
		last = a.failure
		missed = append(missed, Attempt{a.addr, a.failure})
		if ctx.Err() != nil || time.Since(begun) >= cfg.Timeouts.Search {
			break
		}
	}
	last.Attempts = missed
	return nil, last
}

// talk begins the conversation over a fresh connection, and on another one where TLS
// went wrong: anew where an old session may be the reason, in clear where TLS is only a
// wish.
func talk(ctx context.Context, raw net.Conn, target Target, addr netip.Addr, cfg Config) (*Conn, *Failure) {
	c, failure := start(ctx, raw, target.Host, target.peer(addr), cfg)
	if failure != nil && failure.session && ctx.Err() == nil {
		cfg.Memory.blame(cfg.place, badResumption)
		c, failure = retry(ctx, target, addr, cfg)
	}
	if failure == nil || failure.Stage != StageStartTLS && !failure.overTLS || cfg.mustEncrypt() || ctx.Err() != nil {
		return c, failure
	}
	cfg.Security = Clear
	c, again := retry(ctx, target, addr, cfg)
	if again != nil {
		return nil, again
	}
	c.tlsFailure = failure
	return c, nil
}

// retry is another connection to the same address.
func retry(ctx context.Context, target Target, addr netip.Addr, cfg Config) (*Conn, *Failure) {
	raw, failure := connect(ctx, target, addr, cfg)
	if failure != nil {
		return nil, failure
	}
	return start(ctx, raw, target.Host, target.peer(addr), cfg)
}

// connect opens the bare connection to an address.
func connect(ctx context.Context, target Target, addr netip.Addr, cfg Config) (net.Conn, *Failure) {
	peer := target.peer(addr)
	if target.Socket == "" && cfg.Permit != nil && !cfg.Permit(addr) {
		return nil, &Failure{Result: deferred(StageConnect, peer, ErrNotPermitted), Peer: peer}
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeouts.Connect)
	defer cancel()
	raw, err := cfg.open(ctx, target, addr)
	if err != nil {
		return nil, &Failure{Result: deferred(StageConnect, peer, err), Peer: peer}
	}
	return raw, nil
}

// open asks the system, or what stands in its place, for a connection.
func (c Config) open(ctx context.Context, target Target, addr netip.Addr) (net.Conn, error) {
	var system net.Dialer
	switch {
	case target.Socket != "":
		return system.DialContext(ctx, "unix", target.Socket)
	case c.Dial != nil:
		return c.Dial(ctx, "tcp", netip.AddrPortFrom(addr, target.port()), c.localAddr(addr))
	}
	system.KeepAlive = keepAlive
	if from := c.localAddr(addr); from.IsValid() {
		system.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		raw, err := system.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, target.port()).String())
		return raw, bindError(from, err)
	}
	return system.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, target.port()).String())
}

// bindError names the address of ours that this machine does not have: the host that was
// to be reached has nothing to do with it.
func bindError(from netip.Addr, err error) error {
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("bind %s: Cannot assign requested address", from)
	}
	return err
}

// start takes a fresh connection to the point where mail can be sent.
func start(ctx context.Context, raw net.Conn, host, peer string, cfg Config) (*Conn, *Failure) {
	c := &Conn{cfg: cfg, host: host, peer: peer, raw: raw}
	c.use(raw)
	defer c.closeWhenDone(ctx)()
	c.clock = clock{end: time.Now().Add(cfg.Timeouts.Introduction)}
	if refused := c.introduce(); refused != nil {
		c.Close()
		return nil, &Failure{Result: *refused, Peer: peer, session: c.resumptionFailed(refused), overTLS: c.fellSilent(refused)}
	}
	c.clock = clock{}
	return c, nil
}

// use reads and writes through nc from now on. What was read ahead from the
// stream before it is forgotten, on purpose (see startTLS).
func (c *Conn) use(nc net.Conn) {
	c.stream = nc
	c.r = bufio.NewReaderSize(nc, 4096)
	c.w = bufio.NewWriterSize(blockWriter{c}, 32<<10)
}
