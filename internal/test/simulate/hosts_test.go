package simulate

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"facteur/internal/test/ledger"
	"facteur/internal/test/sim"
)

const day = 24 * time.Hour

// host is a way to be odd: a domain, and what is to become of letters to it.
type host struct {
	domain string // under .test
	// to are local parts of addresses, with what becomes of them.
	to map[string]ledger.Place
	// open makes the host.
	open func(w *world, domain string)
}

var (
	arrives = map[string]ledger.Place{"a": ledger.Remote, "b": ledger.Remote, "c": ledger.Remote}
	returns = map[string]ledger.Place{"a": ledger.Bounced, "b": ledger.Bounced}
)

// world is an Internet and the chance that moves it.
type world struct {
	*sim.Internet
	start  time.Time
	random *rand.Rand
	sinks  []*sim.Sink
	fail   func(error)
}

// mail opens a host for a domain.
func (w *world) mail(domain string, p sim.Peer) netip.Addr {
	sink, addr, err := w.Mail(domain, p)
	w.note(sink, err)
	return addr
}

func (w *world) note(sink *sim.Sink, err error) {
	if err != nil {
		w.fail(err)
		return
	}
	w.sinks = append(w.sinks, sink)
}

// pave gives a road for a time from the start.
func (w *world) pave(addr netip.Addr, road sim.Road, until time.Duration) {
	w.Pave(addr, road)
	w.at(until, func() { w.Pave(addr, sim.Road{}) })
}

// at does something later.
func (w *world) at(when time.Duration, do func()) { time.AfterFunc(time.Until(w.start.Add(when)), do) }

// age is how long the world exists.
func (w *world) age() time.Duration { return time.Since(w.start) }

// always answers a step like that, and takes nobody after it.
func always(at, reply string) sim.Peer {
	p := sim.Peer{Faults: []sim.Fault{{At: at, Raw: reply + "\r\n"}}}
	if at == "MAIL" || at == "RCPT" {
		p.Recipient = func(string) string { return "503 5.5.1 Out of order" }
	}
	return p
}

func user(address string) string { return address[:strings.IndexByte(address, '@')] }

// hosts are all of them.
func hosts() []host {
	list := []host{
		{"healthy", arrives, func(w *world, d string) { w.mail(d, sim.Peer{}) }},
		{"tarpit", arrives, tarpit},
		{"drop", arrives, dropping},
		{"swallow", arrives, swallowing},
		{"mixed", map[string]ledger.Place{"good": ledger.Remote, "later": ledger.Remote, "never": ledger.Bounced, "full": ledger.Bounced}, mixed},
		{"grey", arrives, greylist},
		{"limit", arrives, limiter},
		{"few", arrives, few},
		{"garbage", arrives, garbage},
		{"rst", arrives, resets},
		{"down", arrives, func(w *world, d string) { w.pave(w.mail(d, sim.Peer{}), sim.Road{Refused: true}, 2*day) }},
		{"dark", arrives, func(w *world, d string) { w.pave(w.mail(d, sim.Peer{}), sim.Road{Silent: true}, 36*time.Hour) }},
		{"lossy", arrives, func(w *world, d string) {
			w.Pave(w.mail(d, sim.Peer{}), sim.Road{Latency: time.Second, Loss: 0.3})
		}},
		{"servfail", arrives, nameless},
		{"silentdns", returns, func(w *world, d string) { w.mail(d, sim.Peer{}); w.DNS.Fail(d, sim.Silent) }},
		{"nomail", returns, func(w *world, d string) { w.load(d + ". MX 0 .") }},
		{"nowhere", returns, func(*world, string) {}},
		{"loop", returns, func(w *world, d string) { w.load(d + ". MX 10 " + hostname + ".") }},
		{"badtls", arrives, func(w *world, d string) { w.mail(d, sim.Peer{TLS: new(tls.Config)}) }},
		{"v6hole", arrives, v6hole},
		{"backup", arrives, backup},
		{"pair", arrives, pair},
		{"refused", returns, func(w *world, d string) { w.Pave(w.mail(d, sim.Peer{}), sim.Road{Refused: true}) }},
	}
	for at, reply := range map[string]string{"greeting": "421 4.3.2 Not today", "EHLO": "451 4.7.0 Not today", "MAIL": "451 4.3.0 Not today",
		"RCPT": "450 4.2.1 Not today", "DATA": "451 4.3.0 Not today"} {
		list = append(list, host{"never-" + strings.ToLower(at), returns, func(w *world, d string) { w.mail(d, always(at, reply)) }})
	}
	return append(list, host{"never-end", returns, func(w *world, d string) {
		w.mail(d, sim.Peer{Message: func(sim.Transaction) (string, sim.End) { return "452 4.3.1 Not today", sim.Stay }})
	}})
}

func (w *world) load(zone string) {
	if err := w.DNS.Load(zone); err != nil {
		w.fail(err)
	}
}

// tarpit answers everything, late.
func tarpit(w *world, d string) {
	w.mail(d, sim.Peer{Script: func(at string, nth, conn int) (sim.Fault, bool) {
		return sim.Fault{Delay: 100 * time.Second}, at != "greeting" || nth == 1
	}})
}

// dropping hangs up behind the data of the first half day, and has taken nothing
// (OUT-002).
func dropping(w *world, d string) {
	w.mail(d, sim.Peer{Message: func(sim.Transaction) (string, sim.End) {
		if w.age() < 12*time.Hour {
			return "451 4.3.0 never said", sim.Drop
		}
		return "", sim.Stay
	}})
}

// swallowing hangs up behind the data of the first half day, and has taken it all.
func swallowing(w *world, d string) {
	w.mail(d, sim.Peer{Message: func(sim.Transaction) (string, sim.End) {
		if w.age() < 12*time.Hour {
			return "", sim.Drop
		}
		return "", sim.Stay
	}})
}

// mixed has all kinds of users, and now and then no room at the end (OUT-005).
func mixed(w *world, d string) {
	var messages counter
	w.mail(d, sim.Peer{
		Recipient: func(to string) string {
			switch {
			case user(to) == "never":
				return "550 5.1.1 No such user"
			case user(to) == "full", user(to) == "later" && w.age() < 30*time.Hour:
				return "450 4.2.2 Mailbox full"
			}
			return "250 2.1.5 Ok"
		},
		Message: func(sim.Transaction) (string, sim.End) {
			if messages.next("")%3 == 1 {
				return "452 4.3.1 Insufficient system storage", sim.Stay
			}
			return "", sim.Stay
		},
	})
}

// greylist does not know anybody for five minutes.
func greylist(w *world, d string) {
	var mu sync.Mutex
	seen := make(map[string]time.Time)
	w.mail(d, sim.Peer{Recipient: func(to string) string {
		mu.Lock()
		defer mu.Unlock()
		if seen[to].IsZero() {
			seen[to] = time.Now()
		}
		if time.Since(seen[to]) < 5*time.Minute {
			return "451 4.7.1 Greylisted, please try again in 5 minutes"
		}
		return "250 2.1.5 Ok"
	}})
}

// limiter takes two messages on a connection and five in an hour (OUT-015).
func limiter(w *world, d string) {
	var hours counter
	w.mail(d, sim.Peer{
		Script: func(at string, nth, conn int) (sim.Fault, bool) {
			return sim.Fault{Raw: "421 4.7.0 Too many messages on this connection\r\n", Then: sim.Drop}, at == "MAIL" && nth > 2
		},
		Recipient: func(to string) string {
			if hours.next(time.Now().Truncate(time.Hour).String()) > 5 {
				return "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered"
			}
			return "250 2.1.5 Ok"
		},
	})
}

// few says goodbye to nobody: it hangs up after two messages (OUT-016).
func few(w *world, d string) {
	w.mail(d, sim.Peer{Script: func(at string, nth, conn int) (sim.Fault, bool) {
		return sim.Fault{Silent: true, Then: sim.Drop}, at == "MAIL" && nth > 2
	}})
}

// nonsense is what garbage says (OUT-006).
var nonsense = []string{"999 what\r\n", "25\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "250-more\r\n550 mixed\r\n", "\x00\xff\xfe\r\n", strings.Repeat("250-x\r\n", 600) + "250 x\r\n"}

// garbage talks nonsense at any step before the data for a day. What it says at the end
// is no answer: it has the message.
func garbage(w *world, d string) {
	var turn counter
	w.mail(d, sim.Peer{Script: func(at string, nth, conn int) (sim.Fault, bool) {
		n := turn.next("")
		return sim.Fault{Raw: nonsense[n%len(nonsense)], Then: []sim.End{sim.Stay, sim.Drop, sim.Hang}[n%3]},
			w.age() < day && at != "end" && at != "QUIT" && n%4 == 0
	}})
}

// resets breaks connections in all ways for a day, where the message is not complete.
func resets(w *world, d string) {
	var turn counter
	w.mail(d, sim.Peer{Script: func(at string, nth, conn int) (sim.Fault, bool) {
		n := turn.next("")
		return sim.Fault{Then: []sim.End{sim.Drop, sim.Reset}[n%2]}, w.age() < day && at != "end" && n%5 == 0
	}})
}

// nameless has a name server that fails for two hours, twice (FLT-016).
func nameless(w *world, d string) {
	w.mail(d, sim.Peer{})
	for _, begin := range []time.Duration{0, 20 * time.Hour} {
		w.at(begin, func() { w.DNS.Fail(d, sim.ServFail); w.DNS.Fail("mx."+d, sim.ServFail) })
		w.at(begin+2*time.Hour, func() { w.DNS.Fail(d, sim.None); w.DNS.Fail("mx."+d, sim.None) })
	}
}

// v6hole has an IPv6 address that nothing comes back from (OUT-017).
func v6hole(w *world, d string) {
	w.mail(d, sim.Peer{})
	six := netip.MustParseAddr("2001:db8::25")
	w.Pave(six, sim.Road{Silent: true})
	w.load(fmt.Sprintf("mx.%s. AAAA %s\n", d, six))
}

// backup has a first host that never answers, one that refuses, and one that works.
func backup(w *world, d string) {
	for i, road := range []sim.Road{{Silent: true}, {Refused: true}, {}} {
		addr, name := w.Free(), fmt.Sprintf("mx%d.%s", i, d)
		w.note(w.Host(addr, sim.Peer{}))
		w.Pave(addr, road)
		w.load(fmt.Sprintf("%s. MX %d %s.\n%s. A %s", d, 10*(i+1), name, name, addr))
	}
}

// pair is two relays; the first refuses our address, now in one way and now in another.
func pair(w *world, d string) {
	blocked := "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org\r\n"
	for i, p := range []sim.Peer{
		{Recipient: func(string) string { return "503 5.5.1 Out of order" }, Script: func(at string, nth, conn int) (sim.Fault, bool) {
			return sim.Fault{Raw: blocked}, at == []string{"greeting", "MAIL", "RCPT"}[conn%3] || at == "RCPT"
		}}, {},
	} {
		addr := w.Free()
		w.note(w.Host(addr, p))
		w.load(fmt.Sprintf("r%d.%s. A %s", i+1, d, addr))
	}
}

// counter counts by key.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

// next counts one more, from 1.
func (c *counter) next(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[string]int)
	}
	c.of[key]++
	return c.of[key]
}
