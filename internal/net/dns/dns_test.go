package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

const zone = `
example.net.        MX 20 mx2.example.net.
example.net.        MX 10 mx1.example.net.
example.net.        MX 10 mx3.example.net.
example.net.        TXT "v=spf1 " "-all"
example.net.        TXT "a\"b\\c\200"
mx1.example.net.    A 192.0.2.1
mx1.example.net.    AAAA 2001:db8::1
mx2.example.net.    A 192.0.2.2
only4.example.net.  A 192.0.2.4
only6.example.net.  AAAA 2001:db8::6
null.example.net.   MX 0 .
ip.example.net.     MX 10 192.0.2.1.
odd.example.net.    MX 0 .
odd.example.net.    MX 10 mx1.example.net.
odd.example.net.    MX 10 192.0.2.9.
odd.example.net.    MX 5 a\032b\<script\>.example.net.
alias.example.net.  CNAME example.net.
loop1.example.net.  CNAME loop2.example.net.
loop2.example.net.  CNAME loop1.example.net.
self.example.net.   CNAME self.example.net.
wild.example.net.   A 192.0.2.7
*.wild.example.net. MX 10 mx1.example.net.
!servfail servfail.example.net
!refused refused.example.net
!timeout timeout.example.net
!garbage garbage.example.net
!wrongid wrongid.example.net
!wrongname wrongname.example.net
!truncate big.example.net
big.example.net.    MX 10 mx1.example.net.
!servfail half.example.net AAAA
1.2.0.192.in-addr.arpa. PTR mx1.example.net.
9.2.0.192.in-addr.arpa. PTR liar.example.net.
9.2.0.192.in-addr.arpa. PTR mx1.example.net.
8.2.0.192.in-addr.arpa. PTR a\032b\<i\>.example.net.
7.2.0.192.in-addr.arpa. PTR servfail.example.net.
6.2.0.192.in-addr.arpa. PTR \013\010evil.example.net.
6.2.0.192.in-addr.arpa. PTR only4.example.net.
4.2.0.192.in-addr.arpa. PTR servfail.example.net.
4.2.0.192.in-addr.arpa. PTR only4.example.net.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mx1.example.net.
`

func server(t *testing.T, zone string) *sim.DNS {
	t.Helper()
	d, err := sim.StartDNS("127.0.0.1:0", zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func resolver(t *testing.T, c dns.Config) *dns.Resolver {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout, c.Deadline = 20*time.Second, time.Minute
	}
	r, err := dns.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hosts(mx []dns.MX) (names []string) {
	for _, m := range mx {
		names = append(names, m.Host)
	}
	return names
}

func TestLookupMX(t *testing.T) {
	d := server(t, zone)
	r := resolver(t, dns.Config{Servers: []string{d.Addr()}})
	brief := resolver(t, dns.Config{Servers: []string{d.Addr()}, Timeout: 200 * time.Millisecond, Rounds: 2})
	cases := []struct {
		id, name string
		r        *dns.Resolver
		state    lookup.State
		err      error
		hosts    string
	}{
		{"", "example.net", r, lookup.Found, nil, "mx1.example.net mx3.example.net mx2.example.net"},
		{"", "EXAMPLE.Net.", r, lookup.Found, nil, "mx1.example.net mx3.example.net mx2.example.net"},
		{"", "alias.example.net", r, lookup.Found, nil, "mx1.example.net mx3.example.net mx2.example.net"},
		{"AUT-022 wildcard", "any.wild.example.net", r, lookup.Found, nil, "mx1.example.net"},
		{"AUT-022 null MX", "null.example.net", r, lookup.NotFound, dns.ErrNullMX, ""},
		{"AUT-022 MX to an address", "ip.example.net", r, lookup.TryAgain, nil, ""},
		{"AUT-022 odd hosts", "odd.example.net", r, lookup.Found, nil, "mx1.example.net"},
		{"AUT-022 truncated", "big.example.net", r, lookup.Found, nil, "mx1.example.net"},
		{"INV-08 no domain", "nothing.example.net", r, lookup.NotFound, dns.ErrNoDomain, ""},
		{"INV-08 no data", "only4.example.net", r, lookup.NotFound, dns.ErrNoData, ""},
		{"no name", "a b.example", r, lookup.NotFound, dns.ErrBadName, ""},
		{"no name", "", r, lookup.NotFound, dns.ErrBadName, ""},
		{"no name", strings.Repeat("a.", 200), r, lookup.NotFound, dns.ErrBadName, ""},
		{"INV-08 SERVFAIL", "servfail.example.net", r, lookup.TryAgain, nil, ""},
		{"INV-08 REFUSED", "refused.example.net", r, lookup.TryAgain, nil, ""},
		{"INV-08 silence", "timeout.example.net", brief, lookup.TryAgain, nil, ""},
		{"INV-08 garbage", "garbage.example.net", brief, lookup.TryAgain, nil, ""},
		{"AUT-022 wrong id", "wrongid.example.net", brief, lookup.TryAgain, nil, ""},
		{"AUT-022 wrong question", "wrongname.example.net", r, lookup.TryAgain, nil, ""},
		{"AUT-022 CNAME loop", "loop1.example.net", r, lookup.TryAgain, nil, ""},
		{"AUT-022 CNAME to itself", "self.example.net", r, lookup.TryAgain, nil, ""},
	}
	for _, tc := range cases {
		t.Run(strings.TrimSpace(tc.id+" "+tc.name[:min(len(tc.name), 30)]), func(t *testing.T) {
			a := tc.r.LookupMX(context.Background(), tc.name)
			got := hosts(a.Value())
			if len(got) == 3 { // the first two are equal, in random order
				slices.Sort(got[:2])
			}
			if a.State() != tc.state || strings.Join(got, " ") != tc.hosts || tc.err != nil && !errors.Is(a.Err(), tc.err) {
				t.Errorf("%v %q (%v), want %v %q (%v)", a.State(), got, a.Err(), tc.state, tc.hosts, tc.err)
			}
		})
	}
}

func TestChainLimit(t *testing.T) {
	var z strings.Builder
	for _, n := range []int{8, 9, 20} {
		for i := range n {
			fmt.Fprintf(&z, "c%d-%d.example.net. CNAME c%d-%d.example.net.\n", n, i, n, i+1)
		}
		fmt.Fprintf(&z, "c%d-%d.example.net. A 192.0.2.1\n", n, n)
	}
	r := resolver(t, dns.Config{Servers: []string{server(t, z.String()).Addr()}})
	for n, want := range map[int]lookup.State{8: lookup.Found, 9: lookup.TryAgain, 20: lookup.TryAgain} {
		t.Run(fmt.Sprintf("AUT-022 a chain of %d", n), func(t *testing.T) {
			if a := r.LookupAddr(context.Background(), fmt.Sprintf("c%d-0.example.net", n)); a.State() != want {
				t.Errorf("%v (%v), want %v", a.State(), a.Err(), want)
			}
		})
	}
}

// custom is a server made of one function.
func custom(t *testing.T, answer func(q, m *wire.Msg)) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	s := &wire.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: wire.HandlerFunc(func(w wire.ResponseWriter, q *wire.Msg) {
		m := new(wire.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		answer(q, m)
		w.WriteMsg(m)
	})}
	go s.ActivateAndServe()
	<-started
	t.Cleanup(func() { s.Shutdown() })
	return pc.LocalAddr().String()
}

func rr(t *testing.T, s string) wire.RR {
	t.Helper()
	r, err := wire.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOddServers(t *testing.T) {
	ctx := context.Background()
	t.Run("a chain answered one link at a time", func(t *testing.T) {
		target := rr(t, "end.example.net. 60 A 192.0.2.1")
		alias := rr(t, "start.example.net. 60 CNAME end.example.net.")
		r := resolver(t, dns.Config{Servers: []string{custom(t, func(q, m *wire.Msg) {
			if m.Answer = []wire.RR{alias}; strings.EqualFold(q.Question[0].Name, "end.example.net.") {
				m.Answer = []wire.RR{target}
			}
		})}})
		if a := r.LookupAddr(ctx, "start.example.net"); a.State() != lookup.Found {
			t.Errorf("%v (%v)", a.State(), a.Err())
		}
	})
	t.Run("INV-08 a referral is not an empty answer", func(t *testing.T) {
		ns := rr(t, "net. 60 NS ns.example.net.")
		r := resolver(t, dns.Config{Servers: []string{custom(t, func(q, m *wire.Msg) {
			m.RecursionAvailable, m.Ns = false, []wire.RR{ns}
		})}})
		if a := r.LookupMX(ctx, "example.net"); a.State() != lookup.TryAgain {
			t.Errorf("%v (%v)", a.State(), a.Err())
		}
	})
	t.Run("a server that stumbles over EDNS0", func(t *testing.T) {
		answer := rr(t, "example.net. 60 MX 10 mx.example.net.")
		r := resolver(t, dns.Config{Servers: []string{custom(t, func(q, m *wire.Msg) {
			if q.IsEdns0() != nil {
				m.Rcode, m.Question = wire.RcodeFormatError, nil
				return
			}
			m.Answer = []wire.RR{answer}
		})}})
		if a := r.LookupMX(ctx, "example.net"); a.State() != lookup.Found {
			t.Errorf("%v (%v)", a.State(), a.Err())
		}
	})
	t.Run("AUT-022 a thousand MX", func(t *testing.T) {
		var z strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&z, "many.example.net. MX %d mx%d.example.net.\n", i%7, i)
		}
		r := resolver(t, dns.Config{Servers: []string{server(t, z.String()).Addr()}})
		a := r.LookupMX(ctx, "many.example.net")
		if len(a.Value()) != 20 || a.Value()[19].Preference != 0 {
			t.Errorf("%d hosts (%v)", len(a.Value()), a.Err())
		}
	})
	t.Run("the first server is down", func(t *testing.T) {
		good := server(t, zone)
		for _, trouble := range []string{"!servfail example.net", "!refused example.net", "!garbage example.net"} {
			r := resolver(t, dns.Config{Servers: []string{server(t, trouble).Addr(), good.Addr()}, Timeout: 2 * time.Second})
			if a := r.LookupMX(ctx, "example.net"); a.State() != lookup.Found {
				t.Errorf("%s: %v (%v)", trouble, a.State(), a.Err())
			}
		}
	})
}

func TestCutOffAnswer(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 512)
		for {
			_, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			q, m := new(wire.Msg), new(wire.Msg)
			if q.Unpack(buf) != nil {
				continue
			}
			m.SetReply(q)
			m.RecursionAvailable = true
			m.Answer = []wire.RR{&wire.MX{Hdr: wire.RR_Header{Name: "example.net.", Rrtype: wire.TypeMX, Class: wire.ClassINET}, Mx: "mx.example.net."}}
			packet, _ := m.Pack()
			question := 12 + len("\x07example\x03net\x00") + 4
			pc.WriteTo(packet[:question], from)
		}
	}()
	t.Run("INV-08 fewer records than announced is not an empty answer", func(t *testing.T) {
		r := resolver(t, dns.Config{Servers: []string{pc.LocalAddr().String()}})
		if a := r.LookupMX(context.Background(), "example.net"); a.State() != lookup.TryAgain {
			t.Errorf("%v (%v)", a.State(), a.Err())
		}
	})
}

func TestMailHosts(t *testing.T) {
	r := resolver(t, dns.Config{Servers: []string{server(t, zone).Addr()}})
	a := r.MailHosts(context.Background(), "only4.example.net")
	if want := []dns.MX{{Host: "only4.example.net", Implicit: true}}; !slices.Equal(a.Value(), want) {
		t.Errorf("%v (%v), want the implicit MX", a.Value(), a.Err())
	}
	for name, want := range map[string]lookup.State{"null.example.net": lookup.NotFound, "nothing.example.net": lookup.NotFound, "servfail.example.net": lookup.TryAgain} {
		if a := r.MailHosts(context.Background(), name); a.State() != want {
			t.Errorf("%s: %v (%v), want %v", name, a.State(), a.Err(), want)
		}
	}
}

func TestLookupAddr(t *testing.T) {
	d := server(t, zone)
	r := resolver(t, dns.Config{Servers: []string{d.Addr()}})
	cases := map[string]string{
		"mx1.example.net":         "[2001:db8::1 192.0.2.1]",
		"only4.example.net":       "[192.0.2.4]",
		"only6.example.net":       "[2001:db8::6]",
		"192.0.2.33":              "[192.0.2.33]",
		"nothing.example.net":     "not found",
		"null.example.net":        "not found",
		"servfail.example.net":    "try again",
		"*.example.net":           "not found",
		"mx1.example.net\r\nx":    "not found",
		"::ffff:192.0.2.44":       "[192.0.2.44]",
		"fe80::1%eth0.example.de": "not found",
	}
	for name, want := range cases {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			a := r.LookupAddr(context.Background(), name)
			got := a.State().String()
			if a.State() == lookup.Found {
				got = fmt.Sprint(a.Value())
			}
			if got != want {
				t.Errorf("%s (%v), want %s", got, a.Err(), want)
			}
		})
	}
}

func TestLookupTXT(t *testing.T) {
	r := resolver(t, dns.Config{Servers: []string{server(t, zone).Addr()}})
	a := r.LookupTXT(context.Background(), "example.net")
	if want := []string{"v=spf1 -all", "a\"b\\c\xc8"}; !slices.Equal(a.Value(), want) {
		t.Errorf("%q (%v), want %q", a.Value(), a.Err(), want)
	}
}

func TestClientName(t *testing.T) {
	d := server(t, zone)
	r := resolver(t, dns.Config{Servers: []string{d.Addr()}})
	cases := []struct{ addr, want string }{
		{"192.0.2.1", "mx1.example.net"},
		{"2001:db8::1", "mx1.example.net"},
		{"::ffff:192.0.2.1", "mx1.example.net"},
		{"192.0.2.9", "not found"},         // forward mismatch
		{"192.0.2.8", "not found"},         // no host name
		{"192.0.2.6", "not found"},         // control characters, and a mismatch
		{"192.0.2.7", "try again"},         // forward fails
		{"192.0.2.4", "only4.example.net"}, // one name fails, the other is good
		{"192.0.2.200", "not found"},
	}
	for _, tc := range cases {
		t.Run("AUT-027 "+tc.addr, func(t *testing.T) {
			a := r.ClientName(context.Background(), netip.MustParseAddr(tc.addr))
			got := a.State().String()
			if a.State() == lookup.Found {
				got = a.Value()
			}
			if got != tc.want {
				t.Errorf("%s (%v), want %s", got, a.Err(), tc.want)
			}
		})
	}
}

func TestCaching(t *testing.T) {
	ctx := context.Background()
	t.Run("what is known is not asked again", func(t *testing.T) {
		d := server(t, zone)
		r := resolver(t, dns.Config{Servers: []string{d.Addr()}})
		for range 3 {
			r.LookupMX(ctx, "example.net")
			r.LookupMX(ctx, "nothing.example.net")
		}
		if d.Asked("example.net", "MX") != 1 || d.Asked("nothing.example.net", "MX") != 1 {
			t.Errorf("asked %d and %d times", d.Asked("example.net", "MX"), d.Asked("nothing.example.net", "MX"))
		}
	})
	t.Run("FLT-016 an outage leaves nothing behind", func(t *testing.T) {
		d := server(t, zone)
		r := resolver(t, dns.Config{Servers: []string{d.Addr()}, Timeout: 200 * time.Millisecond, Rounds: 1})
		for _, trouble := range []sim.Trouble{sim.ServFail, sim.Refused, sim.Silent, sim.Garbage} {
			d.Fail("example.net", trouble)
			if a := r.LookupMX(ctx, "example.net"); a.State() != lookup.TryAgain {
				t.Errorf("%s: %v", trouble, a.State())
			}
		}
		d.Fail("example.net", sim.None)
		r = resolver(t, dns.Config{Servers: []string{d.Addr()}})
		d.Fail("example.net", sim.ServFail)
		r.LookupMX(ctx, "example.net")
		d.Fail("example.net", sim.None)
		if a := r.LookupMX(ctx, "example.net"); a.State() != lookup.Found {
			t.Errorf("after the outage: %v (%v)", a.State(), a.Err())
		}
	})
	t.Run("equal questions are asked once", func(t *testing.T) {
		var asked atomic.Int32
		answer := rr(t, "example.net. 60 MX 10 mx.example.net.")
		release := make(chan struct{})
		r := resolver(t, dns.Config{Servers: []string{custom(t, func(q, m *wire.Msg) {
			asked.Add(1)
			<-release
			m.Answer = []wire.RR{answer}
		})}})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if a := r.LookupMX(ctx, "example.net"); a.State() != lookup.Found {
					t.Errorf("%v (%v)", a.State(), a.Err())
				}
			})
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if a := r.LookupMX(gone, "example.net"); a.State() != lookup.TryAgain {
			t.Errorf("with an ended context: %v", a.State())
		}
		close(release)
		all.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestBudget(t *testing.T) {
	d := server(t, zone)
	r := resolver(t, dns.Config{Servers: []string{d.Addr()}})
	ctx := dns.WithBudget(context.Background(), 2)
	r.LookupMX(ctx, "example.net")
	r.LookupMX(ctx, "example.net") // from the cache: free
	r.LookupTXT(ctx, "example.net")
	if a := r.LookupTXT(ctx, "mx1.example.net"); a.State() != lookup.TryAgain || !errors.Is(a.Err(), dns.ErrBudget) {
		t.Errorf("%v (%v)", a.State(), a.Err())
	}
}

func TestSecure(t *testing.T) {
	d := server(t, zone)
	d.Validate(true)
	for _, trust := range []bool{false, true} {
		r := resolver(t, dns.Config{Servers: []string{d.Addr()}, TrustAD: trust})
		for name := range map[string]bool{"example.net": true, "alias.example.net": true} {
			if a := r.LookupMX(context.Background(), name); a.Value()[0].Secure != trust {
				t.Errorf("trust_ad %v, %s: secure %v", trust, name, a.Value()[0].Secure)
			}
		}
	}
	d.Validate(false)
	r := resolver(t, dns.Config{Servers: []string{d.Addr()}, TrustAD: true})
	if a := r.LookupMX(context.Background(), "example.net"); a.Value()[0].Secure {
		t.Error("secure without AD")
	}
}

func TestNew(t *testing.T) {
	d := server(t, zone)
	file := filepath.Join(t.TempDir(), "resolv.conf")
	host, _, _ := net.SplitHostPort(d.Addr())
	if err := os.WriteFile(file, []byte("search example.net\nnameserver "+host+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dns.New(dns.Config{ResolvConf: file}); err != nil {
		t.Error(err)
	}
	for _, bad := range []dns.Config{{Servers: []string{"localhost"}}, {ResolvConf: file + ".no"}, {ResolvConf: os.DevNull}} {
		if _, err := dns.New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
