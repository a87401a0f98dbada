package sim_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

var here, there = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddrPort("198.51.100.1:25")

// pair is both ends of a connection over a road.
func pair(t *testing.T, n *sim.Net, road sim.Road) (near, far net.Conn) {
	t.Helper()
	n.Pave(there.Addr(), road)
	l, err := n.Listen(there)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = n.Machine(here).Dial(t.Context(), "tcp", there, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// TestNetCarriesEverything: in order, in its time, with the end behind it.
func TestNetCarriesEverything(t *testing.T) {
	for _, loss := range []float64{0, 0.3} {
		t.Run(fmt.Sprintf("FLT-017 loss %v", loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := pair(t, sim.NewNet(1), sim.Road{Latency: 2 * time.Second, Loss: loss})
				text := strings.Repeat("all work and no play\n", 10_000)
				go func() { io.WriteString(near, text); near.Close() }()
				began := time.Now()
				got, err := io.ReadAll(far)
				if string(got) != text || err != nil {
					t.Errorf("%d of %d bytes, %v", len(got), len(text), err)
				}
				if took := time.Since(began); took < 2*time.Second || took > time.Hour {
					t.Errorf("it took %v", took)
				}
				if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("writing after Close: %v", err)
				}
				if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
					t.Errorf("writing to who is gone: %v", err)
				}
			})
		})
	}
}

// TestNetDeadlines: nobody waits for ever, neither to read nor to write.
func TestNetDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pair(t, sim.NewNet(1), sim.Road{})
		near.SetDeadline(time.Now().Add(time.Minute))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		near.SetDeadline(time.Now().Add(time.Minute))
		if n, err := near.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || n == 1<<20 {
			t.Error(n, err)
		}
		go func() { time.Sleep(time.Hour); far.SetReadDeadline(time.Now()) }()
		if _, err := io.Copy(io.Discard, far); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline that comes while somebody reads: %v", err)
		}
	})
}

// TestNetTroubles: each way in which a connection does not come, or ends.
func TestNetTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.NewNet(1)
		m := n.Machine(here)
		dial := func(patience time.Duration) (error, time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			began := time.Now()
			c, err := m.Dial(ctx, "tcp", there, netip.Addr{})
			if err == nil {
				c.Close()
			}
			return err, time.Since(began)
		}
		if err, _ := dial(time.Hour); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		near, far := pair(t, n, sim.Road{})
		n.Pave(there.Addr(), sim.Road{Silent: true})
		var timeout net.Error
		if err, took := dial(30 * time.Second); !errors.As(err, &timeout) || !timeout.Timeout() || took != 30*time.Second {
			t.Errorf("silence: %v after %v", err, took)
		}
		if err, _ := dial(time.Hour); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("silence: %v", err)
		}
		io.WriteString(near, "lost")
		n.Pave(there.Addr(), sim.Road{})
		io.WriteString(near, "what follows what was lost")
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := far.Read(make([]byte, 100)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a stream with a hole: %d %v", n, err)
		}
		if _, err := m.Dial(t.Context(), "tcp", netip.MustParseAddrPort("[2001:db8::1]:25"), netip.Addr{}); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("a family that it has no address of: %v", err)
		}
	})
}

// TestNetKill: what a killed machine had open ends with a reset.
func TestNetKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.NewNet(1)
		l, err := n.Listen(there)
		if err != nil {
			t.Fatal(err)
		}
		m := n.Machine(here)
		near, err := m.Dial(t.Context(), "tcp", there, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		far, _ := l.Accept()
		io.WriteString(near, "on its way")
		m.Kill()
		if _, err := far.Read(make([]byte, 100)); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		if _, err := m.Dial(t.Context(), "tcp", there, netip.Addr{}); err == nil {
			t.Error("it lives")
		}
	})
}

// TestInternet: names and mail, in a world that is gone when the test is.
func TestInternet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := sim.NewInternet(1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		sink, addr, err := w.Mail("d.test", sim.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		m := w.Machine(here)
		r, err := dns.New(dns.Config{Servers: w.Servers(), Dial: m.DialContext})
		if err != nil {
			t.Fatal(err)
		}
		if a := r.MailHosts(t.Context(), "d.test"); len(a.Value()) != 1 || a.Value()[0].Host != "mx.d.test" {
			t.Fatal(a)
		}
		if a := r.LookupAddr(t.Context(), "mx.d.test"); len(a.Value()) != 1 || a.Value()[0] != addr {
			t.Fatal(a)
		}
		c, err := m.Dial(t.Context(), "tcp", netip.AddrPortFrom(addr, 25), netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n")
		if _, err := io.ReadAll(bufio.NewReader(c)); err != nil {
			t.Error(err)
		}
		if taken := sink.Taken(); len(taken) != 1 || string(taken[0].Data) != "hello\r\n" {
			t.Errorf("%+v", taken)
		}
	})
}
