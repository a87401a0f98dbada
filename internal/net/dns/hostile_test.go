package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

// inMemory is a resolver with servers in memory, by address.
func inMemory(t *testing.T, c dns.Config, servers map[string]*sim.DNS) *dns.Resolver {
	t.Helper()
	for addr := range servers {
		c.Servers = append(c.Servers, addr)
	}
	slices.Sort(c.Servers)
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return servers[strings.TrimSuffix(address, ":53")].Dial(ctx, network, address)
	}
	r, err := dns.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inMemoryZone(t *testing.T, zone string) *sim.DNS {
	t.Helper()
	d, err := sim.NewDNS(zone)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// each is a server made of one function, by UDP and TCP.
func each(t *testing.T, answer func(overTCP bool, q, m *wire.Msg)) dns.Config {
	return dns.Config{Servers: []string{"192.0.2.53"}, Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			c := &wire.Conn{Conn: ours}
			for {
				q, err := c.ReadMsg()
				if err != nil {
					return
				}
				m := new(wire.Msg)
				m.SetReply(q)
				m.RecursionAvailable = true
				answer(network == "tcp", q, m)
				c.WriteMsg(m)
			}
		}()
		return theirs, nil
	}}
}

func TestHostileAnswers(t *testing.T) {
	ctx := context.Background()
	text := rr(t, `example.net. 60 TXT "good"`)
	t.Run("AUT-022 truncated even over TCP", func(t *testing.T) {
		asked := 0
		r := resolver(t, each(t, func(_ bool, q, m *wire.Msg) { m.Truncated = true; asked++ }))
		if a := r.LookupTXT(ctx, "example.net"); a.State() != lookup.TryAgain || asked > 4 {
			t.Errorf("%v after %d questions", a.State(), asked)
		}
	})
	t.Run("AUT-022 64 KiB over TCP", func(t *testing.T) {
		var z strings.Builder
		for i := range 230 {
			fmt.Fprintf(&z, "big.example.net. TXT \"%03d%s\"\n", i, strings.Repeat("x", 250))
		}
		if a := sim.Zone(t, z.String()).LookupTXT(ctx, "big.example.net"); len(a.Value()) != 230 {
			t.Errorf("%d records: %v", len(a.Value()), a.Err())
		}
	})
	t.Run("AUT-022 each link of a chain is a question", func(t *testing.T) {
		c := each(t, func(_ bool, q, m *wire.Msg) {
			name := strings.ToLower(q.Question[0].Name)
			if q.Question[0].Qtype != wire.TypeTXT {
				return
			}
			if name[0] == '8' {
				m.Answer = []wire.RR{rr(t, name+` 0 TXT "end"`)}
				return
			}
			m.Answer = []wire.RR{rr(t, name+" 0 CNAME "+string(name[0]+1)+name[1:])}
		})
		r := resolver(t, c)
		ctx := dns.WithBudget(ctx, 10)
		if a := r.LookupTXT(ctx, "0.example.net"); a.State() != lookup.Found {
			t.Fatal(a.Err())
		}
		if a := r.LookupTXT(ctx, "4.example.org"); a.State() != lookup.Found {
			t.Fatal(a.Err())
		}
		if a := r.LookupTXT(ctx, "8.example.net"); !errors.Is(a.Err(), dns.ErrBudget) {
			t.Errorf("nine links and five are not more than ten: %v", a.Err())
		}
	})
	t.Run("AUT-023 the case of the letters", func(t *testing.T) {
		var asked []string
		r := resolver(t, each(t, func(tcp bool, q, m *wire.Msg) {
			asked = append(asked, fmt.Sprint(q.Question[0].Name, " ", tcp))
			// Somebody who saw neither the question nor its letters.
			m.Question = []wire.Question{{Name: "a.long.name.example.net.", Qtype: wire.TypeTXT, Qclass: wire.ClassINET}}
			m.Answer = []wire.RR{rr(t, `a.long.name.example.net. 60 TXT "forged"`)}
			if tcp {
				m.Answer = []wire.RR{rr(t, `a.long.name.example.net. 60 TXT "true"`)}
			}
		}))
		a := r.LookupTXT(ctx, "a.long.name.example.net")
		if !slices.Equal(a.Value(), []string{"true"}) || len(asked) != 2 || strings.HasPrefix(asked[0], "a.long.name.example.net.") {
			t.Errorf("%q (%v) after %q", a.Value(), a.Err(), asked)
		}
	})
	t.Run("AUT-023 AD counts only where it is trusted", func(t *testing.T) {
		for _, trust := range []bool{false, true} {
			c := each(t, func(_ bool, q, m *wire.Msg) {
				if m.AuthenticatedData = true; q.Question[0].Qtype == wire.TypeMX {
					m.Answer = []wire.RR{rr(t, "example.net. 60 MX 1 mx.example.net.")}
				}
			})
			c.TrustAD = trust
			if a := resolver(t, c).LookupMX(ctx, "example.net"); a.Value()[0].Secure != trust {
				t.Errorf("trusted: %v, secure: %v", trust, a.Value()[0].Secure)
			}
		}
	})
	t.Run("AUT-023 records of others in the answer", func(t *testing.T) {
		r := resolver(t, each(t, func(_ bool, q, m *wire.Msg) {
			m.Answer = []wire.RR{rr(t, `bank.example. 60 TXT "forged"`), text}
			m.Extra = append(m.Extra, rr(t, `other.example. 60 TXT "forged"`))
			if !strings.EqualFold(q.Question[0].Name, "example.net.") {
				m.Answer, m.Extra = nil, nil
			}
		}))
		if a := r.LookupTXT(ctx, "example.net"); !slices.Equal(a.Value(), []string{"good"}) {
			t.Errorf("%q", a.Value())
		}
		if a := r.LookupTXT(ctx, "bank.example"); a.State() != lookup.NotFound {
			t.Errorf("bank.example: %q", a.Value())
		}
	})
}

// AUT-024: zones that are made to keep a resolver busy cost us nothing but the wait for
// it, and that ends.
func TestHangingResolver(t *testing.T) {
	t.Run("AUT-024 a look-up ends, and so does the work's own deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inMemory(t, dns.Config{}, map[string]*sim.DNS{"192.0.2.1": inMemoryZone(t, "!timeout slow.example"), "192.0.2.2": inMemoryZone(t, "!timeout slow.example")})
			began := time.Now()
			if a := r.LookupTXT(context.Background(), "slow.example"); a.State() != lookup.TryAgain || time.Since(began) > 20*time.Second {
				t.Errorf("%v after %v", a.State(), time.Since(began))
			}
			began = time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if a := r.LookupTXT(ctx, "slow.example"); a.State() != lookup.TryAgain || time.Since(began) != 5*time.Second {
				t.Errorf("%v after %v", a.State(), time.Since(began))
			}
			time.Sleep(20 * time.Second) // the question goes on, for others who might come
		})
	})
	t.Run("a silent server is asked last for a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dead := inMemoryZone(t, "!timeout a.example\n!timeout b.example\nc.example. TXT first")
			good := inMemoryZone(t, "a.example. TXT second\nb.example. TXT second\nc.example. TXT second")
			r := inMemory(t, dns.Config{}, map[string]*sim.DNS{"192.0.2.1": dead, "192.0.2.2": good})
			for _, step := range []struct {
				name, want string
				wait, took time.Duration
			}{{"a.example", "second", 0, 3 * time.Second}, {"b.example", "second", 0, 0}, {"c.example", "first", time.Minute, 0}} {
				time.Sleep(step.wait)
				began := time.Now()
				a := r.LookupTXT(context.Background(), step.name)
				if !slices.Equal(a.Value(), []string{step.want}) || time.Since(began) != step.took {
					t.Errorf("%s: %q after %v", step.name, a.Value(), time.Since(began))
				}
			}
		})
	})
}

// The first of many who ask for the same pays neither for them nor decides for them.
func TestSharedLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := inMemoryZone(t, "!timeout example.net\nexample.net. TXT x")
		r := inMemory(t, dns.Config{Timeout: time.Second, Rounds: 5}, map[string]*sim.DNS{"192.0.2.1": d})
		first, cancel := context.WithCancel(dns.WithBudget(context.Background(), 1))
		var all sync.WaitGroup
		all.Go(func() {
			if a := r.LookupTXT(first, "example.net"); !errors.Is(a.Err(), context.Canceled) {
				t.Errorf("the first: %v", a.Err())
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(func() {
				if a := r.LookupTXT(context.Background(), "example.net"); a.State() != lookup.Found {
					t.Errorf("the others: %v", a.Err())
				}
			})
		}
		synctest.Wait()
		cancel()
		d.Fail("example.net", sim.None)
		all.Wait()
	})
}

func TestLookupCNAME(t *testing.T) {
	r := sim.Zone(t, `
		s1._domainkey.example.org. CNAME S1._domainkey.provider.example.
		s1._domainkey.provider.example. CNAME elsewhere.example.
		odd.example.org. CNAME a\032b.example.
		plain.example.org. TXT x
	`)
	for name, want := range map[string]string{
		"s1._domainkey.example.org": "s1._domainkey.provider.example", "odd.example.org": "try again",
		"plain.example.org": "not found", "none.example.org": "not found",
	} {
		a := r.LookupCNAME(context.Background(), name)
		got := a.State().String()
		if a.State() == lookup.Found {
			got = a.Value()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
