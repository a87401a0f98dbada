package smtpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
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
}

func (t Target) port() uint16 {
	if t.Port == 0 {
		return 25
	}
	return t.Port
}

// Dial connects to the first address of the target that takes us: greeted, over
// TLS and logged in as cfg wants it. The error is a *Failure, the last address's.
//
// A greeting or EHLO refused with 5yz is the Failure's Reply as it came; it is
// about the host and not about any message, so another host may be tried and
// nothing need bounce.
func Dial(ctx context.Context, target Target, cfg Config) (*Conn, error) {
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	last := &Failure{Result: deferred(StageConnect, target.Host, errors.New("host has no address")), Peer: target.Host}
	for _, addr := range target.Addrs {
		c, failure := dialAddr(ctx, target, addr, cfg)
		if failure == nil {
			return c, nil
		}
		last = failure
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// dialAddr tries one address, and once more in clear when TLS went wrong and is
// only a wish.
func dialAddr(ctx context.Context, target Target, addr netip.Addr, cfg Config) (*Conn, *Failure) {
	c, failure := open(ctx, target, addr, cfg)
	if failure == nil || failure.Stage != StageStartTLS || cfg.mustEncrypt() || ctx.Err() != nil {
		return c, failure
	}
	cfg.Security = Clear
	c, again := open(ctx, target, addr, cfg)
	if again != nil {
		return nil, again
	}
	c.tlsFailure = failure
	return c, nil
}

func open(ctx context.Context, target Target, addr netip.Addr, cfg Config) (*Conn, *Failure) {
	peer := fmt.Sprintf("%s[%s]", target.Host, addr)
	if port := target.port(); port != 25 {
		peer += ":" + strconv.Itoa(int(port))
	}
	if cfg.Permit != nil && !cfg.Permit(addr) {
		return nil, &Failure{Result: deferred(StageConnect, peer, ErrNotPermitted), Peer: peer}
	}
	dialer := net.Dialer{Timeout: cfg.Timeouts.Connect, KeepAlive: time.Minute, LocalAddr: cfg.localAddr(addr)}
	raw, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, target.port()).String())
	if err != nil {
		return nil, &Failure{Result: deferred(StageConnect, peer, err), Peer: peer}
	}
	return start(ctx, raw, target.Host, peer, cfg)
}

// start takes a fresh connection to the point where mail can be sent.
func start(ctx context.Context, raw net.Conn, host, peer string, cfg Config) (*Conn, *Failure) {
	c := &Conn{cfg: cfg, host: host, peer: peer, raw: raw}
	c.use(raw)
	defer c.closeWhenDone(ctx)()
	if refused := c.introduce(); refused != nil {
		c.Close()
		return nil, &Failure{Result: *refused, Peer: peer}
	}
	return c, nil
}

// use reads and writes through nc from now on. What was read ahead from the
// stream before it is forgotten, on purpose (see startTLS).
func (c *Conn) use(nc net.Conn) {
	c.stream = nc
	c.r = bufio.NewReaderSize(nc, 4096)
	c.w = bufio.NewWriterSize(blockWriter{c}, 32<<10)
}
