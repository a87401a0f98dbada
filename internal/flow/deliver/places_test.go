package deliver

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/flow/bounce"
	"facteur/internal/flow/route"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

func attemptFor(name string, kind route.Kind) *attempt {
	key := kind.Prefix() + name
	return &attempt{hop: route.Hop{Kind: kind, Name: name},
		item: &queue.Item{Recipients: []queue.Recipient{{N: 1, Route: key}}}}
}

// TestPlaces: OUT-013, OUT-023: backlogs never take all places.
func TestPlaces(t *testing.T) {
	looks := 0
	p := newPlaces(func() { looks++ })
	fill := func(a *attempt) (n int) {
		for p.take(a) {
			n++
		}
		return n
	}
	slow := attemptFor("slow.example", route.Remote)
	n := fill(slow)
	if n < 1000 || n > activeMax/4 {
		t.Errorf("one destination got %d places", n)
	}
	for i := range 400 {
		if fill(attemptFor(fmt.Sprintf("d%d.example", i), route.Remote)) == 0 {
			t.Fatalf("no place for destination %d", i)
		}
	}
	if !p.take(attemptFor("bob@example.org", route.Mailbox)) {
		t.Error("no place for a letter to a mailbox here")
	}
	e, none := p.except()
	if len(e.Routes) != 401 || e.Kind != "" || none {
		t.Errorf("%d routes are left out, kind %q, none %v", len(e.Routes), e.Kind, none)
	}
	for range n {
		p.give(slow, 1)
	}
	if looks == 0 || !p.take(slow) {
		t.Errorf("%d looks after the backlog has gone", looks)
	}
	local := attemptFor("bob@example.org", route.Mailbox)
	fill(local)
	if e, none := p.except(); e.Kind != "mailbox:" || none {
		t.Errorf("full for mailboxes: %q, %v", e.Kind, none)
	}
}

// TestTarpit: OUT-013: a backlog for a host that accepts connections and never
// answers does not hold up letters to mailboxes here.
func TestTarpit(t *testing.T) {
	if testing.Short() {
		t.Skip("commits many messages")
	}
	c := newCorridor(t)
	pit, err := net.Listen("tcp", fmt.Sprintf("127.0.0.9:%d", c.world.Port()))
	check(t, err)
	defer pit.Close() // the backlog of its socket takes the connections
	for i := range activeMax/2000 + 1 {
		d := queue.Draft{Spool: c.queue.Spool(), Item: &queue.Item{ID: c.queue.NextID(), Sender: mustParse(t, "alice@example.org")}}
		for j := range 2000 {
			to := mustParse(t, fmt.Sprintf("u%d-%d@[127.0.0.9]", i, j))
			d.Item.Recipients = append(d.Item.Recipients, queue.Recipient{Address: to, Original: to, Route: "smtp:[127.0.0.9]"})
		}
		check(t, c.queue.Commit(t.Context(), d))
	}
	c.run()
	time.Sleep(100 * time.Millisecond) // the backlog comes first
	c.post("alice@example.org", "alice@example.org", "Subject: t\r\n\r\n", "bob@example.org")
	c.await("the letter is there", func() bool { return len(c.letters("bob")) == 1 })
}

// TestExpiredStrangersLetterIsHeld: LOOP-007: a letter that we may tell nobody about
// is not thrown away when its time is over.
func TestExpiredStrangersLetterIsHeld(t *testing.T) {
	c := newCorridor(t)
	clerk := &clerk{notices: bounce.New("mail.example.org", func() string { return "en" }, c.queue, c.router)}
	a := &attempt{item: &queue.Item{Sender: mustParse(t, "x@stranger.example"), Arrived: time.Now().Add(-2 * time.Hour)}}
	r := &result{recipient: queue.Recipient{N: 1, Attempts: 1_000_000}}
	if o := clerk.outcome(c.schedule, a, r, time.Now()); o.Result != queue.Undeliverable {
		t.Errorf("%v", o.Result)
	}
}

// TestLandedStaysLandedWithoutDirectory: INV-05: a letter that a crash left landing
// does not go back to the queue when the directory can't tell whose it is, for it
// may have landed already.
func TestLandedStaysLandedWithoutDirectory(t *testing.T) {
	c := newCorridor(t)
	id := c.post("", "s@elsewhere.example", letterText, "bob@example.org")
	_, err := c.queue.Settle(t.Context(), queue.Settlement{Item: id, Outcomes: []queue.Outcome{{N: 1, Result: queue.Staged}}})
	check(t, err)
	c.queue.Close()
	c.queue, err = queue.Open(c.dir)
	check(t, err)
	t.Cleanup(func() { c.queue.Close() })
	dumb, err := db.Open(filepath.Join(t.TempDir(), "facteur.db"), directory.Migrations())
	check(t, err)
	dumb.Close()
	c.accounts = directory.New(dumb, []string{"example.org"}, c.dir, 0)
	stop := c.run()
	time.Sleep(200 * time.Millisecond)
	stop()
	items, err := c.queue.Landings(context.Background())
	if err != nil || len(items) != 1 {
		t.Errorf("%d letters are landing, %v", len(items), err)
	}
}

// TestPartOfTheRecipientsStaysDelivered: OUT-005, OUT-016: of a message for more
// recipients than one transaction takes, the first have it when the host goes
// away: only the others are tried again.
func TestPartOfTheRecipientsStaysDelivered(t *testing.T) {
	c := newCorridor(t)
	host, err := net.Listen("tcp", fmt.Sprintf("127.0.0.8:%d", c.world.Port()))
	check(t, err)
	go takeOneMessage(host)
	d := queue.Draft{Spool: c.queue.Spool(), Item: &queue.Item{ID: c.queue.NextID(), Sender: mustParse(t, "alice@example.org")}}
	for i := range 2*50 + 10 {
		to := mustParse(t, fmt.Sprintf("u%d@[127.0.0.8]", i))
		d.Item.Recipients = append(d.Item.Recipients, queue.Recipient{Address: to, Original: to, Route: "smtp:[127.0.0.8]"})
	}
	check(t, c.queue.Commit(t.Context(), d))
	c.run()
	c.await("the first have it", func() bool {
		_, n, err := c.queue.Depth(context.Background())
		check(t, err)
		tried := 0
		check(t, c.queue.List(context.Background(), func(it *queue.Item) bool {
			for _, r := range it.Recipients {
				tried += min(r.Attempts, 1)
			}
			return true
		}))
		if tried == 2*50+10 {
			t.Fatal("those who have the message get it again")
		}
		return n == 50+10 && tried == n
	})
}

// What a host has taken is written down at once, and not when it has answered for all
// recipients: until then a crash would send it to all of them again.
func TestEachTransactionIsSettledByItself(t *testing.T) {
	c := newCorridor(t)
	c.tune = one
	c.peer("many.test", sim.Peer{Faults: []sim.Fault{{At: "end", Nth: 2, Delay: 3 * time.Second}}})
	var all []queue.Recipient
	for i := range 2*50 + 10 {
		all = append(all, to(t, fmt.Sprintf("u%d@many.test", i), 0))
	}
	c.put(fromAlice(), letterText, all...)
	c.run()
	c.await("the first have it", func() bool {
		_, n, err := c.queue.Depth(context.Background())
		check(t, err)
		return n == 50+10
	})
	c.await("all have it", c.empty)
}

// takeOneMessage is a host that goes away after its first message.
func takeOneMessage(l net.Listener) {
	conn, err := l.Accept()
	l.Close()
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewScanner(conn)
	fmt.Fprint(conn, "220 h\r\n")
	for data := false; in.Scan(); {
		switch line := in.Text(); {
		case data && line == ".":
			fmt.Fprint(conn, "250 taken\r\n")
			return
		case data:
		case strings.HasPrefix(line, "DATA"):
			data = true
			fmt.Fprint(conn, "354 go\r\n")
		default:
			fmt.Fprint(conn, "250 h\r\n")
		}
	}
}

// TestStoppingDefersNothing: a batch for mailboxes here that the word to stop finds
// under way is delivered, not put off as if its mailboxes had failed.
func TestStoppingDefersNothing(t *testing.T) {
	c := newCorridor(t)
	id := c.post("", "s@elsewhere.example", letterText+strings.Repeat("x", 200<<10), "bob@example.org")
	items, _, err := c.queue.Claim(t.Context(), time.Now(), 10, queue.Except{})
	if err != nil || len(items) != 1 {
		t.Fatal(len(items), err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	c.dispatcher().local.deliver(stopped, &carrier{}, new(Outbound).split(items[0], nil, time.Now()))
	it, _, err := c.queue.Show(t.Context(), id)
	check(t, err)
	if r := it.Recipients[0]; r.State != queue.Landing || r.Attempts != 0 || len(c.letters("bob")) != 1 {
		t.Errorf("%v after %d attempts (%s), %d letters", r.State, r.Attempts, r.LastReply, len(c.letters("bob")))
	}
}
