package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/test/sim"
)

// logged keeps the lines of the log.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	program, text := e.Line()
	l.lines = append(l.lines, program+": "+text)
}

// count is how many lines hold a text.
func (l *logged) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// relay starts a machine that relays, which says what it is told to.
func (c *corridor) relay(n int, faults ...sim.Fault) (*sim.Sink, transport.Relay) {
	c.t.Helper()
	name := fmt.Sprintf("relay%d.test", n)
	s := c.peer(name, sim.Peer{Faults: faults, TLS: c.certificate("mx." + name)})
	return s, transport.Relay{Host: "mx." + name, Port: uint16(s.Addr().Port), User: "me", Password: conf.NewSecret("geheim"), Verify: true}
}

// throughTransports makes the ways of a corridor.
func (c *corridor) throughTransports(r transport.Rules) {
	c.t.Helper()
	ways, wrong := transport.NewTable(r)
	if len(wrong) > 0 {
		c.t.Fatal(wrong)
	}
	c.tune = func(o *Outbound) { o.Ways, o.ReuseCount = ways, 1 }
}

// TestRelaysTakeOver: a relay that can't be reached, refuses to talk, does not let us in or
// refuses our address is left alone, and the mail goes by the other in the same attempt.
// Nothing comes back for it.
//
// Rows 126 and 128: smarthosts, one of which is blocked.
func TestRelaysTakeOver(t *testing.T) {
	const blocked = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1\r\n"
	for name, fault := range map[string]sim.Fault{
		"blocked at the banner":      {At: "greeting", Raw: blocked, Then: sim.Drop},
		"blocked at the sender":      {At: "MAIL", Raw: blocked, Then: sim.Drop},
		"blocked at the recipient":   {At: "RCPT", Raw: blocked, Then: sim.Drop},
		"blocked at the end":         {At: "end", Raw: blocked},
		"a log-in that is refused":   {At: "AUTH", Raw: "535 5.7.8 Authentication credentials invalid\r\n"},
		"hung up":                    {At: "greeting", Silent: true, Then: sim.Reset},
		"a certificate for no one":   {},
		"no TLS, so no log-in there": {At: "STARTTLS", Raw: "454 4.7.0 TLS not available\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c, log := newCorridor(t), &logged{}
			c.events = log
			first, one := c.relay(1, fault)
			second, two := c.relay(2)
			if name == "a certificate for no one" {
				check(t, c.world.DNS.Load("other.test. CNAME mx.relay1.test.\n"))
				one.Host = "other.test"
			}
			c.throughTransports(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{one, two}}})
			c.run()
			for n := range 3 {
				c.post("alice@example.org", "alice@example.org", letterText, fmt.Sprintf("x%d@far.test", n))
			}
			if got := second.Await(3, 20*time.Second); len(got) != 3 {
				t.Fatalf("%d of 3 arrived\n%s", len(got), log)
			}
			c.await("the queue is empty", func() bool { return c.empty() && log.count("status=sent") == 3 })
			if n := len(first.Taken()); n != 0 && fault.At != "end" || len(c.letters("alice")) != 0 {
				t.Errorf("%d taken by the first; letters to alice: %v", n, c.letters("alice"))
			}
			if n := log.count("does not take our mail"); n != 1 || log.count("status=sent") != 3 || log.count("status=deferred") != 0 {
				t.Errorf("%d times told that the relay does not take our mail\n%s", n, log)
			}
			if log.count("geheim") != 0 {
				t.Error("INV-21: the password is in the log")
			}
		})
	}
}

// TestRelayOnLocalhost: a content filter on this machine is found where the name service
// does not know that name.
func TestRelayOnLocalhost(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	_, relay := c.relay(1)
	c.throughTransports(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{{Host: "localhost", Port: relay.Port}}}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	c.await("somebody there is asked", func() bool {
		return log.count("to=<x@far.test>, relay=localhost[127.0.0.1]:")+log.count("connect to localhost[127.0.0.1]:") > 0
	})
}

// TestRelayRefusesTheMessage: what a relay says about a message and not about us is the
// answer; no other relay is asked.
func TestRelayRefusesTheMessage(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	_, one := c.relay(1, sim.Fault{At: "RCPT", Raw: "550 5.1.1 No such user here\r\n"})
	second, two := c.relay(2)
	c.throughTransports(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{one, two}}})
	c.run()
	id := c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	if notice := c.ended(id); !strings.Contains(notice, "5.1.1") || len(second.Taken()) != 0 {
		t.Errorf("%d taken by the second\n%s", len(second.Taken()), notice)
	}
}

// TestReloadSwapsARelay: what waits takes the new way at its next attempt.
func TestReloadSwapsARelay(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	_, one := c.relay(1, sim.Fault{At: "RCPT", Raw: "451 4.7.1 Not now\r\n"})
	second, two := c.relay(2)
	var mu sync.Mutex
	usual := one
	tables := map[string]*transport.Table{}
	for _, r := range []transport.Relay{one, two} {
		tables[r.Host], _ = transport.NewTable(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{r}}})
	}
	c.tune = func(o *Outbound) {
		mu.Lock()
		defer mu.Unlock()
		o.Ways = tables[usual.Host]
	}
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	c.await("it is deferred", func() bool { return log.count("status=deferred") > 0 })
	mu.Lock()
	usual = two
	mu.Unlock()
	if got := second.Await(1, 20*time.Second); len(got) != 1 {
		t.Fatalf("it did not take the new way\n%s", log)
	}
}

// TestPresetInTheLog: mail to an operator that has a preset is sent by that transport,
// and the log says so.
//
// Rows 132 and 138.
func TestPresetInTheLog(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	host := c.peer("touchy.test", sim.Peer{})
	check(t, c.world.DNS.Load("company.test. MX 10 mx.touchy.test.\n"))
	c.throughTransports(transport.Rules{Presets: []transport.Preset{{
		Transport: &transport.Transport{Name: "touchy", LogName: "postfix-slow", Pace: transport.Pace{Concurrency: 1}}, MX: []string{"*.touchy.test"}}}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@company.test")
	if len(host.Await(1, 20*time.Second)) != 1 {
		t.Fatal(log)
	}
	c.await("it is told", func() bool { return log.count("postfix-slow/smtp: ") == 1 })
	if log.count("to=<x@company.test>, relay=mx.touchy.test[") != 1 {
		t.Error(log)
	}
}

// TestLOOP003WithTransports: an MX that is ourselves is a loop by every transport, and
// where a map named the domain.
func TestLOOP003WithTransports(t *testing.T) {
	c := newCorridor(t)
	check(t, c.world.DNS.Load("self.test. MX 10 mail.example.org.\nbackup.test. MX 20 mail.example.org.\nbackup.test. MX 10 mx.main.test.\nmx.main.test. A 127.0.0.9\n"))
	c.throughTransports(transport.Rules{Entries: []transport.Entry{
		{Recipients: []string{"slow.test"}, To: "slow:self.test"}, {Recipients: []string{"named.test"}, To: ":self.test"}}})
	out := &Outbound{IPv4: true, Port: 1, AllowPrivate: true}
	c.tune(out)
	out.Self.Names = []string{"mail.example.org"}
	f := House{Hostname: "mail.example.org", Resolver: c.resolver}.finder()
	for _, domain := range []string{"self.test", "slow.test", "named.test"} {
		m := transport.Mail{Domain: domain, Recipient: mustParse(t, "x@"+domain)}
		if _, reply, _ := f.site(t.Context(), out, out.Ways.Choose(m)); reply == nil || reply.Enhanced != "5.4.6" {
			t.Errorf("%s: %v", domain, reply)
		}
	}
	s, reply, _ := f.site(t.Context(), out, out.Ways.Choose(transport.Mail{Domain: "backup.test"}))
	if reply != nil || len(s.hosts) != 1 || s.hosts[0].name != "mx.main.test" {
		t.Errorf("a backup MX keeps only the better hosts: %v %+v", reply, s.hosts)
	}
}

// TestLOOP003ByAddress: row 58. An MX with another name and an address of ours behind a
// router is ourselves: hosts that are no better are backups, too, and would bring it back.
func TestLOOP003ByAddress(t *testing.T) {
	c := newCorridor(t)
	check(t, c.world.DNS.Load(`only.test. MX 10 nat.test.
backup.test. MX 10 mx.main.test.
backup.test. MX 20 nat.test.
backup.test. MX 20 equal.test.
backup.test. MX 30 last.test.
nat.test. A 192.0.2.7
mx.main.test. A 127.0.0.9
equal.test. A 127.0.0.10
last.test. A 127.0.0.11
`))
	out := &Outbound{IPv4: true, Port: 1, AllowPrivate: true}
	c.tune(out)
	f := House{Hostname: "mail.example.org", Resolver: c.resolver}.finder()
	site := func(domain string) (names []string, reply *smtp.Reply) {
		s, reply, _ := f.site(t.Context(), out, out.Ways.Choose(transport.Mail{Domain: domain}))
		if reply == nil {
			for _, h := range s.hosts {
				names = append(names, h.name)
			}
		}
		return names, reply
	}
	if names, reply := site("backup.test"); reply != nil || len(names) != 4 {
		t.Errorf("nobody said that the address is ours: %q %v", names, reply)
	}
	out.Self.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
	if names, reply := site("backup.test"); reply != nil || !slices.Equal(names, []string{"mx.main.test"}) {
		t.Errorf("%q %v", names, reply)
	}
	if names, reply := site("only.test"); reply == nil || reply.Enhanced != "5.4.6" {
		t.Errorf("%q %v", names, reply)
	}
}

// sixes is a network where IPv6 leads to where it is told, and IPv4 to a peer.
type sixes struct {
	mu    sync.Mutex
	tried int
	to    func(ctx context.Context) (net.Conn, error)
}

func (n *sixes) dial(ctx context.Context, network string, to netip.AddrPort, _ netip.Addr) (net.Conn, error) {
	if to.Addr().Is4() {
		return new(net.Dialer).DialContext(ctx, network, to.String())
	}
	n.mu.Lock()
	n.tried++
	n.mu.Unlock()
	return n.to(ctx)
}

func (n *sixes) attempts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tried
}

// TestOUT017IPv6LeadsNowhere: the mail arrives over IPv4 in the same attempt; from then on
// that is tried first, so that it costs one time-out and not one for each message.
//
// Row 140: IPv6 first, and then IPv4.
func TestOUT017IPv6LeadsNowhere(t *testing.T) {
	for name, to := range map[string]func(context.Context) (net.Conn, error){
		"a black hole": func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
		"network is unreachable (S1:748)": func(context.Context) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.Join(syscall.ENETUNREACH)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, log, network := newCorridor(t), &logged{}, &sixes{to: to}
			c.events = log
			host := c.peer("dual.test", sim.Peer{})
			check(t, c.world.DNS.Load("mx.dual.test. AAAA 2001:db8::25\n"))
			c.tune = func(o *Outbound) {
				o.IPv6, o.Dial, o.ReuseCount, o.DestinationConcurrency = true, network.dial, 1, 1
				o.Timeouts.Stagger = 20 * time.Millisecond
			}
			c.run()
			for n := range 4 {
				c.post("alice@example.org", "alice@example.org", letterText, fmt.Sprintf("x%d@dual.test", n))
				if got := host.Await(n+1, 20*time.Second); len(got) != n+1 {
					t.Fatalf("%d of %d arrived\n%s", len(got), n+1, log)
				}
				c.await("it is told", func() bool { return log.count("status=sent") == n+1 })
			}
			if n := network.attempts(); n != 1 {
				t.Errorf("IPv6 was tried %d times for 4 messages", n)
			}
			if strings.HasPrefix(name, "network") && log.count("postfix/smtp: connect to mx.dual.test[2001:db8::25]") != 1 {
				t.Error(log)
			}
		})
	}
}

// TestIPv6WithoutAName: mail to strangers leaves from an IPv6 address only if that has a
// name that leads back to it. The admin hears of it once.
func TestIPv6WithoutAName(t *testing.T) {
	const own, reverse = "2606:4700::25", "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.4.6.0.6.2.ip6.arpa."
	for name, x := range map[string]struct {
		zone     string
		off, six bool
		only     bool // the host has no IPv4 address
	}{
		"no PTR":                           {zone: ""},
		"a PTR that does not lead back":    {zone: reverse + " PTR mail.example.net.\nmail.example.net. AAAA 2606:4700::26\n"},
		"a good name":                      {zone: reverse + " PTR mail.example.net.\nmail.example.net. AAAA " + own + "\n", six: true},
		"the name service does not answer": {zone: "!servfail " + reverse + "\n"},
		"switched off":                     {off: true, six: true},
		"no PTR, and no IPv4 there":        {only: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, log, network := newCorridor(t), &logged{}, &sixes{}
			c.events = log
			host := c.peer("dual.test", sim.Peer{})
			network.to = func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", host.Addr().String())
			}
			check(t, c.world.DNS.Load("mx.dual.test. AAAA 2001:4860:4860::25\nsix.test. MX 1 mx.six.test.\nmx.six.test. AAAA 2001:4860:4860::25\n"+x.zone))
			c.tune = func(o *Outbound) {
				o.IPv6, o.Dial, o.ReuseCount, o.RequireIPv6Name = true, network.dial, 1, !x.off
				o.Bind = []netip.Addr{netip.MustParseAddr(own)}
			}
			c.run()
			domain := "dual.test"
			if x.only {
				domain = "six.test"
			}
			for n := range 2 {
				c.post("alice@example.org", "alice@example.org", letterText, fmt.Sprintf("x%d@%s", n, domain))
			}
			if x.only {
				c.await("both wait", func() bool { return log.count("has no name in the DNS that leads back to it (PTR)") >= 2 })
			} else if got := host.Await(2, 20*time.Second); len(got) != 2 {
				t.Fatalf("%d of 2 arrived\n%s", len(got), log)
			}
			if got := network.attempts() > 0; got != x.six {
				t.Errorf("IPv6 used: %v\n%s", got, log)
			}
			if want := map[bool]int{true: 1}[strings.Contains(name, "PTR")]; log.count("mail to strangers goes over IPv4 only") != want {
				t.Errorf("warned %d times, want %d\n%s", log.count("mail to strangers goes over IPv4 only"), want, log)
			}
		})
	}
}

// TestNoIPv4HereAndNoName: where this machine has no way out over IPv4, the admin is told
// what keeps the mail from going over IPv6.
func TestNoIPv4HereAndNoName(t *testing.T) {
	const reverse = "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.4.6.0.6.2.ip6.arpa."
	for name, x := range map[string]struct {
		zone, want string
		fails      error
	}{
		"no PTR":                           {"", "Network is unreachable; its IPv6 addresses are not tried, as our own, 2606:4700::25, has no name in the DNS that leads back to it (PTR), so that mail from it is refused by many; see require_ipv6_name)", syscall.ENETUNREACH},
		"the name service does not answer": {"!servfail " + reverse + "\n", "Network is unreachable; its IPv6 addresses are not tried, as whether our own, 2606:4700::25, has a name in the DNS that leads back to it (PTR) can't be told now; see require_ipv6_name)", syscall.ENETUNREACH},
		"nobody listens there":             {"", ": Connection refused)", syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			c, log := newCorridor(t), &logged{}
			c.events = log
			c.peer("dual.test", sim.Peer{})
			check(t, c.world.DNS.Load("mx.dual.test. AAAA 2001:4860:4860::25\n"+x.zone))
			c.tune = func(o *Outbound) {
				o.IPv6, o.RequireIPv6Name, o.Bind = true, true, []netip.Addr{netip.MustParseAddr("2606:4700::25")}
				o.Dial = func(context.Context, string, netip.AddrPort, netip.Addr) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", x.fails)}
				}
			}
			c.run()
			c.post("alice@example.org", "alice@example.org", letterText, "x@dual.test")
			c.await("it is put off", func() bool { return log.count("status=deferred") > 0 })
			if log.count(x.want) == 0 {
				t.Errorf("no %q in\n%s", x.want, log)
			}
		})
	}
}

// TestFamilies: which family may be used, and which comes first, is the transport's.
//
// Row 141: either family of addresses, or both.
func TestFamilies(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, x := range []struct {
		from transport.Source
		all  []netip.Addr
		want string
	}{
		{transport.Source{IPv4: true, IPv6: true}, []netip.Addr{six, four}, "[2001:db8::1 192.0.2.1] <nil>"},
		{transport.Source{IPv4: true, IPv6: true, PreferIPv4: true}, []netip.Addr{six, four}, "[192.0.2.1 2001:db8::1] <nil>"},
		{transport.Source{IPv4: true, IPv6: true, PreferIPv6: true}, []netip.Addr{four, six}, "[2001:db8::1 192.0.2.1] <nil>"},
		{transport.Source{IPv4: true}, []netip.Addr{six, four}, "[192.0.2.1] <nil>"},
		{transport.Source{IPv6: true}, []netip.Addr{six, four}, "[2001:db8::1] <nil>"},
		{transport.Source{IPv4: true}, []netip.Addr{six}, "[] 450 4.4.1 host h has only IPv6 addresses, and only IPv4 is used (inet_protocols)"},
		{transport.Source{IPv6: true}, []netip.Addr{four}, "[] 450 4.4.1 host h has only IPv4 addresses, and only IPv6 is used (inet_protocols)"},
	} {
		var f finder
		got, _, reply := f.usable(t.Context(), &Outbound{}, x.from, host{name: "h"}, x.all)
		if text := fmt.Sprint(got, " ", reply); reply == nil && text != x.want || reply != nil && fmt.Sprint(got, " ", reply.Error()) != x.want {
			t.Errorf("%+v: %v %v, want %s", x.from, got, reply, x.want)
		}
	}
}

// TestRestsAreBounded: INV-16, what is remembered does not grow with what happens.
func TestRestsAreBounded(t *testing.T) {
	var r rests
	now := time.Now()
	for n := range 3 * restsMax {
		r.rest(fmt.Sprint(n), now, time.Minute)
	}
	if len(r.until) > restsMax {
		t.Errorf("%d", len(r.until))
	}
	if !r.resting(fmt.Sprint(3*restsMax-1), now) || r.resting(fmt.Sprint(3*restsMax-1), now.Add(time.Hour)) {
		t.Error("the last one does not rest for its time")
	}
}

// TestRelaySites: what is remembered of relays is what would be found, for each next hop
// and after a reload, and does not grow with the reloads.
func TestRelaySites(t *testing.T) {
	var f finder
	for n := range relaySitesMax + 10 {
		host := fmt.Sprintf("gw%d.example", n%7)
		ways, _ := transport.NewTable(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{{Host: host, Port: 587}}}})
		for _, domain := range []string{"a.test", "b.test", "a.test"} {
			s, _, _ := f.site(t.Context(), &Outbound{}, ways.Choose(transport.Mail{Domain: domain}))
			if s.nexthop != domain || s.key() != "smtp "+host+":587" || s.operator != host || s.transport.Relays[0].Host != host {
				t.Fatalf("%+v", s)
			}
		}
	}
	if n := len(f.relaySites.known); n > relaySitesMax {
		t.Errorf("%d sites are remembered", n)
	}
}
