package deliver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/transport"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// blockedHere is what a host says that refuses our address, whatever the message.
const blockedHere = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org\r\n"

// elsewhere starts a mail host on a port of its own, and gives the next hop to it.
func elsewhere(t *testing.T, faults ...sim.Fault) (*sim.Sink, string) {
	t.Helper()
	s, err := sim.StartPeer(sim.Peer{Faults: faults})
	check(t, err)
	t.Cleanup(s.Close)
	return s, fmt.Sprintf("[127.0.0.1]:%d", s.Addr().Port)
}

// TestOtherProgramsOfTheMachine: a content filter and a mail store on this machine greet
// with its name, as we do. The mail does not loop for that.
func TestOtherProgramsOfTheMachine(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	filter, hop := elsewhere(t, sim.Fault{At: "EHLO", Raw: "250 mail.example.org\r\n"})
	c.throughTransports(transport.Rules{Entries: []transport.Entry{{Recipients: []string{"far.test"}, To: "smtp:" + hop}}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	if len(filter.Await(1, 20*time.Second)) != 1 {
		t.Fatal(log)
	}
}

// TestPortsAreWays: recipients whose hosts differ in the port only do not share a
// transaction.
func TestPortsAreWays(t *testing.T) {
	c := newCorridor(t)
	one, first := elsewhere(t)
	two, second := elsewhere(t)
	c.throughTransports(transport.Rules{Entries: []transport.Entry{
		{Recipients: []string{"a@far.test"}, To: ":" + first}, {Recipients: []string{"b@far.test"}, To: ":" + second}}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "a@far.test", "b@far.test")
	for n, s := range []*sim.Sink{one, two} {
		if got := s.Await(1, 20*time.Second); len(got) != 1 || len(got[0].Recipients) != 1 {
			t.Errorf("host %d took %+v", n+1, got)
		}
	}
}

// TestOneTransactionForARelay: a message for many domains goes to the relay once.
func TestOneTransactionForARelay(t *testing.T) {
	c := newCorridor(t)
	relay, hop := elsewhere(t)
	c.throughTransports(transport.Rules{Entries: []transport.Entry{{Recipients: []string{"*"}, To: "relay:" + hop}}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "a@one.test", "b@two.test", "c@three.test")
	if got := relay.Await(1, 20*time.Second); len(got) != 1 || len(got[0].Recipients) != 3 {
		t.Errorf("%+v", got)
	}
	c.await("the queue is empty", c.empty)
	if got := relay.Taken(); len(got) != 1 {
		t.Errorf("%d transactions", len(got))
	}
}

// TestOUT020NoTLSForAPassword: without TLS no password goes out, and the log says why.
func TestOUT020NoTLSForAPassword(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	_, hop := elsewhere(t)
	host := strings.NewReplacer("[", "", "]", "").Replace(hop)
	relay, err := transport.ParseRelay(host)
	check(t, err)
	relay.User, relay.Password = "me", conf.NewSecret("geheim")
	c.throughTransports(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{relay}}})
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	c.await("it is told", func() bool { return log.count("status=deferred (TLS is required, but was not offered by host") == 1 })
	if log.count("(needed: for the password)") == 0 || log.count("others are tried") != 0 || log.count("geheim") != 0 {
		t.Error(log)
	}
}

// TestWaysByMailHosts: what is said for the MX hosts of a domain holds, whatever kind of
// way it is, for each message by itself, and not for mail that an entry sends to them.
func TestWaysByMailHosts(t *testing.T) {
	for name, x := range map[string]struct{ to, want string }{
		"thrown away":       {"discard:", "postfix/discard: "},
		"refused":           {"error:5.1.6 they have moved", "status=bounced (they have moved)"},
		"set aside":         {"hold:", "the way \"hold\" holds mail"},
		"by another domain": {"relay:near.test", "relay=mx.near.test["},
		"slowly":            {"slow:", "postfix-slow/smtp: "},
	} {
		t.Run(name, func(t *testing.T) {
			c, log := newCorridor(t), &logged{}
			c.events = log
			c.peer("far.test", sim.Peer{})
			c.peer("near.test", sim.Peer{})
			c.throughTransports(transport.Rules{Entries: []transport.Entry{{MX: []string{"mx.far.test"}, To: x.to}, {Recipients: []string{"vip@far.test"}, To: "smtp:"}}})
			c.run()
			for _, to := range []string{"vip@far.test", "x@far.test", "vip@far.test", "x@far.test"} {
				before := log.count("to=<" + to)
				c.post("alice@example.org", "alice@example.org", letterText, to)
				c.await("it is told of "+to, func() bool { return log.count("to=<"+to) > before })
			}
			if log.count("to=<vip@far.test>, relay=mx.far.test[") != 2 || log.count("internal error") != 0 {
				t.Errorf("the entry for an address does not hold\n%s", log)
			}
			for _, line := range strings.Split(log.String(), "\n") {
				if strings.Contains(line, "to=<x@far.test>") && !strings.Contains(line, x.want) {
					t.Errorf("%s, want %s", line, x.want)
				}
			}
			out := &Outbound{Port: c.port(), IPv4: true, AllowPrivate: true}
			c.tune(out)
			trace := Follow(t.Context(), House{Hostname: "mail.example.org", Resolver: c.resolver}, out, transport.Mail{Domain: "far.test", Recipient: mustParse(t, "x@far.test")})
			if want, _, _ := strings.Cut(x.to, ":"); trace.Transport != want && trace.Kind != "error" {
				t.Errorf("%+v", trace)
			}
		})
	}
}

// TestSharesByMailHosts: weights and diversions of what is chosen by the MX hosts count
// for each message.
func TestSharesByMailHosts(t *testing.T) {
	for name, preset := range map[string]*transport.Transport{
		"weights":  {Name: "touchy", Relays: []transport.Relay{{Host: "mx.one.test", Weight: 1}, {Host: "mx.two.test", Weight: 1}}},
		"diverted": {Name: "touchy", Divert: "warm", DivertPercent: 50},
	} {
		t.Run(name, func(t *testing.T) {
			c, log := newCorridor(t), &logged{}
			c.events = log
			one, two, far := c.peer("one.test", sim.Peer{}), c.peer("two.test", sim.Peer{}), c.peer("far.test", sim.Peer{})
			for i := range preset.Relays {
				preset.Relays[i].Port = c.port()
			}
			c.throughTransports(transport.Rules{Transports: []*transport.Transport{{Name: "warm", Relays: []transport.Relay{{Host: "mx.two.test", Port: c.port()}}}},
				Presets: []transport.Preset{{Transport: preset, MX: []string{"*.far.test"}}}})
			c.run()
			for n := range 20 {
				c.post("alice@example.org", "alice@example.org", letterText, fmt.Sprintf("x%d@far.test", n))
			}
			c.await("all have left", func() bool { return log.count("status=sent") == 20 })
			if n, left := len(two.Taken()), len(one.Taken())+len(far.Taken()); n == 0 || left == 0 || n+left != 20 {
				t.Errorf("%d and %d messages\n%s", n, left, log)
			}
		})
	}
}

// TestAllRelaysRefuseUs: as long as a relay might take it, mail that the others refuse for
// our address waits. What all refuse for good comes back, as it does where there is one.
func TestAllRelaysRefuseUs(t *testing.T) {
	blocked := sim.Fault{At: "RCPT", Raw: blockedHere}
	for name, x := range map[string]struct {
		second sim.Fault
		want   queue.Result
	}{
		"the other is shutting down":  {sim.Fault{At: "greeting", Raw: "421 4.3.2 shutting down\r\n", Then: sim.Drop}, queue.Deferred},
		"the other refuses for a day": {sim.Fault{At: "RCPT", Raw: "450 4.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org\r\n"}, queue.Deferred},
		"both refuse for good":        {blocked, queue.Failed},
		"the other takes it":          {sim.Fault{}, queue.Delivered},
	} {
		for _, turned := range []bool{false, true} {
			t.Run(fmt.Sprint(name, turned), func(t *testing.T) {
				c, log := newCorridor(t), &logged{}
				c.events = log
				_, one := elsewhere(t, blocked)
				_, two := elsewhere(t, x.second)
				if turned {
					one, two = two, one
				}
				c.throughTransports(transport.Rules{Entries: []transport.Entry{{Recipients: []string{"far.test"}, To: "slow:" + one + "," + two}}})
				c.run()
				for n := range 2 { // the second finds both at rest
					to := fmt.Sprintf("x%d@far.test", n)
					c.post("alice@example.org", "alice@example.org", letterText, to)
					c.await("it is told", func() bool { return log.count("to=<"+to) > 0 })
				}
				if log.count("to=<x") != log.count("status="+x.want.String()+" (") {
					t.Errorf("want %v\n%s", x.want, log)
				}
				if log.count("postfix-slow/smtp: warning: relay 127.0.0.1:") == 0 && x.want != queue.Delivered {
					t.Errorf("the log calls the transport something else\n%s", log)
				}
			})
		}
	}
}

// TestRelayTakesMailAgain: a relay that refused our address, and does so no longer, is told.
func TestRelayTakesMailAgain(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	_, one := elsewhere(t, sim.Fault{At: "RCPT", Raw: blockedHere, Conn: 1})
	_, two := elsewhere(t, sim.Fault{At: "greeting", Raw: "421 4.3.2 shutting down\r\n", Then: sim.Drop})
	c.throughTransports(transport.Rules{Entries: []transport.Entry{{Recipients: []string{"far.test"}, To: "relay:" + one + "," + two}}})
	c.run()
	for n := range 2 {
		to := fmt.Sprintf("x%d@far.test", n)
		c.post("alice@example.org", "alice@example.org", letterText, to)
		c.await("it is told", func() bool { return log.count("to=<"+to) > 0 })
	}
	if log.count("takes our mail again") != 1 || log.count("to=<x1@far.test>") != 1 {
		t.Error(log)
	}
}

// TestDivertedAndBlocked: a host that refuses the new address gets the message from the
// usual one; it is not returned.
func TestDivertedAndBlocked(t *testing.T) {
	c := newCorridor(t)
	usual := c.peer("far.test", sim.Peer{})
	_, cold := elsewhere(t, sim.Fault{At: "RCPT", Raw: blockedHere})
	hop, err := transport.ParseNextHop(cold)
	check(t, err)
	c.throughTransports(transport.Rules{Usual: &transport.Transport{Name: "smtp", Divert: "warm", DivertPercent: 99},
		Transports: []*transport.Transport{{Name: "warm", Relays: hop.Relays}}})
	c.run()
	for range 5 {
		c.post("alice@example.org", "alice@example.org", letterText, "x@far.test")
	}
	retry := func() bool {
		_, err := c.queue.Retry(context.Background(), queue.Filter{})
		check(t, err)
		return len(usual.Taken()) == 5
	}
	c.await("all took the usual way", retry)
	if n := len(c.letters("alice")); n != 0 {
		t.Errorf("%d came back", n)
	}
}

// TestLiftWakesRelays: a relay that did not take our mail is the first again once somebody
// asks for all that waits, or the settings change.
func TestLiftWakesRelays(t *testing.T) {
	c, log := newCorridor(t), &logged{}
	c.events = log
	first, one := elsewhere(t, sim.Fault{At: "greeting", Raw: blockedHere, Then: sim.Drop, Conn: 1})
	second, two := elsewhere(t)
	c.throughTransports(transport.Rules{Entries: []transport.Entry{{Recipients: []string{"far.test"}, To: "relay:" + one + "," + two}}})
	d := c.dispatcher()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, 5*time.Second) }()
	defer func() { cancel(); check(t, <-ended) }()
	send := func(n int) {
		to := fmt.Sprintf("x%d@far.test", n)
		c.post("alice@example.org", "alice@example.org", letterText, to)
		c.await("it has left", func() bool { return log.count("to=<"+to) == 1 })
	}
	send(1)
	send(2)
	if len(second.Taken()) != 2 {
		t.Fatalf("the other relay took %d\n%s", len(second.Taken()), log)
	}
	d.Lift("")
	send(3)
	if len(first.Taken()) != 1 || len(second.Taken()) != 2 {
		t.Errorf("%d and %d taken\n%s", len(first.Taken()), len(second.Taken()), log)
	}
}

// TestSharesInATrace: what is told of the shares of mail is what the mail does.
func TestSharesInATrace(t *testing.T) {
	c := newCorridor(t)
	c.peer("far.test", sim.Peer{})
	to := func(host string) []transport.Relay { return []transport.Relay{{Host: host, Port: 25}} }
	c.throughTransports(transport.Rules{
		Usual:      &transport.Transport{Name: "smtp", Divert: "warm", DivertPercent: 30},
		Transports: []*transport.Transport{{Name: "warm", Relays: to("192.0.2.1")}, {Name: "cold", Relays: to("192.0.2.2")}},
		Presets:    []transport.Preset{{Transport: &transport.Transport{Name: "touchy", Divert: "cold", DivertPercent: 50}, MX: []string{"*.far.test"}}}})
	out := &Outbound{Port: c.port(), IPv4: true, AllowPrivate: true}
	c.tune(out)
	m := transport.Mail{Domain: "far.test", Recipient: mustParse(t, "x@far.test")}
	trace := Follow(t.Context(), House{Hostname: "mail.example.org", Resolver: c.resolver}, out, m)
	told := map[string]int{trace.Transport: trace.Share}
	for _, other := range trace.Others {
		told[other.Transport] = other.Share
	}
	does := map[string]int{}
	for id := range int64(10_000) {
		m.ID = id * 1117
		does[out.Ways.ForMX(out.Ways.Choose(m), []string{"mx.far.test"}).Transport.Name]++
	}
	for name, n := range does {
		if len(told) != 3 || n < told[name]*100-300 || n > told[name]*100+300 {
			t.Errorf("told %v; of 10000 messages %v", told, does)
		}
	}
}
