package listen

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// What a connection that waits for its next command costs, without the buffers of
// its protocol: a figure for the log, and a bound that is no fine line.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("opens thousands of connections")
	}
	const conns = 2000
	for name, test := range map[string]struct {
		tls *tls.Config
		max int
	}{"plain": {nil, 12 << 10}, "TLS": {selfSigned(t), 40 << 10}} {
		t.Run(name, func(t *testing.T) {
			var inside atomic.Int64
			s := New(Options{Service: "smtp", TLS: test.tls, Gate: gate(2*conns, DefaultRules())}, func(_ context.Context, c *Conn) {
				c.Idle(time.Hour)
				inside.Add(1)
				c.Read(make([]byte, 1))
			})
			l, err := Open(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go s.Serve(l)
			defer end(s)
			before := footprint()
			for range conns {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Skip("no more connections here:", err)
				}
				defer c.Close()
				if test.tls != nil {
					if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
						t.Fatal(err)
					}
				}
			}
			for inside.Load() < conns {
				time.Sleep(time.Millisecond)
			}
			each := (footprint() - before) / conns
			t.Logf("%d bytes for each of %d connections, the client's end included", each, conns)
			if each > test.max {
				t.Errorf("expected at most %d", test.max)
			}
		})
	}
}

// footprint is heap and stacks in bytes, with the stacks shrunk to what they need.
func footprint() int {
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
