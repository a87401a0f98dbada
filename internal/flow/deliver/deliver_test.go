package deliver

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/route"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// corridor is the house from the desk to the mailboxes, with a small world outside.
type corridor struct {
	hostname string
	t        testing.TB
	dir      string
	queue    *queue.Queue
	accounts *directory.Directory
	desk     *intake.Desk
	world    *sim.World
	schedule Schedule
	fs       vfs.FS
	router   *route.Router
	resolver *dns.Resolver
	events   event.Sink // of the dispatcher
	peers    int        // that have been started
	roots    *x509.CertPool
	tune     func(*Outbound)
	extend   func(*House)
}

func newCorridor(t testing.TB) *corridor {
	t.Helper()
	c := &corridor{t: t, tune: func(*Outbound) {}, hostname: "mail.example.org", dir: t.TempDir(), fs: vfs.OS{}, events: event.Discard, schedule: Schedule{
		MinimalBackoff: 50 * time.Millisecond, MaximalBackoff: 100 * time.Millisecond,
		Lifetime: time.Hour, BounceLifetime: time.Hour}}
	var err error
	c.world, err = sim.StartWorld("127.0.0.1:0", "127.0.0.1:0", sim.DemoBehaviours(), sim.DemoZone(), nil)
	check(t, err)
	t.Cleanup(c.world.Close)
	state, err := db.Open(filepath.Join(c.dir, "facteur.db"), directory.Migrations())
	check(t, err)
	t.Cleanup(func() { state.Close() })
	c.accounts = directory.New(state, []string{"example.org"}, c.dir, 0)
	for _, name := range []string{"alice", "bob"} {
		check(t, c.accounts.AddHashed(t.Context(), address.Address{Local: name, Domain: "example.org"}, "{PLAIN}secret", 0))
	}
	c.queue, err = queue.Open(c.dir)
	check(t, err)
	t.Cleanup(func() { c.queue.Close() })
	c.resolver, err = dns.New(dns.Config{Servers: []string{c.world.DNS.Addr()}, Timeout: 200 * time.Millisecond, TrustAD: true})
	check(t, err)
	c.router = route.New(c.accounts, "mail.example.org", func() string { return "example.org" })
	rules := &intake.Rules{Hostname: "mail.example.org", SizeLimit: 1 << 20, Recipients: 10}
	c.desk = intake.New(func() *intake.Rules { return rules }, c.accounts, c.router, c.queue,
		func(context.Context, directory.Account, int64) (int64, error) { return 1 << 40, nil }, event.Discard)
	return c
}

// dispatcher makes one that does not run yet.
func (c *corridor) dispatcher() *Dispatcher {
	h := House{
		Hostname: c.hostname, FS: c.fs, Queue: c.queue, Directory: c.accounts, Resolver: c.resolver,
		Notices: bounce.New("mail.example.org", func() string { return "fr" }, c.queue, c.router), Notify: func(directory.Account, string, int64) {},
		Schedule: func() Schedule { return c.schedule },
		Outbound: func() *Outbound {
			out := &Outbound{Port: c.port(), Helo: "mail.example.org", IPv4: true, AllowPrivate: true,
				ReuseCount: 10, ReuseTime: time.Minute, IdleTime: 50 * time.Millisecond,
				DestinationConcurrency: 2, Concurrency: 5, Roots: c.roots, Self: dns.Self{Names: []string{"mail.example.org"}}}
			c.tune(out)
			return out
		},
		Events: c.events,
	}
	if c.extend != nil {
		c.extend(&h)
	}
	return New(h)
}

// port is where the mail hosts of its world listen.
func (c *corridor) port() uint16 {
	if c.world == nil {
		return 25
	}
	return c.world.Port()
}

// run starts a dispatcher; stop ends it and waits.
func (c *corridor) run() (stop func()) {
	d := c.dispatcher()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx, 5*time.Second); err != nil {
			c.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	c.t.Cleanup(stop)
	return stop
}

// post hands a message in as alice (or, with no account, as a stranger).
func (c *corridor) post(account, from, body string, to ...string) queue.ID {
	c.t.Helper()
	ctx := context.Background()
	p := intake.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Name: "unknown", Helo: "test", Protocol: "ESMTP", Account: account}
	var sender address.Address
	if from != "" {
		sender = mustParse(c.t, from)
	}
	tx, reply := c.desk.Begin(ctx, p, smtp.Mail{Sender: sender})
	for i := 0; reply == nil && i < len(to); i++ {
		reply = tx.Recipient(ctx, smtp.Rcpt{To: mustParse(c.t, to[i])})
	}
	if reply == nil {
		reply = tx.Receive(ctx, strings.NewReader(body))
	}
	if reply != nil {
		c.t.Fatal(reply)
	}
	id, reply := tx.Commit(ctx)
	if reply != nil {
		c.t.Fatal(reply)
	}
	return id
}

func mustParse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	check(t, err)
	return a
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// letters are what is in somebody's INBOX.
func (c *corridor) letters(local string) (out []string) {
	files, _ := filepath.Glob(filepath.Join(c.dir, "mail", "example.org", local, "Maildir", "new", "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		check(c.t, err)
		out = append(out, string(b))
	}
	return out
}

// await waits until ok says yes.
func (c *corridor) await(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (c *corridor) empty() bool {
	items, _, err := c.queue.Depth(context.Background())
	check(c.t, err)
	return items == 0
}

const letterText = "Message-Id: <1@x>\r\nDate: Sun, 22 Nov 2026 00:00:00 +0000\r\nSubject: hello\r\n\r\n.body\r\n\r\nend"

func TestLocalLetterArrivesByteForByte(t *testing.T) {
	c := newCorridor(t)
	c.run()
	c.post("", "s@elsewhere.example", letterText, "Alice@Example.ORG", "bob@example.org")
	c.await("the queue is empty", c.empty)
	for _, who := range []string{"alice", "bob"} {
		got := c.letters(who)
		if len(got) != 1 {
			t.Fatalf("%s has %d letters", who, len(got))
		}
		head, ok := strings.CutSuffix(got[0], letterText)
		if !ok {
			t.Errorf("INV-14: %s got other bytes: %q", who, got[0])
		}
		lines := strings.SplitAfter(head, "\r\n")
		if lines[0] != "Return-Path: <s@elsewhere.example>\r\n" || !strings.HasPrefix(lines[1], "Delivered-To: ") ||
			!strings.HasPrefix(lines[2], "Received: from test (unknown [192.0.2.1])\r\n") {
			t.Errorf("prefix: %q", head)
		}
	}
}

func TestRemoteLetterGoesOut(t *testing.T) {
	c := newCorridor(t)
	c.run()
	c.post("alice@example.org", "alice@example.org", "Subject: out\r\n\r\n.\r\n..\r\n", "x@accept.example", "y@accept.example")
	got := c.world.Sink.Await(1, 20*time.Second)
	if len(got) != 1 || len(got[0].Recipients) != 2 || !strings.HasSuffix(string(got[0].Data), "Subject: out\r\n\r\n.\r\n..\r\n") {
		t.Fatalf("%+v", got)
	}
	if !strings.Contains(string(got[0].Data), "\r\nMessage-Id: <") || !strings.Contains(string(got[0].Data), "\r\nDate: ") {
		t.Errorf("submitted mail lacks its fields: %s", got[0].Data)
	}
	c.await("the queue is empty", c.empty)
}

// TestTheLogSaysRemovedLast: whoever follows one ID through the log finds its
// outcomes before its end, wherever it went.
func TestTheLogSaysRemovedLast(t *testing.T) {
	for _, to := range []string{"bob@example.org", "x@accept.example", "x@reject.example"} {
		c, book := newCorridor(t), &record{}
		c.events = book
		stop := c.run()
		id := c.post("alice@example.org", "alice@example.org", "Subject: log\r\n\r\n", to)
		c.await("the queue is empty", c.empty)
		stop()
		if got := book.of(id); len(got) < 2 || got[len(got)-1] != id.String()+": removed" {
			t.Errorf("%s: %q", to, got)
		}
	}
}

// record keeps the lines that a log would have.
type record struct {
	mu       sync.Mutex
	lines    []string
	programs []string
}

func (r *record) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	program, line := e.Line()
	r.lines, r.programs = append(r.lines, line), append(r.programs, program)
}

// has tells whether a program has written anything.
func (r *record) has(program string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.programs, program)
}

// all are the lines so far.
func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// of are the lines about one item.
func (r *record) of(id queue.ID) (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if strings.HasPrefix(l, id.String()+": ") {
			lines = append(lines, l)
		}
	}
	return lines
}

// TestEachRecipientHasItsOwnEnd: OUT-005.
func TestEachRecipientHasItsOwnEnd(t *testing.T) {
	c := newCorridor(t)
	c.run()
	id := c.post("alice@example.org", "alice@example.org", letterText,
		"x@accept.example", "x@reject.example", "x@defer.example", "x@nomail.example", "x@nowhere.example", "x@servfail.example", "bob@example.org")
	c.await("alice has the notices", func() bool {
		all := strings.Join(c.letters("alice"), "")
		return strings.Contains(all, "x@reject.example") && strings.Contains(all, "x@nomail.example") && strings.Contains(all, "x@nowhere.example")
	})
	if all := strings.Join(c.letters("alice"), ""); !strings.Contains(all, "Content-Language: fr") {
		t.Errorf("not in French: %s", all)
	}
	for _, notice := range c.letters("alice") {
		if !strings.HasPrefix(notice, "Return-Path: <>\r\nDelivered-To: alice@example.org\r\n") || !strings.Contains(notice, "multipart/report") {
			t.Errorf("no notice: %q", notice)
		}
	}
	c.await("the two that must wait have been tried", func() bool {
		it, _, err := c.queue.Show(context.Background(), id)
		check(t, err)
		for _, r := range it.Recipients {
			if r.LastReply == "" {
				return false
			}
		}
		return len(it.Recipients) == 2
	})
	it, _, _ := c.queue.Show(context.Background(), id)
	for i, want := range []string{"x@defer.example", "x@servfail.example"} {
		if got := it.Recipients[i].Address.String(); got != want {
			t.Errorf("INV-08: %s waits, %s should", got, want)
		}
	}
	if reply := it.Recipients[0].LastReply; !strings.Contains(reply, "451 4.7.1 Greylisted") {
		t.Errorf("reason: %q", reply)
	}
	if n := len(c.letters("bob")); n != 1 {
		t.Errorf("bob has %d letters", n)
	}
}

// TestHostsThatCanNeverBeReached: AUT-022. What the DNS says for certain is told at
// once; what it could not say is tried again.
func TestHostsThatCanNeverBeReached(t *testing.T) {
	for name, x := range map[string]struct {
		zone, want string
		private    bool
	}{
		"an MX without address":      {"d.test. MX 10 mx.d.test.\nmx.d.test. TXT x\n", "550 5.4.4", true},
		"an MX that does not answer": {"d.test. MX 10 mx.d.test.\nd.test. MX 20 no.d.test.\n!servfail mx.d.test\n", "451 4.4.3", true},
		"neither MX nor address":     {"d.test. TXT x\n", "550 5.4.4", true},
		"an MX on our own network":   {"d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n", "550 5.4.4", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCorridor(t)
			check(t, c.world.DNS.Load(x.zone))
			f := House{Hostname: "mail.example.org", Resolver: c.resolver}.finder()
			out := &Outbound{IPv4: true, Port: 1, AllowPrivate: x.private}
			s, reply, _ := f.site(t.Context(), out, out.Ways.Choose(transport.Mail{Domain: "d.test"}))
			if reply == nil {
				_, reply, _ = f.connect(t.Context(), out, s, need{})
			}
			if got := fmt.Sprint(reply.Code, " ", reply.Enhanced); got != x.want {
				t.Errorf("%v, want %s", reply, x.want)
			}
		})
	}
}

// TestGivenUpAfterItsLifetime: OUT-004, with the delay told once before.
//
// Row 101: the sender is told of the delay before.
func TestGivenUpAfterItsLifetime(t *testing.T) {
	c := newCorridor(t)
	c.schedule.Lifetime, c.schedule.DelayWarning = 900*time.Millisecond, 200*time.Millisecond
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@defer.example")
	c.await("it is given up", func() bool { return c.empty() && len(c.letters("alice")) >= 2 })
	var delayed, failed int
	for _, n := range c.letters("alice") {
		if strings.Contains(n, "Action: delayed") {
			delayed++
		}
		if strings.Contains(n, "Action: failed") {
			failed++
		}
	}
	if delayed != 1 || failed != 1 {
		t.Errorf("%d delay notices, %d failure notices", delayed, failed)
	}
}

// TestNobodyIsToldWhoMayNotHaveSentIt: INV-06, LOOP-005, LOOP-007.
//
// Row 156: no backscatter.
func TestNobodyIsToldWhoMayNotHaveSentIt(t *testing.T) {
	for from, kept := range map[string]bool{"forged@accept.example": true, "": false} {
		t.Run(fmt.Sprintf("<%s>", from), func(t *testing.T) {
			c := newCorridor(t)
			id := c.post("", from, letterText, "bob@example.org")
			check(t, c.accounts.RemoveAccount(context.Background(), mustParse(t, "bob@example.org"), false))
			c.run()
			if !kept {
				c.await("it is gone", c.empty)
			} else {
				c.await("it is held", func() bool {
					it, _, err := c.queue.Show(context.Background(), id)
					return err == nil && it.Recipients[0].State == queue.Held
				})
			}
			if got := c.world.Sink.Await(1, 300*time.Millisecond); len(got) != 0 {
				t.Errorf("backscatter: %+v", got[0])
			}
		})
	}
}

// TestACrashBetweenDurableAndRenamed: what was Landing lands once, even when its
// owner has taken the letter away meanwhile, and when the server is called otherwise
// after the restart.
func TestACrashBetweenDurableAndRenamed(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		t.Run(fmt.Sprint("renamed=", renamed), func(t *testing.T) {
			c := newCorridor(t)
			stop := c.run()
			c.post("", "s@elsewhere.example", letterText, "bob@example.org") // makes the Maildir
			c.await("the queue is empty", c.empty)
			stop()
			id := c.post("", "s@elsewhere.example", letterText, "bob@example.org")
			_, err := c.queue.Settle(context.Background(), queue.Settlement{Item: id, Outcomes: []queue.Outcome{{N: 1, Result: queue.Staged}}})
			check(t, err)
			want := 1
			if !renamed {
				c.stageByHand(id)
				want = 2
			}
			c.queue.Close()
			c.queue, err = queue.Open(c.dir)
			check(t, err)
			c.hostname = "renamed.example.org"
			c.run()
			c.await("the queue is empty", c.empty)
			if got := len(c.letters("bob")); got != want {
				t.Errorf("INV-05: bob has %d letters, %d expected", got, want)
			}
		})
	}
}

func (c *corridor) stageByHand(id queue.ID) {
	it, body, err := c.queue.Show(context.Background(), id)
	check(c.t, err)
	r, err := body.Open()
	check(c.t, err)
	defer r.Close()
	l := c.dispatcher().local
	tmp := filepath.Join(c.dir, "mail", "example.org", "bob", "Maildir", "tmp", l.name(it, it.Recipients[0]))
	f, err := os.Create(tmp)
	check(c.t, err)
	_, err = f.ReadFrom(r)
	check(c.t, err)
	check(c.t, f.Close())
}

// TestAFailingDiskDefers: LOC-004, FLT-006. Nothing is lost, others go on.
func TestAFailingDiskDefers(t *testing.T) {
	c := newCorridor(t)
	check(t, os.MkdirAll(filepath.Join(c.dir, "mail", "example.org"), 0o700))
	home := filepath.Join(c.dir, "mail", "example.org", "bob")
	check(t, os.WriteFile(home, nil, 0o600)) // in the way of bob's directory
	c.run()
	id := c.post("", "s@elsewhere.example", letterText, "bob@example.org", "alice@example.org")
	c.await("bob's is deferred", func() bool {
		it, _, err := c.queue.Show(context.Background(), id)
		return err == nil && len(it.Recipients) == 1 && it.Recipients[0].Attempts > 0
	})
	if len(c.letters("alice")) != 1 {
		t.Error("alice's letter did not go on")
	}
	check(t, os.Remove(home))
	c.await("the queue is empty", c.empty)
	if len(c.letters("bob")) != 1 {
		t.Error("bob's letter is lost")
	}
}

// TestTheSecondMailHost takes what the first does not: one that refuses to talk, one
// that is not there.
func TestTheSecondMailHost(t *testing.T) {
	c := newCorridor(t)
	c.peer("rude.test", sim.Peer{Faults: []sim.Fault{{At: "greeting", Raw: "554 5.7.1 Go away\r\n"}}})
	good := c.peer("good.test", sim.Peer{})
	check(t, c.world.DNS.Load("d.test. MX 10 mx.rude.test.\nd.test. MX 20 mx.absent.test.\nd.test. MX 30 mx.good.test.\nmx.absent.test. A 127.0.0.99\n"))
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@d.test")
	c.await("the queue is empty", c.empty)
	if got := good.Taken(); len(got) != 1 || len(c.letters("alice")) != 0 {
		t.Errorf("%d arrived, %s", len(got), c.letters("alice"))
	}
}
