package deliver

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/flow/route"
	"facteur/internal/flow/transport"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// INV-24, OUT-013: beside a hundred hosts that never answer, with mail for them from
// before, a letter for a host that does leaves within two seconds, and what is under way
// to each of the others stays bounded.
func TestHealthyBesideTarpits(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		var pits []netip.Addr
		for i := range 100 {
			domain := fmt.Sprintf("pit%d.test", i)
			_, addr, err := v.Mail(domain, sim.Peer{Faults: []sim.Fault{{At: "greeting", Silent: true, Then: sim.Hang}}})
			check(t, err)
			pits = append(pits, addr)
			v.mails(20, "bulk@example.org", "u#@"+domain)
		}
		good, _, err := v.Mail("good.test", sim.Peer{})
		check(t, err)
		_, stop := v.serve()
		defer stop()
		for i := range 10 {
			time.Sleep(time.Duration(i*i) * 7 * time.Second)
			begun := time.Now()
			v.mails(1, "alice@example.org", "x@good.test")
			synctest.Wait()
			for len(good.Taken()) == i && time.Since(begun) < time.Hour {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("INV-24: letter %d left after %v", i, took)
			}
		}
		for _, addr := range pits {
			if _, most := v.called(addr); most > 5 {
				t.Errorf("OUT-013: %d connections to one host that does not answer", most)
			}
		}
	})
}

// OUT-013: a domain with many hosts that take each connection and say nothing holds a
// letter for minutes, and not for hours.
func TestManyTarpits(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		for n := range 20 {
			addr := v.Free()
			_, err := v.Host(addr, sim.Peer{Faults: []sim.Fault{{At: "greeting", Silent: true, Then: sim.Hang}}})
			check(t, err)
			check(t, v.MX("tar.test", fmt.Sprintf("mx%d.tar.test", n), addr))
		}
		v.mails(1, "alice@example.org", "x@tar.test")
		_, stop := v.serve()
		defer func() { stop(); time.Sleep(time.Minute) }() // until the questions are over
		time.Sleep(20 * time.Minute)
		if v.waiting() != 1 || !strings.Contains(strings.Join(v.book.all(), "\n"), "status=deferred") {
			t.Errorf("OUT-013: still under way after %v", 20*time.Minute)
		}
	})
}

// OUT-013: a dead host costs as many knocks as connections it would get, then one at the
// end of each suspension, whatever waits for it; what is new is put off without a
// knock. When it is back, everything goes.
func TestDeadHostCostsOneProbe(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, addr, err := v.Mail("dead.test", sim.Peer{})
		check(t, err)
		v.Pave(addr, sim.Road{Refused: true})
		v.mails(1000, "bulk@example.org", "u#@dead.test")
		_, stop := v.serve()
		defer stop()
		time.Sleep(time.Minute)
		first, _ := v.called(addr)
		if first < 1 || first > 10 {
			t.Errorf("OUT-013: %d knocks for 1000 letters", first)
		}
		v.mails(10, "alice@example.org", "x#@dead.test")
		time.Sleep(time.Minute)
		if again, _ := v.called(addr); again != first {
			t.Errorf("OUT-013: %d knocks for new letters to a dead host", again-first)
		}
		time.Sleep(3 * time.Hour) // 300, 600, 1200, 2400, 4000 s
		if all, _ := v.called(addr); all-first < 3 || all-first > 6 {
			t.Errorf("OUT-013: %d probes in three hours", all-first)
		}
		suspended := 0
		for _, l := range v.book.all() {
			if strings.Contains(l, "relay=none") && strings.Contains(l, "dsn=4.4.1, status=deferred (delivery temporarily suspended: connect to mx.dead.test[") {
				suspended++
			}
		}
		if suspended < 1000 || !v.book.has("postfix/error") {
			t.Errorf("%d lines tell of the suspension", suspended)
		}
		v.Pave(addr, sim.Road{})
		time.Sleep(3 * time.Hour)
		if left := v.waiting(); left != 0 || len(sink.Taken()) != 1000 { // the sink keeps that many
			t.Errorf("%d letters wait for a host that is back, %d arrived", left, len(sink.Taken()))
		}
	})
}

// A person who wants it tried now is not told to wait for the end of a suspension.
func TestLiftEndsSuspension(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		_, addr, err := v.Mail("dead.test", sim.Peer{})
		check(t, err)
		v.Pave(addr, sim.Road{Refused: true})
		v.mails(20, "bulk@example.org", "u#@dead.test")
		d, stop := v.serve()
		defer stop()
		time.Sleep(time.Minute)
		before, _ := v.called(addr)
		v.Pave(addr, sim.Road{})
		d.Lift("other.test")
		_, err = v.queue.Flush(t.Context(), "dead.test")
		check(t, err)
		time.Sleep(10 * time.Second)
		if calls, _ := v.called(addr); calls != before || v.waiting() != 20 {
			t.Fatalf("%d knocks, %d wait", calls-before, v.waiting())
		}
		d.Lift("dead.test")
		_, err = v.queue.Flush(t.Context(), "dead.test")
		check(t, err)
		time.Sleep(10 * time.Second)
		if v.waiting() != 0 {
			t.Errorf("%d wait", v.waiting())
		}
	})
}

// INV-24: one sender's thousands for a slow host do not delay another sender's letter to
// the same host.
func TestSendersShareADestination(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, _, err := v.Mail("slow.test", sim.Peer{Faults: []sim.Fault{{At: "end", Delay: 10 * time.Second}}})
		check(t, err)
		v.mails(4000, "bulk@example.org", "u#@slow.test")
		_, stop := v.serve()
		defer stop()
		time.Sleep(time.Minute)
		begun := time.Now()
		v.mails(1, "alice@example.org", "wanted@slow.test")
		for time.Since(begun) < time.Hour {
			time.Sleep(time.Second)
			for _, x := range sink.Taken() {
				if x.Recipients[0] == "wanted@slow.test" {
					if took := time.Since(begun); took > 25*time.Second {
						t.Errorf("INV-24: it arrived after %v", took)
					}
					return
				}
			}
		}
		t.Error("INV-24: it did not arrive in an hour")
	})
}

// OUT-015: a host that is asked too often and says so is asked half as often; nothing
// bounces, and in the end all arrives.
func TestSlowsDownWhenToldTo(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		_, addr, err := v.Mail("busy.test", sim.Peer{Faults: []sim.Fault{
			{At: "end", Conn: 3, Nth: 20, Raw: "421 4.7.0 Too fast, slow down\r\n", Then: sim.Drop}, {At: "end", Delay: time.Second}}})
		check(t, err)
		v.mails(1500, "bulk@example.org", "u#@busy.test")
		_, stop := v.serve()
		defer stop()
		time.Sleep(18 * time.Second)
		_, before := v.called(addr)
		time.Sleep(20 * time.Second)
		v.called(addr)
		time.Sleep(10 * time.Second)
		_, after := v.called(addr)
		if before < 10 || after > before*2/3 {
			t.Errorf("OUT-015: %d connections before, %d after", before, after)
		}
		time.Sleep(2 * time.Hour)
		if v.waiting() != 0 {
			t.Errorf("%d still wait", v.waiting())
		}
	})
}

// INV-04, INV-24, OUT-004, OUT-015: a host that finds every message too fast gets one a
// minute. The letters that don't get their turn come back all the same when their time is
// over, and their senders hear of the delay before.
func TestTooFastForEver(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, _, err := v.Mail("touchy.test", sim.Peer{Recipient: func(string) string { return "451 4.7.0 Throttled, slow down" }})
		check(t, err)
		v.schedule = Schedule{MinimalBackoff: 5 * time.Minute, MaximalBackoff: 40 * time.Minute, DelayWarning: time.Hour,
			Lifetime: 5 * time.Hour, BounceLifetime: 5 * time.Hour}
		v.mails(90, "alice@example.org", "u#@touchy.test")
		_, stop := v.serve()
		defer stop()
		time.Sleep(2 * time.Hour)
		late := len(v.letters("alice"))
		if late != 90 {
			t.Errorf("OUT-004: alice heard of %d letters after two hours that they were late", late)
		}
		time.Sleep(4 * time.Hour)
		if n := len(v.letters("alice")) - late; v.waiting() != 0 || n != 90 || len(sink.Taken()) != 0 {
			t.Errorf("INV-04: %d letters came back after their time, %d still wait", n, v.waiting())
		}
	})
}

// OUT-015, INV-24: a mailbox that gets too much holds up nobody else behind its host.
func TestBusyMailboxBesideOthers(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, _, err := v.Mail("busy.test", sim.Peer{Recipient: func(to string) string {
			if strings.HasPrefix(to, "star") {
				return "450 4.2.1 The user you are trying to contact is receiving mail too quickly"
			}
			return "250 2.1.5 Ok"
		}})
		check(t, err)
		v.mails(300, "bulk@example.org", "star#@busy.test")
		_, stop := v.serve()
		defer stop()
		for i := range 20 {
			time.Sleep(time.Minute)
			v.mails(1, "alice@example.org", "other@busy.test")
			time.Sleep(10 * time.Second)
			if n := len(sink.Taken()); n != i+1 {
				t.Fatalf("INV-24: of %d letters to another mailbox, %d have arrived", i+1, n)
			}
		}
	})
}

// INV-04, INV-05: who was refused, and whose notice can't be made now, waits until it can.
func TestNoticeThatCannotBeMade(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		_, _, err := v.Mail("no.test", sim.Peer{Recipient: func(string) string { return "550 5.1.1 No such user" }})
		check(t, err)
		v.mails(1, "alice@example.org", "u@no.test")
		gone, err := db.Open(filepath.Join(room(t), "facteur.db"), directory.Migrations())
		check(t, err)
		check(t, gone.Close())
		works := v.router
		v.router = route.New(directory.New(gone, []string{"example.org"}, v.dir, 0), v.hostname, func() string { return "example.org" })
		_, stop := v.serve()
		time.Sleep(time.Hour)
		stop()
		if n := len(v.letters("alice")); v.waiting() != 1 || n != 0 {
			t.Fatalf("INV-04: %d wait, %d notices", v.waiting(), n)
		}
		v.router = works
		_, stop = v.serve()
		defer stop()
		time.Sleep(2 * time.Hour)
		if n := len(v.letters("alice")); v.waiting() != 0 || n != 1 {
			t.Errorf("INV-05: %d wait, %d notices", v.waiting(), n)
		}
	})
}

// RFC 2852 §4.1: what had to be there by now is not sent, whoever would take it.
func TestTooLateIsNotSent(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, _, err := v.Mail("late.test", sim.Peer{})
		check(t, err)
		it := &queue.Item{Sender: mustParse(t, "alice@example.org"), Origin: queue.Origin{Account: "alice@example.org"},
			By: queue.Deadline{At: time.Now().Add(-time.Minute), Return: true}}
		v.put(it, letterText, queue.Recipient{Address: mustParse(t, "u@late.test")})
		_, stop := v.serve()
		defer stop()
		time.Sleep(time.Minute)
		if n := len(v.letters("alice")); len(sink.Taken()) != 0 || v.waiting() != 0 || n != 1 {
			t.Errorf("%d were sent, %d wait, %d notices", len(sink.Taken()), v.waiting(), n)
		}
	})
}

// OUT-016: a host that closes after some messages, politely or not, costs a new
// connection and no attempt.
func TestClosesAfterSomeMessages(t *testing.T) {
	for name, f := range map[string]sim.Fault{
		"OUT-016 a 421 in the middle": {At: "MAIL", Nth: 4, Raw: "421 4.3.0 Enough\r\n", Then: sim.Drop},
		"OUT-016 without a word":      {At: "MAIL", Nth: 4, Silent: true, Then: sim.Drop},
		"OUT-016 a reset":             {At: "MAIL", Nth: 4, Silent: true, Then: sim.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			inVillage(t, func(t *testing.T, v *village) {
				sink, _, err := v.Mail("few.test", sim.Peer{Faults: []sim.Fault{f}})
				check(t, err)
				v.mails(50, "bulk@example.org", "u#@few.test")
				_, stop := v.serve()
				time.Sleep(time.Minute)
				stop()
				if got := len(sink.Taken()); got != 50 || v.waiting() != 0 {
					t.Errorf("%d arrived, %d wait", got, v.waiting())
				}
				for _, l := range v.book.all() {
					if strings.Contains(l, "status=deferred") {
						t.Fatal(l)
					}
				}
			})
		})
	}
}

// Domains with the same mail hosts are one site: they share its connections.
func TestDomainsOfOneSite(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, addr, err := v.Mail("one.test", sim.Peer{})
		check(t, err)
		for i := range 30 {
			check(t, v.DNS.Load(fmt.Sprintf("d%d.test. MX 10 mx.one.test.", i)))
		}
		v.mails(30, "bulk@example.org", "x@d#.test")
		_, stop := v.serve()
		defer stop()
		time.Sleep(time.Minute)
		if calls, most := v.called(addr); len(sink.Taken()) != 30 || calls > 10 || most > 10 {
			t.Errorf("%d letters over %d connections, %d at a time", len(sink.Taken()), calls, most)
		}
	})
}

// FLT-016: while the name service is out, mail waits; it does not bounce, the service is
// not asked for each letter, and afterwards all goes.
func TestNameServiceOutage(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		for i := range 20 {
			domain := fmt.Sprintf("d%d.test", i)
			_, _, err := v.Mail(domain, sim.Peer{})
			check(t, err)
			v.DNS.Fail(domain, sim.ServFail)
			v.mails(50, "bulk@example.org", "u#@"+domain)
		}
		_, stop := v.serve()
		defer stop()
		time.Sleep(2 * time.Hour)
		if left := v.waiting(); left != 1000 || len(v.letters("alice")) != 0 {
			t.Fatalf("FLT-016: %d wait, alice was told %d times", left, len(v.letters("alice")))
		}
		for i := range 20 {
			domain := fmt.Sprintf("d%d.test", i)
			if asked := v.DNS.Asked(domain, "MX"); asked > 60 {
				t.Errorf("FLT-016: asked %d times about %s", asked, domain)
			}
			v.DNS.Fail(domain, sim.None)
		}
		time.Sleep(75 * time.Minute) // the longest backoff, and a tenth
		if left := v.waiting(); left != 0 {
			t.Errorf("FLT-016: %d wait after the outage", left)
		}
	})
}

// LOOP-003: a domain whose best mail host is ourselves, and which is not ours.
func TestLoopsBackToMyself(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		check(t, v.DNS.Load("loop.test. MX 10 mail.example.org.\nmail.example.org. A 192.0.2.1"))
		v.mails(1, "alice@example.org", "x@loop.test")
		_, stop := v.serve()
		time.Sleep(time.Minute)
		stop()
		if !strings.Contains(strings.Join(v.book.all(), "\n"), "dsn=5.4.6, status=bounced (mail for loop.test loops back to myself)") {
			t.Errorf("LOOP-003: %q", v.book.all())
		}
		if calls, _ := v.called(netip.MustParseAddr("192.0.2.1")); calls != 0 || v.waiting() != 0 {
			t.Errorf("LOOP-003: %d calls, %d wait", calls, v.waiting())
		}
	})
}

// The slow transport of the how-tos: one connection, time between messages, few
// recipients in each.
//
// Rows 103, 131, 136 and 137.
func TestSlowTransport(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		sink, addr, err := v.Mail("orange.test", sim.Peer{})
		check(t, err)
		slow := &transport.Transport{Name: "slow", Pace: transport.Pace{Concurrency: 1, RateDelay: 5 * time.Second, FailedCohort: 100, Recipients: 25}}
		ways, mistakes := transport.NewTable(transport.Rules{Usual: slow})
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		tune := v.tune
		v.tune = func(o *Outbound) { tune(o); o.Ways = ways }
		v.mails(10, "bulk@example.org", "u#@orange.test")
		var many []queue.Recipient
		for i := range 60 {
			many = append(many, to(t, fmt.Sprintf("m%d@orange.test", i), 0))
		}
		v.put(fromAlice(), letterText, many...)
		_, stop := v.serve()
		defer stop()
		time.Sleep(3 * time.Minute)
		got := sink.Taken()
		if len(got) != 13 || v.waiting() != 0 {
			t.Fatalf("%d transactions, %d wait", len(got), v.waiting())
		}
		for i := 1; i < len(got); i++ {
			if d := got[i].Taken.Sub(got[i-1].Taken); d < 5*time.Second || d > 8*time.Second {
				t.Errorf("message %d came %v after the one before", i, d)
			}
			if len(got[i].Recipients) > 25 {
				t.Errorf("%d recipients", len(got[i].Recipients))
			}
		}
		if _, most := v.called(addr); most != 1 {
			t.Errorf("%d connections", most)
		}
	})
}

// OUT-023: a backlog that is due all at once does not starve new mail, nor memory.
func TestBacklogDueAtOnce(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		_, _, err := v.Mail("slow.test", sim.Peer{Faults: []sim.Fault{{At: "end", Delay: time.Minute}}})
		check(t, err)
		good, _, err := v.Mail("good.test", sim.Peer{})
		check(t, err)
		for i := range 20 { // 20,000 recipients that have been tried
			it := &queue.Item{Sender: mustParse(t, "bulk@example.org"), Origin: queue.Origin{Account: "bulk@example.org"}}
			var all []queue.Recipient
			for j := range 1000 {
				r := to(t, fmt.Sprintf("u%d-%d@slow.test", i, j), 0)
				r.Attempts = 3
				all = append(all, r)
			}
			v.put(it, letterText, all...)
		}
		d, stop := v.serve()
		defer stop()
		time.Sleep(10 * time.Second)
		begun := time.Now()
		v.mails(1, "alice@example.org", "x@good.test")
		for len(good.Taken()) == 0 && time.Since(begun) < time.Hour {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("OUT-023: it left after %v", took)
		}
		d.places.mu.Lock()
		defer d.places.mu.Unlock()
		if n := d.places.of["smtp:slow.test"]; n > activeMax/4 {
			t.Errorf("OUT-023: %d of the backlog are in memory", n)
		}
	})
}

// FLT-013, INV-22: a message that makes this program fail each time is set aside after
// three times, and the others go on.
func TestPoisonousMessage(t *testing.T) {
	inVillage(t, func(t *testing.T, v *village) {
		_, bad, err := v.Mail("poison.test", sim.Peer{})
		check(t, err)
		good, _, err := v.Mail("good.test", sim.Peer{})
		check(t, err)
		v.poison = bad
		v.mails(1, "alice@example.org", "x@poison.test")
		v.mails(50, "alice@example.org", "u#@good.test")
		_, stop := v.serve()
		defer stop()
		time.Sleep(time.Hour)
		log := strings.Join(v.book.all(), "\n")
		if n := strings.Count(log, "status=deferred (internal error; see the log ("); n != 2 || !strings.Contains(log, "status=held (held: delivering it made this program fail 3 times in a row") {
			t.Errorf("INV-22: deferred %d times", n)
		}
		if calls, _ := v.called(bad); calls != 3 || len(good.Taken()) != 50 || v.waiting() != 1 {
			t.Errorf("INV-22: tried %d times, %d others arrived, %d wait", calls, len(good.Taken()), v.waiting())
		}
	})
}

// OUT-002, OUT-003: what a host said to the end of the data is what counts: nothing at
// all is "not now", yes is yes whatever it does with it, and the log has its words.
func TestLastWord(t *testing.T) {
	for name, x := range map[string]struct {
		fault sim.Fault
		want  string
		left  int
	}{
		"OUT-002 dropped after the data": {sim.Fault{At: "end", Silent: true, Then: sim.Drop}, "status=deferred (lost connection with mx.d.test[", 1},
		"OUT-003 taken and thrown away":  {sim.Fault{At: "end", Raw: "250 2.0.0 Ok: queued as 4BX2\r\n"}, "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4BX2)", 0},
		"OUT-003 taken, and gone":        {sim.Fault{At: "end", Raw: "250 2.0.0 Taken\r\n", Then: sim.Drop}, "status=sent (250 2.0.0 Taken)", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inVillage(t, func(t *testing.T, v *village) {
				_, _, err := v.Mail("d.test", sim.Peer{Faults: []sim.Fault{x.fault}})
				check(t, err)
				v.mails(1, "alice@example.org", "x@d.test")
				_, stop := v.serve()
				time.Sleep(time.Minute)
				stop()
				if log := strings.Join(v.book.all(), "\n"); !strings.Contains(log, x.want) || v.waiting() != x.left {
					t.Errorf("%d wait: %s", v.waiting(), log)
				}
			})
		})
	}
}

// Whoever wants the mail of a domain tried now means the place that holds it, whatever
// other domain was the last to find that place dead: a relay, or hosts of many domains.
func TestLiftByDomainOfTheMail(t *testing.T) {
	for name, relayed := range map[string]bool{"a relay": true, "hosts of two domains": false} {
		t.Run(name, func(t *testing.T) {
			inVillage(t, func(t *testing.T, v *village) {
				_, addr, err := v.Mail("gw.test", sim.Peer{})
				check(t, err)
				check(t, v.DNS.Load("one.test. MX 10 mx.gw.test.\ntwo.test. MX 10 mx.gw.test.\n"))
				if relayed {
					ways, _ := transport.NewTable(transport.Rules{Usual: &transport.Transport{Name: "smtp", Relays: []transport.Relay{{Host: "mx.gw.test"}}}})
					tune := v.tune
					v.tune = func(o *Outbound) { tune(o); o.Ways = ways }
				}
				v.Pave(addr, sim.Road{Refused: true})
				v.mails(20, "bulk@example.org", "u#@one.test")
				d, stop := v.serve()
				defer stop()
				time.Sleep(12 * time.Minute) // the hosts of the domain are forgotten, not that they are dead
				v.mails(20, "bulk@example.org", "u#@two.test")
				time.Sleep(time.Minute)
				v.Pave(addr, sim.Road{})
				time.Sleep(10 * time.Second)
				if v.waiting() != 40 {
					t.Fatalf("%d wait for a place that is suspended", v.waiting())
				}
				d.Lift(".one.test")
				_, err = v.queue.Flush(t.Context(), "one.test")
				check(t, err)
				time.Sleep(10 * time.Second)
				if v.waiting() != 20 {
					t.Errorf("%d wait, want those for the other domain", v.waiting())
				}
			})
		})
	}
}

// INV-16: what was asked for is remembered up to a bound, and the last of it is known.
func TestLiftsAreBounded(t *testing.T) {
	var l lifts
	begun := time.Now()
	for n := range 3 * liftsMax {
		l = l.with(fmt.Sprintf("d%d.test", n/2), begun.Add(time.Duration(n)))
	}
	to := []queue.Recipient{{Address: mustParse(t, "x@"+l[len(l)-1].domain)}}
	if len(l) > liftsMax || !l.since(to, begun) || l.since(to, begun.Add(time.Hour)) {
		t.Errorf("%d are remembered", len(l))
	}
}
