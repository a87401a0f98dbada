package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/flow/bounce"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// put commits an item as the desk would; sender alice, unless it has one.
func (c *corridor) put(it *queue.Item, text string, to ...queue.Recipient) queue.ID {
	c.t.Helper()
	it.ID = c.queue.NextID()
	for _, r := range to {
		d := c.router.Resolve(context.Background(), r.Address)
		r.Address, r.Route = d.Value().Address, d.Value().String()
		if r.Original == (address.Address{}) {
			r.Original = r.Address
		}
		it.Recipients = append(it.Recipients, r)
	}
	s := c.queue.Spool()
	_, err := s.Write([]byte(text))
	check(c.t, err)
	check(c.t, c.queue.Commit(context.Background(), queue.Draft{Item: it, Spool: s}))
	return it.ID
}

// fromAlice is an item that alice has submitted.
func fromAlice() *queue.Item {
	return &queue.Item{Sender: address.Address{Local: "alice", Domain: "example.org"},
		Origin: queue.Origin{Account: "alice@example.org", Protocol: "ESMTPSA"}}
}

func to(t *testing.T, s string, n smtp.Notify) queue.Recipient {
	return queue.Recipient{Address: mustParse(t, s), Notify: n}
}

// peer is a mail host for a domain, on an address of its own and the port of all.
func (c *corridor) peer(domain string, p sim.Peer) *sim.Sink {
	c.t.Helper()
	c.peers++
	ip := fmt.Sprintf("127.0.0.%d", 1+c.peers)
	p.Address = fmt.Sprintf("%s:%d", ip, c.world.Port())
	s, err := sim.StartPeer(p)
	check(c.t, err)
	c.t.Cleanup(s.Close)
	check(c.t, c.world.DNS.Load(fmt.Sprintf("%s. MX 10 mx.%s.\nmx.%s. A %s\n", domain, domain, domain, ip)))
	return s
}

// notices are the actions that alice was told, by envelope ID.
func (c *corridor) notices() map[string][]string {
	found := make(map[string][]string)
	for _, letter := range c.letters("alice") {
		if !strings.Contains(letter, "report-type=delivery-status") {
			continue
		}
		id := regexp.MustCompile(`\nOriginal-Envelope-Id: (\S+)`).FindStringSubmatch(letter)
		for _, action := range regexp.MustCompile(`\nAction: (\S+)`).FindAllStringSubmatch(letter, -1) {
			found[id[1]] = append(found[id[1]], action[1])
		}
	}
	return found
}

// idle tells that nothing is left but what was tried n times at least.
func (c *corridor) idle(n int) bool {
	quiet := true
	check(c.t, c.queue.List(context.Background(), func(it *queue.Item) bool {
		for _, r := range it.Recipients {
			quiet = quiet && (r.State == queue.Held || r.Attempts >= n)
		}
		return true
	}))
	return quiet
}

// RFC 3461 §4.1, §5.2: what the sender hears, by what he asked for and what became of
// his letter. And what he hears who only says that he is the sender (INV-06): nothing.
func TestNotify(t *testing.T) {
	const success, failure, delay, never = smtp.NotifySuccess, smtp.NotifyFailure, smtp.NotifyDelay, smtp.NotifyNever
	asked := []smtp.Notify{0, never, success, failure, delay, success | failure | delay, success | failure, failure | delay}
	for name, x := range map[string]struct {
		to   string
		by   []smtp.Notify // who asks so hears of it
		want dsn.Action
	}{
		"delivered here":                        {"bob@example.org", []smtp.Notify{success}, dsn.Delivered},
		"nobody here by that name any more":     {"gone@example.org", []smtp.Notify{0, failure}, dsn.Failed},
		"taken by a host with DSN":              {"x@dsn.test", nil, ""},
		"taken by a host without":               {"x@accept.example", []smtp.Notify{success}, dsn.Relayed},
		"refused by a host":                     {"x@reject.example", []smtp.Notify{0, failure}, dsn.Failed},
		"late":                                  {"x@defer.example", []smtp.Notify{0, delay}, dsn.Delayed},
		"given up":                              {"x@defer.example", []smtp.Notify{0, failure}, dsn.Failed},
		"a mailbox that can't be written: late": {"broken@example.org", []smtp.Notify{0, delay}, dsn.Delayed},
	} {
		for _, stranger := range []bool{false, true} {
			t.Run(fmt.Sprintf("INV-06 %s, stranger=%v", name, stranger), func(t *testing.T) {
				t.Parallel()
				c := newCorridor(t)
				c.schedule.DelayWarning = time.Hour
				if x.want == dsn.Delayed {
					c.schedule.DelayWarning = time.Millisecond
				}
				if name == "given up" {
					c.schedule.Lifetime = 300 * time.Millisecond
				}
				if who, _, here := strings.Cut(x.to, "@example.org"); here && who != "bob" {
					check(t, c.accounts.AddHashed(t.Context(), address.Address{Local: who, Domain: "example.org"}, "{PLAIN}secret", 0))
				}
				home := filepath.Join(c.dir, "mail", "example.org", "broken")
				check(t, os.MkdirAll(filepath.Dir(home), 0o700))
				check(t, os.WriteFile(home, nil, 0o600))
				peer := c.peer("dsn.test", sim.Peer{Offer: []string{"DSN"}})
				for _, n := range asked {
					it := fromAlice()
					it.EnvelopeID = fmt.Sprint("n", int(n))
					if stranger {
						it.Origin = queue.Origin{ClientAddr: "192.0.2.1"}
					}
					c.put(it, letterText, to(t, x.to, n))
				}
				if x.to == "gone@example.org" {
					check(t, c.accounts.RemoveAccount(context.Background(), mustParse(t, x.to), false))
				}
				c.run()
				c.await("all is tried", func() bool { return c.idle(4) })
				want := map[string][]string{}
				for _, n := range asked {
					for _, by := range x.by {
						if n == by && n == 0 || n&by != 0 {
							want[fmt.Sprint("n", int(n))] = []string{string(x.want)}
						}
					}
				}
				if stranger {
					want = map[string][]string{}
				}
				c.await("the notices are there", func() bool { return len(c.notices()) >= len(want) })
				if got := c.notices(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("alice hears\n%v, and should\n%v", got, want)
				}
				if x.to == "x@dsn.test" {
					c.passedOn(peer, asked)
				}
				if x.want == dsn.Failed {
					c.heldAre(stranger, asked)
				}
			})
		}
	}
}

// heldAre waits until no more is left than a person has to decide about (LOOP-007):
// what failed for strangers who wanted to hear of it.
func (c *corridor) heldAre(stranger bool, asked []smtp.Notify) {
	want := 0
	for _, n := range asked {
		if stranger && bounce.Asked(n, dsn.Failed) {
			want++
		}
	}
	c.await(fmt.Sprintf("%d items are held", want), func() bool {
		held, others := 0, 0
		check(c.t, c.queue.List(context.Background(), func(it *queue.Item) bool {
			if it.Recipients[0].State == queue.Held {
				held++
			} else {
				others++
			}
			return true
		}))
		return held == want && others == 0
	})
}

// passedOn checks what a host with DSN was told (RFC 3461 §5.2.1).
func (c *corridor) passedOn(peer *sim.Sink, asked []smtp.Notify) {
	got := map[string]bool{}
	for _, x := range peer.Await(len(asked), 20*time.Second) {
		got[x.Mail+" "+x.Rcpts[0]] = true
	}
	for _, n := range asked {
		want := fmt.Sprintf("<alice@example.org> SIZE=%d ENVID=n%d <x@dsn.test>", len(letterText), n)
		if n != 0 {
			want += " NOTIFY=" + n.String()
		}
		if !got[want] {
			c.t.Errorf("no %q in %v", want, got)
		}
	}
}

// The whole of a notice of success, by the examples of RFC 3461 §10: ENVID and ORCPT
// as they were given, the header alone, to whom the letter came from, from nobody.
func TestNoticeOfSuccess(t *testing.T) {
	c := newCorridor(t)
	it := fromAlice()
	it.EnvelopeID, it.Ret = "QQ314159", smtp.RetFull
	bob := to(t, "bob@example.org", smtp.NotifySuccess)
	bob.ORcpt = smtp.Original{Type: "rfc822", Address: "Bob@Example.ORG"}
	jean := to(t, "jean@example.org", smtp.NotifySuccess|smtp.NotifyFailure)
	jean.ORcpt = smtp.Original{Type: "utf-8", Address: "jörg@example.org"}
	check(t, c.accounts.AddHashed(t.Context(), jean.Address, "{PLAIN}secret", 0))
	c.put(it, letterText, bob, jean)
	c.run()
	c.await("the queue is empty", c.empty)
	all := c.letters("alice")
	if len(all) != 1 {
		t.Fatalf("LOOP-008: one notice for both is expected: %d", len(all))
	}
	for _, want := range []string{"Return-Path: <>\r\n", "\r\nOriginal-Envelope-Id: QQ314159\r\n",
		"\r\nOriginal-Recipient: rfc822; Bob@Example.ORG\r\nFinal-Recipient: rfc822; bob@example.org\r\nAction: delivered\r\nStatus: 2.0.0\r\n",
		"\r\nOriginal-Recipient: utf-8; j\\x{F6}rg@example.org\r\n", "Content-Type: text/rfc822-headers\r\n", "Subject: hello\r\n"} {
		if !strings.Contains(all[0], want) {
			t.Errorf("no %q in:\n%s", want, all[0])
		}
	}
	if strings.Contains(all[0], ".body") {
		t.Error("RFC 3461 §4.3: a notice of success returns the header only")
	}
}

// INV-04: a notice of success commits with the end of its recipient. After a crash
// anywhere before, there is one letter and one notice; never none, never two.
func TestACrashBeforeTheNoticeOfSuccess(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		t.Run(fmt.Sprint("renamed=", renamed), func(t *testing.T) {
			c := newCorridor(t)
			stop := c.run()
			c.put(fromAlice(), letterText, to(t, "bob@example.org", 0)) // makes the Maildir
			c.await("the queue is empty", c.empty)
			stop()
			it := fromAlice()
			it.EnvelopeID = "crash"
			id := c.put(it, letterText, to(t, "bob@example.org", smtp.NotifySuccess))
			_, err := c.queue.Settle(context.Background(), queue.Settlement{Item: id, Outcomes: []queue.Outcome{{N: 1, Result: queue.Staged}}})
			check(t, err)
			c.stageByHand(id)
			if renamed {
				maildir := filepath.Join(c.dir, "mail", "example.org", "bob", "Maildir")
				files, _ := filepath.Glob(filepath.Join(maildir, "tmp", "*"))
				check(t, os.Rename(files[0], filepath.Join(maildir, "new", filepath.Base(files[0]))))
			}
			c.queue.Close()
			c.queue, err = queue.Open(c.dir)
			check(t, err)
			c.run()
			c.await("the queue is empty", c.empty)
			if got := fmt.Sprint(c.notices(), len(c.letters("bob"))); got != "map[crash:[delivered]] 2" {
				t.Errorf("%s", got)
			}
		})
	}
}

// LOOP-002: a letter that has been in this mailbox before comes back to its sender.
func TestDeliveredToTheSameMailboxTwice(t *testing.T) {
	for header, loops := range map[string]bool{
		"Delivered-To: bob@example.org\r\n":                           true,
		"X: y\r\ndelivered-to:  Bob@EXAMPLE.org \r\n":                 true,
		"Delivered-To: alice@example.org\r\n":                         false,
		"X-Delivered-To: bob@example.org\r\n":                         false,
		"Subject: x\r\n\r\nDelivered-To: bob@example.org\r\n":         false,
		"Delivered-To: nobody\r\nDelivered-To: carol@example.org\r\n": false,
		"X: " + strings.Repeat("y", traceMax) + "\r\nSubject: z\r\n":  false,
	} {
		c := newCorridor(t)
		c.put(fromAlice(), header+"\r\nhello\r\n", to(t, "bob@example.org", 0))
		c.run()
		c.await("the queue is empty", c.empty)
		if got := len(c.letters("bob")) == 0; got != loops {
			t.Errorf("LOOP-002 %.60q: loop=%v, want %v", header, got, loops)
		}
		if notice := strings.Join(c.letters("alice"), ""); strings.Contains(notice, "Status: 5.4.6") != loops {
			t.Errorf("LOOP-002 %.60q: %s", header, notice)
		}
	}
}

// LOOP-008: recipients in many places who fail at about the same time share one notice,
// also when others have it or must wait; and a stop in between loses nobody's.
func TestOneNoticeForManyPlaces(t *testing.T) {
	for name, x := range map[string]struct {
		others []string
		stop   bool
	}{
		"all fail":           {nil, false},
		"some have it":       {[]string{"bob@example.org", "x@accept.example"}, false},
		"some must wait":     {[]string{"x@defer.example"}, false},
		"the server stops":   {[]string{"x@slow.test"}, true},
		"one answers slowly": {[]string{"x@slow.test"}, false},
	} {
		t.Run("LOOP-008 "+name, func(t *testing.T) {
			t.Parallel()
			c := newCorridor(t)
			c.peer("slow.test", sim.Peer{Faults: []sim.Fault{{At: "RCPT", Delay: 2 * time.Second}}})
			var all []queue.Recipient
			for i := range 20 {
				domain := fmt.Sprintf("d%d.test", i)
				check(t, c.world.DNS.Load(domain+". MX 0 .\n"))
				all = append(all, to(t, "x@"+domain, 0))
			}
			for _, other := range x.others {
				all = append(all, to(t, other, 0))
			}
			it := fromAlice()
			it.EnvelopeID = "many"
			c.put(it, letterText, all...)
			stop := c.run()
			if x.stop {
				c.await("they have been tried", func() bool { return c.tried(20) })
				stop()
				items, recipients, err := c.queue.Depth(context.Background())
				if err != nil || items > 2 || recipients > 2 {
					t.Errorf("after the stop: %d items, %d recipients, %v", items, recipients, err)
				}
				c.run()
			}
			c.await("alice is told", func() bool { return len(c.notices()["many"]) >= 20 })
			c.await("nothing is left to do", func() bool { return c.idle(1) })
			if n := len(c.letters("alice")); n != 1 || len(c.notices()["many"]) != 20 {
				t.Errorf("%d notices of %d recipients", n, len(c.notices()["many"]))
			}
		})
	}
}

// A failure that waits for others is settled before the server ends.
func TestFailuresAreSettledBeforeTheEnd(t *testing.T) {
	c := newCorridor(t)
	it := fromAlice()
	it.EnvelopeID = "end"
	id := c.put(it, letterText, to(t, "x@reject.example", 0), to(t, "x@accept.example", 0))
	d := c.dispatcher()
	items, _, err := c.queue.Claim(t.Context(), time.Now(), 1, queue.Except{})
	check(t, err)
	attempts := new(Outbound).split(items[0], nil, time.Now())
	attempts[0].round = &round{clerk: d.clerk, ctx: context.Background(), item: items[0], open: 2}
	check(t, d.clerk.conclude(t.Context(), attempts[0], attempts[0].all(smtp.NewReply(550, "5.1.1", "No"), "No")))
	depth := func() string {
		items, recipients, err := c.queue.Depth(context.Background())
		return fmt.Sprint(items, recipients, err)
	}
	if got := depth(); got != "1 2 <nil>" {
		t.Errorf("settled too early: %s", got)
	}
	over, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	check(t, d.Run(over, time.Second))
	if got, _, err := c.queue.Show(context.Background(), id); err != nil || len(got.Recipients) != 1 || depth() != "2 2 <nil>" {
		t.Errorf("INV-04: %+v, %v, %s", got, err, depth())
	}
}

// When thousands of rounds end at a time, few notices are in memory: with a full disk
// each would stay there until there is room.
func TestFewNoticesAtATime(t *testing.T) {
	c := newCorridor(t)
	const many = 3 * settlingMax
	for range many {
		c.put(fromAlice(), letterText, to(t, "x@reject.example", 0), to(t, "x@accept.example", 0))
	}
	d := c.dispatcher()
	var begun atomic.Int32
	gate := make(chan struct{})
	d.clerk.notices = bounce.New("mail.example.org", func() string { begun.Add(1); <-gate; return "en" }, c.queue, c.router)
	items, _, err := c.queue.Claim(t.Context(), time.Now(), many, queue.Except{})
	check(t, err)
	var ended sync.WaitGroup
	for _, it := range items {
		a := new(Outbound).split(it, nil, time.Now())[0]
		a.round = &round{clerk: d.clerk, ctx: context.Background(), item: it, open: 2}
		check(t, d.clerk.conclude(t.Context(), a, a.all(smtp.NewReply(550, "5.1.1", "No"), "No")))
		ended.Go(a.round.flush)
	}
	c.await("the first are being written", func() bool { return begun.Load() >= settlingMax })
	time.Sleep(100 * time.Millisecond)
	if n := begun.Load(); n != settlingMax {
		t.Errorf("%d notices at a time", n)
	}
	close(gate)
	ended.Wait()
	if items, recipients, err := c.queue.Depth(t.Context()); err != nil || items != 2*many || recipients != 2*many {
		t.Errorf("%d items, %d recipients, %v", items, recipients, err)
	}
}

// tried tells that all of the first n domains have been looked up.
func (c *corridor) tried(n int) bool {
	asked := 0
	for i := range n {
		asked += min(1, c.world.DNS.Asked(fmt.Sprintf("d%d.test", i), "MX"))
	}
	return asked == n
}

// The log calls a notice by what it tells, not by what else happened.
func TestTheLogNamesTheNotice(t *testing.T) {
	c, book := newCorridor(t), &record{}
	c.events = book
	c.peer("d.test", sim.Peer{Recipient: func(to string) string {
		if strings.HasPrefix(to, "yes") {
			return "250 Ok"
		}
		return "550 5.1.1 No"
	}})
	id := c.put(fromAlice(), letterText, to(t, "yes@d.test", smtp.NotifySuccess), to(t, "no@d.test", smtp.NotifyNever))
	stop := c.run()
	c.await("the queue is empty", c.empty)
	stop()
	lines := strings.Join(book.of(id), "\n")
	if !strings.Contains(lines, "sender delivery status notification") || strings.Contains(lines, "non-delivery") {
		t.Error(lines)
	}
}
