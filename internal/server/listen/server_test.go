package listen

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/limit"
)

// hall is a listener without a network: connections are put into it.
type hall struct {
	doors  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
	calls  atomic.Int64
}

func newHall() *hall {
	return &hall{doors: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (h *hall) Accept() (net.Conn, error) {
	h.calls.Add(1)
	select {
	case c := <-h.doors:
		return c, nil
	case err := <-h.errs:
		return nil, err
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *hall) Close() error   { h.once.Do(func() { close(h.closed) }); return nil }
func (h *hall) Addr() net.Addr { return &net.TCPAddr{} }

// from is a pipe that says where it comes from.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }
func (f from) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::1]:25"))
}

// enter connects from an address and gives the client's end.
func (h *hall) enter(addr string) net.Conn {
	client, server := net.Pipe()
	h.doors <- from{server, addr}
	return client
}

// hear reads all that the server says until it hangs up.
func hear(c net.Conn) string {
	b, _ := io.ReadAll(c)
	return string(b)
}

// told keeps events.
type told struct {
	mu     sync.Mutex
	events []event.Event
}

func (s *told) Emit(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *told) lines() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		_, text := e.Line()
		b.WriteString(text + "\n")
	}
	return b.String()
}

// echo answers each line until the peer or the server has enough.
func echo(_ context.Context, c *Conn) {
	r := bufio.NewReader(c)
	for c.Idle(time.Minute) {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		c.Busy(time.Minute)
		io.WriteString(c, line)
	}
	if c.Draining() {
		c.Busy(time.Second)
		io.WriteString(c, "bye\n")
	}
}

// gate is a gate of its own for a test.
func gate(connections int, r Rules) *Gate {
	return NewGate(limit.NewBudget(limit.Ceilings{Connections: connections, LoggedIn: connections, Memory: 1 << 40}, nil), r)
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newHall(), &told{}
		s := New(Options{Service: "test", Gate: gate(4, Rules{PerClient: 2, Exempt: prefixes("10.0.0.0/8")}),
			Busy: func(why string) []byte { return []byte(why + "\n") }, Events: log}, echo)
		go s.Serve(h)
		one := h.enter("192.0.2.1:1")
		h.enter("192.0.2.1:2")
		if got := hear(h.enter("192.0.2.1:3")); got != "too many connections from 192.0.2.1: at most 2 at a time\n" {
			t.Errorf("a third from one client was told %q", got)
		}
		h.enter("[2001:db8::1]:1")
		six := h.enter("[2001:db8::2]:1")
		if got := hear(h.enter("10.0.0.1:1")); got != "too many connections\n" {
			t.Errorf("a fifth was told %q", got)
		}
		six.Close()
		synctest.Wait()
		if n := s.Conns(); n != 3 {
			t.Errorf("%d connections, want 3", n)
		}
		// One client again has room, in 2001:db8::/64 and not beside it.
		six = h.enter("[2001:db8::3]:1")
		one.Close()
		synctest.Wait()
		if got := hear(h.enter("[2001:db8::4]:1")); got != "too many connections from 2001:db8::/64: at most 2 at a time\n" {
			t.Errorf("a third of one /64 was told %q", got)
		}
		other := h.enter("[2001:db8:0:1::4]:1")
		synctest.Wait()
		if n := s.Conns(); n != 4 {
			t.Errorf("%d connections, want 4", n)
		}
		other.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		go io.Copy(io.Discard, six)
		s.Drain(ctx)
		if n := s.gate.present.Len(); n != 0 || len(s.conns) != 0 || s.gate.budget.Inside() != 0 {
			t.Errorf("left over: %v %v", n, s.conns)
		}
		if !strings.Contains(log.lines(), "warning: Connection concurrency limit exceeded: 3 from unknown[192.0.2.1] for service test") {
			t.Error(log.lines())
		}
	})
}

func TestExempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		s := New(Options{Gate: gate(100, Rules{PerClient: 1, Rate: 1, Exempt: prefixes("10.0.0.0/8")})}, echo)
		go s.Serve(h)
		for range 5 {
			h.enter("10.1.2.3:1")
		}
		synctest.Wait()
		if s.Conns() != 5 {
			t.Errorf("%d connections", s.Conns())
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Drain(ctx)
	})
}

func TestOutOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newHall(), &told{}
		s := New(Options{Events: log, Busy: func(why string) []byte { return []byte(why + "\n") }}, echo)
		go s.Serve(h)
		start := time.Now()
		for range 20 {
			h.errs <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		}
		if got := hear(h.enter("192.0.2.1:1")); got != "out of file descriptors\n" {
			t.Errorf("ABU-006: the first after it was told %q", got)
		}
		if d := time.Since(start); d < 10*time.Second || d > 20*time.Second {
			t.Errorf("ABU-006: 20 failures took %v", d)
		}
		time.Sleep(5 * time.Second)
		c := h.enter("192.0.2.1:1")
		fmt.Fprintln(c, "still here")
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "still here\n" {
			t.Error(line, err)
		}
		c.Close()
		s.Drain(context.Background())
		if n := strings.Count(log.lines(), "too many open files"); n != 20 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestBrokenListener(t *testing.T) {
	h := newHall()
	h.Close()
	if err := New(Options{}, echo).Serve(h); !errors.Is(err, net.ErrClosed) {
		t.Error("a listener that closed by itself gave", err)
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		work := make(chan struct{})
		s := New(Options{}, func(ctx context.Context, c *Conn) {
			line := make([]byte, 5)
			c.Idle(time.Hour)
			if _, err := io.ReadFull(c, line); err != nil {
				echo(ctx, c)
				return
			}
			c.Busy(time.Hour) // in the middle of something
			<-work
			io.ReadFull(c, line) // is not interrupted
			if c.Idle(time.Hour) {
				t.Error("Idle after Drain")
			}
			io.WriteString(c, "done "+string(line))
		})
		end := make(chan error)
		go func() { end <- s.Serve(h) }()
		idle, busy := h.enter("192.0.2.1:1"), h.enter("192.0.2.2:1")
		busy.Write([]byte("work\n"))
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- s.Drain(context.Background()) }()
		if got := hear(idle); got != "bye\n" {
			t.Errorf("SMTP-045: an idle session said %q", got)
		}
		if err := <-end; err != nil {
			t.Error("Serve after Drain:", err)
		}
		if err := s.Serve(newHall()); err != nil {
			t.Error("Serve when drained:", err)
		}
		synctest.Wait()
		select {
		case <-drained:
			t.Fatal("Drain did not wait for a session at work")
		default:
		}
		close(work)
		busy.Write([]byte("more\n"))
		if got := hear(busy); got != "done more\n" {
			t.Errorf("SMTP-045: a session at work said %q", got)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestHardStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		var cause error
		s := New(Options{}, func(ctx context.Context, c *Conn) {
			c.Busy(time.Hour)
			c.Read(make([]byte, 1))
			cause = ctx.Err()
		})
		go s.Serve(h)
		h.enter("192.0.2.1:1")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		start := time.Now()
		if err := s.Drain(ctx); err != context.DeadlineExceeded || time.Since(start) != 30*time.Second {
			t.Error(err, time.Since(start))
		}
		if cause == nil {
			t.Error("the handler's context was not cancelled")
		}
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newHall(), &told{}
		s := New(Options{Service: "test", Events: log}, func(context.Context, *Conn) { panic("a broken promise") })
		go s.Serve(h)
		for range 3 {
			if got := hear(h.enter("192.0.2.1:1")); got != "" {
				t.Errorf("got %q", got)
			}
		}
		s.Drain(context.Background())
		p, ok := log.events[0].(Panicked)
		if len(log.events) != 3 || !ok || p.Panic != "a broken promise" || !strings.Contains(p.Stack, "TestPanic") {
			t.Error(log.lines(), p.Stack)
		}
	})
}

// A panic in a handshake gives its turn back: there are only as many as processors.
func TestPanicInHandshake(t *testing.T) {
	h, config := newHall(), selfSigned(t)
	broken := config.Clone()
	broken.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "panic" {
			panic("a broken promise")
		}
		return nil, nil
	}
	s := New(Options{TLS: broken}, func(_ context.Context, c *Conn) { io.WriteString(c, "in") })
	go s.Serve(h)
	for range runtime.GOMAXPROCS(0) + 1 {
		tls.Client(h.enter("[::1]:1"), &tls.Config{InsecureSkipVerify: true, ServerName: "panic"}).Handshake() //nolint:errcheck // it fails
	}
	c := tls.Client(h.enter("[::1]:1"), &tls.Config{InsecureSkipVerify: true})
	if got := hear(c); got != "in" {
		t.Errorf("got %q", got)
	}
	s.Drain(context.Background())
}

func TestFirstDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		s := New(Options{}, func(_ context.Context, c *Conn) {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a silent client gave", err)
			}
		})
		go s.Serve(h)
		hear(h.enter("192.0.2.1:1"))
		s.Drain(context.Background())
	})
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// TestOverTCP: the real thing, with TLS first and with a garbled handshake.
func TestOverTCP(t *testing.T) {
	log := &told{}
	s := New(Options{Service: "tests", TLS: selfSigned(t), Events: log}, func(ctx context.Context, c *Conn) {
		if c.TLS() == nil || !c.Loopback() || !c.Remote.IsValid() || !c.Local.IsValid() {
			t.Error("the connection does not know itself", c.Remote, c.Local)
		}
		echo(ctx, c)
	})
	l, err := Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- s.Serve(l) }()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(c, "hello")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
		t.Error(line, err)
	}
	bad, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(bad, "EHLO x\r\n")
	hear(bad)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
	if got := hear(c); got != "bye\n" {
		t.Errorf("got %q", got)
	}
	if err := <-end; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.lines(), "SSL_accept error from unknown[127.0.0.1]: ") {
		t.Error("SMTP-012", log.lines())
	}
}
