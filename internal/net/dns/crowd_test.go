package dns_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// TestCrowd: AUT-024, INV-15, a DNS that hangs costs a bounded number of sockets, however
// many sessions ask it, and a domain whose servers hang leaves room for the others.
func TestCrowd(t *testing.T) {
	for name, ask := range map[string]func(r *dns.Resolver, n int){
		"AUT-024 a domain": func(r *dns.Resolver, n int) { r.LookupTXT(context.Background(), fmt.Sprintf("d%d.evil.example", n)) },
		"AUT-024 many":     func(r *dns.Resolver, n int) { r.LookupTXT(context.Background(), fmt.Sprintf("x.evil%d.example", n)) },
		"AUT-024 a network": func(r *dns.Resolver, n int) {
			r.LookupPTR(context.Background(), netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}))
		},
		"AUT-024 a network6": func(r *dns.Resolver, n int) {
			r.LookupPTR(context.Background(), netip.AddrFrom16([16]byte{0x20, 1, 14: byte(n >> 8), 15: byte(n)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open, most atomic.Int64
				hangs := func(_ context.Context, network, _ string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					now := open.Add(1)
					for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
					}
					go func() {
						defer open.Add(-1)
						defer ours.Close()
						c := &wire.Conn{Conn: ours}
						for q, err := c.ReadMsg(); err == nil; q, err = c.ReadMsg() {
							if strings.EqualFold(q.Question[0].Name, "good.example.") {
								m := new(wire.Msg).SetReply(q)
								rr, _ := wire.NewRR(`good.example. TXT "here"`)
								m.Answer, m.RecursionAvailable = append(m.Answer, rr), true
								c.WriteMsg(m)
							}
						}
					}()
					return theirs, nil
				}
				r, err := dns.New(dns.Config{Servers: []string{"192.0.2.53"}, Dial: hangs})
				if err != nil {
					t.Fatal(err)
				}
				var busy sync.WaitGroup
				for n := range 1500 {
					busy.Go(func() { ask(r, n) })
				}
				synctest.Wait()
				few := int64(128)
				if strings.HasSuffix(name, "many") {
					few = 1024
				}
				if most.Load() != few {
					t.Errorf("%d sockets, want %d", most.Load(), few)
				}
				if few < 1024 {
					begin := time.Now()
					if a := r.LookupTXT(context.Background(), "good.example"); a.State() != lookup.Found || time.Since(begin) > 0 {
						t.Errorf("%v after %v", a, time.Since(begin))
					}
				}
				begin := time.Now()
				busy.Wait()
				if time.Since(begin) > 21*time.Second {
					t.Errorf("waited %v", time.Since(begin))
				}
				time.Sleep(time.Minute)
				if open.Load() != 0 {
					t.Errorf("%d sockets are left", open.Load())
				}
				if a := r.LookupTXT(context.Background(), "good.example"); a.State() != lookup.Found {
					t.Errorf("%v afterwards", a)
				}
			})
		})
	}
}
