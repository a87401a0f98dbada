package deliver

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
	"facteur/internal/store/list"
	"facteur/internal/store/queue"
)

// tableServer answers as tcp_table(5) has it, with what say says about a key.
func tableServer(t *testing.T, say func(key string) string) (source string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				for in := bufio.NewScanner(conn); in.Scan(); {
					fmt.Fprintln(conn, say(strings.TrimPrefix(in.Text(), "get ")))
				}
			})
		}
	})
	return "tcp:" + l.Addr().String()
}

// asks makes the house ask a table about each recipient.
func (c *corridor) asks(source string) {
	c.t.Helper()
	lists, err := list.Open([]list.Source{{Name: "ways", From: source, CacheTime: time.Nanosecond}}, event.Discard)
	check(c.t, err)
	c.t.Cleanup(func() { lists.Close() })
	ways, wrong := transport.NewTable(transport.Rules{})
	if wrong != nil {
		c.t.Fatal(wrong)
	}
	tables := transport.NewTables(ways, lists.Maps([]string{"ways"}), list.Maps{}, list.Maps{})
	c.tune = func(o *Outbound) { o.Ways, o.Tables = ways, tables }
}

// TestTablesAnswerLate: while a table takes its time over one letter, others are claimed,
// asked about and delivered; then that one goes where it says.
func TestTablesAnswerLate(t *testing.T) {
	c, log := newCorridor(t), new(logged)
	c.events = log
	held, asked := make(chan struct{}), make(chan struct{}, 1)
	c.asks(tableServer(t, func(key string) string {
		switch key {
		case "late@far.example":
			asked <- struct{}{}
			<-held
			return "200 error:5.7.1 so says the table"
		case "gone@example.org":
			return "200 discard:thrown away"
		}
		return "500 no entry"
	}))
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "late@far.example", "x@accept.example")
	<-asked
	c.post("", "s@elsewhere.example", letterText, "bob@example.org")
	c.await("bob has his", func() bool { return len(c.letters("bob")) == 1 })
	if log.count("late@far.example") != 0 || len(c.world.Sink.Taken()) != 0 {
		t.Errorf("it did not wait for the table:\n%s", log)
	}
	close(held)
	c.world.Sink.Await(1, 20*time.Second)
	c.await("the queue is empty", c.empty)
	if log.count("so says the table") == 0 {
		t.Errorf("the table was not obeyed:\n%s", log)
	}
}

// TestMAP004TableOfTransportsDown: mail waits while the table can't tell, for here and for
// elsewhere, is refused to nobody, and leaves when it can.
func TestMAP004TableOfTransportsDown(t *testing.T) {
	c, log := newCorridor(t), new(logged)
	c.events = log
	var mu sync.Mutex
	down := true
	c.asks(tableServer(t, func(string) string {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return "400 come again"
		}
		return "500 no entry"
	}))
	c.run()
	c.post("alice@example.org", "alice@example.org", letterText, "x@accept.example", "bob@example.org")
	c.await("both are put off", func() bool { return log.count("status=deferred (transport table lookup failure)") >= 2 })
	if len(c.letters("bob")) != 0 || len(c.world.Sink.Taken()) != 0 || log.count("dsn=4.3.0") < 2 {
		t.Errorf("mail went past the table:\n%s", log)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	c.await("the queue is empty", c.empty)
	if got := c.world.Sink.Await(1, 20*time.Second); len(got) != 1 || len(c.letters("bob")) != 1 || len(c.letters("alice")) != 0 {
		t.Errorf("%d went out, bob has %d, alice %d:\n%s", len(got), len(c.letters("bob")), len(c.letters("alice")), log)
	}
}

// TestStopWhileATableIsAsked: the word to stop is no failure of the table. What was being
// asked about is due as before.
func TestStopWhileATableIsAsked(t *testing.T) {
	c, log := newCorridor(t), new(logged)
	c.events = log
	asked, held := make(chan struct{}, 100), make(chan struct{})
	defer close(held)
	c.asks(tableServer(t, func(string) string {
		asked <- struct{}{}
		<-held
		return "500 no entry"
	}))
	stop := c.run()
	for range askersMax + 2 {
		c.post("", "s@elsewhere.example", letterText, "bob@example.org")
	}
	<-asked
	stop()
	if log.count("status=") != 0 {
		t.Errorf("the stop was taken for a failure:\n%s", log)
	}
	c.tune = func(*Outbound) {}
	c.run()
	c.await("the queue is empty", c.empty)
	if got := len(c.letters("bob")); got != askersMax+2 {
		t.Errorf("bob has %d letters", got)
	}
}

// TestReloadWhileATableIsAsked: what the tables of settings gone by could not tell is asked
// of the new ones, and the message goes by those.
func TestReloadWhileATableIsAsked(t *testing.T) {
	lists, err := list.Open([]list.Source{{Name: "ways", Entries: []string{"far.example discard:"}}}, event.Discard)
	check(t, err)
	defer lists.Close()
	with := func(table string) *Outbound {
		ways, _ := transport.NewTable(transport.Rules{})
		return &Outbound{Ways: ways, Tables: transport.NewTables(ways, lists.Maps([]string{table}), list.Maps{}, list.Maps{})}
	}
	settings := []*Outbound{with("closed"), with("ways")}
	a := newAsking(func() *Outbound {
		now := settings[0]
		settings = settings[min(1, len(settings)-1):]
		return now
	}, event.Discard)
	x := &asked{item: fromAlice()}
	x.item.Recipients = []queue.Recipient{to(t, "a@far.example", 0)}

	a.ask(t.Context(), x)
	if got := x.out.split(x.item, x.said, time.Now())[0].choice; got.Transport.Kind != transport.Discard {
		t.Errorf("%+v", got)
	}
}

// TestAskingCrashes: if asking makes this program fail, the message waits.
func TestAskingCrashes(t *testing.T) {
	log := new(logged)
	ways, _ := transport.NewTable(transport.Rules{})
	broken := &Outbound{Ways: ways, Tables: new(transport.Tables)}
	a := newAsking(func() *Outbound { return broken }, log)
	x := &asked{item: fromAlice()}
	x.item.Recipients = []queue.Recipient{to(t, "a@far.example", 0), to(t, "b@far.example", 0)}
	a.ask(t.Context(), x)
	for _, part := range x.out.split(x.item, x.said, time.Now()) {
		if results, ok := verdict(part); !ok || results[0].kind != queue.Deferred {
			t.Errorf("%v %+v", ok, results)
		}
	}
	if log.count("asking the tables") != 1 {
		t.Error(log)
	}
}

// TestOnlySoManyAreAskedAbout: with claimMax items waiting for tables no more are claimed,
// and again when half of them are gone.
func TestOnlySoManyAreAskedAbout(t *testing.T) {
	a := newAsking(func() *Outbound { return nil }, event.Discard)
	a.busy = askersMax // nobody begins
	ctx := context.Background()
	for range claimMax - askersMax {
		if a.isFull() {
			t.Fatal("it is full too soon")
		}
		a.add(ctx, &asked{})
	}
	if !a.isFull() {
		t.Fatal("there is no bound")
	}
	for n := claimMax; n > claimMax/2; n-- {
		if a.reopened() {
			t.Fatalf("it is open with %d", n)
		}
		a.waiting = a.waiting[1:]
	}
	if !a.reopened() || a.isFull() || a.reopened() {
		t.Error("it does not open again")
	}
}
