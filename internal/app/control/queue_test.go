package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// steps keeps the steps that it hears of.
type steps struct {
	mu   sync.Mutex
	list []event.Step
}

// Emit implements event.Sink.
func (s *steps) Emit(e event.Event) {
	if x, ok := e.(event.Stepper); ok {
		s.mu.Lock()
		s.list = append(s.list, x.Step())
		s.mu.Unlock()
	}
}

// letter queues a message that is not tried before tomorrow.
func letter(t *testing.T, q *queue.Queue, from string, to ...string) string {
	t.Helper()
	spool := q.Spool()
	fmt.Fprintf(spool, "Subject: x\r\n\r\nhello\r\n")
	it := &queue.Item{ID: q.NextID(), Release: time.Now().Add(24 * time.Hour)}
	if from != "" {
		it.Sender = mustAddress(t, from)
	}
	for _, text := range to {
		a := mustAddress(t, text)
		it.Recipients = append(it.Recipients, queue.Recipient{Address: a, Original: a, Route: "smtp:" + a.Domain})
	}
	must(t, q.Commit(t.Context(), queue.Draft{Item: it, Spool: spool}))
	return it.ID.String()
}

// letters queues many at once.
func letters(t *testing.T, q *queue.Queue, n int) {
	var hands sync.WaitGroup
	for range 50 {
		hands.Go(func() {
			for range n / 50 {
				letter(t, q, "a@example.org", "b@example.net")
			}
		})
	}
	hands.Wait()
}

func mustAddress(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text)
	must(t, err)
	return a
}

// Orders go by both ways to the office, and each is a step of a journey that names who
// gave it (INV-25: what is deleted has come to its end).
func TestOrders(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"stopped", "running"} {
		t.Run(way, func(t *testing.T) {
			cfg := settings(t)
			var stores *Stores
			if way == "running" {
				stores = running(t, cfg)
			}
			o := office(t, cfg)
			if stores == nil {
				stores = o.(*Stores)
			}
			heard := &steps{}
			stores.events = heard
			testOrders(t, o, stores.queue, heard)
		})
	}
}

func testOrders(t *testing.T, o Office, q *queue.Queue, heard *steps) {
	first := letter(t, q, "alice@example.org", "bob@a.example", "carol@b.example")
	second := letter(t, q, "", "dave@a.example")
	by := newCaller(os.Getuid()).sentence()
	for _, c := range []struct {
		order Order
		want  string // IDs, and how many recipients
		kind  event.Kind
		shelf string // of the first then
	}{
		{Order{Hold, Selection{From: "alice@example.org", Domain: "b.example"}}, first + " 1", event.Held, "incoming"},
		{Order{Hold, Selection{Shelf: "incoming", From: "@example.org"}}, first + " 1", event.Held, "hold"},
		{Order{Hold, Selection{From: "alice@example.org"}}, " 0", "", "hold"},
		{Order{Release, Selection{IDs: []string{first, second}}}, first + " 2", event.Released, "incoming"},
		{Order{Retry, Selection{}}, " 0", "", "incoming"},
		{Order{Requeue, Selection{IDs: []string{first}}}, first + " 2", event.Requeued, "incoming"},
		{Order{Expire, Selection{To: "bob@a.example"}}, first + " 1", event.Expired, "incoming"},
		{Order{Delete, Selection{From: "<>"}}, second + " 1", event.Discarded, "incoming"},
		{Order{Delete, Selection{}}, first + " 2", event.Discarded, ""},
	} {
		heard.list = nil
		var got Progress
		must(t, o.Change(t.Context(), c.order, func(p Progress) error {
			got.Add(p.Count)
			got.IDs = append(got.IDs, p.IDs...)
			return nil
		}))
		if s := fmt.Sprint(strings.Join(got.IDs, ","), " ", got.Recipients); s != c.want {
			t.Errorf("%+v: %s, want %s", c.order, s, c.want)
		}
		if c.kind != "" && (len(heard.list) != 1 || heard.list[0].Kind != c.kind || !strings.HasPrefix(heard.list[0].Sentence, by+" ") ||
			len(heard.list[0].Recipients) != got.Recipients) {
			t.Errorf("%+v: heard %+v", c.order, heard.list)
		}
		if e, err := o.Entry(t.Context(), ItemID{first}); c.shelf != "" && e.Shelf != c.shelf || c.shelf == "" && err == nil {
			t.Errorf("%+v: on %q, %v", c.order, e.Shelf, err)
		}
	}
}

func TestSelectionsThatAreNone(t *testing.T) {
	t.Parallel()
	o := office(t, settings(t))
	for want, s := range map[string]Selection{
		`"mail" is none of the queues; active, incoming, deferred, hold are`: {Shelf: "mail"},
		`"x" is not a queue ID (hexadecimal digits are expected)`:            {IDs: []string{"x"}},
		fmt.Sprintf("%d queue IDs at once; %d at most", MaxIDs+1, MaxIDs):    {IDs: slices.Repeat([]string{"A"}, MaxIDs+1)},
		`from: "a b" is neither an address nor a domain with @ before it`:    {From: "a b"},
		`to: "x y" is not a domain`:                                          {To: "@x y"},
		`".a b" is not a domain`:                                             {Domain: ".a b"},
	} {
		if _, err := o.CountQueue(t.Context(), s); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
		if err := o.Change(t.Context(), Order{Delete, s}, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", s, err, want)
		}
	}
	if err := o.Change(t.Context(), Order{Action: "burn"}, nil); err == nil || err.Error() != `"burn" is nothing that can be done to the queue` {
		t.Error(err)
	}
}

// Who stops listening in the middle of an order has its rest not done; what was done is
// whole.
func TestOrderIsBrokenOff(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	stores := running(t, cfg)
	o := office(t, cfg)
	const items = 4 * progressStep
	letters(t, stores.queue, items)
	enough := errors.New("enough")
	told := 0
	err := o.Change(t.Context(), Order{Action: Delete}, func(p Progress) error { told += p.Items; return enough })
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	n, err := o.CountQueue(t.Context(), Selection{})
	must(t, err)
	if told == 0 || told+n.Items > items {
		t.Errorf("told of %d, %d are left of %d", told, n.Items, items)
	}
	if n.Items != n.Recipients {
		t.Errorf("%d items with %d recipients", n.Items, n.Recipients)
	}
}

// A listing that nobody reads on holds nothing up, and ends with the server.
func TestUnreadListing(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	claim, err := NewClaim(t.Context(), cfg.DataDir)
	must(t, err)
	stores, closeStores, err := openStores(cfg)
	must(t, err)
	server, err := Serve(cfg.DataDir, stores, event.Discard)
	must(t, err)
	letters(t, stores.queue, 3000)
	begun, gone := make(chan struct{}), make(chan struct{})
	go func() {
		o, done, err := Open(t.Context(), cfg)
		if err == nil {
			defer done()
			o.Queue(t.Context(), Selection{}, func(Entry) error { close(begun); <-gone; return errors.New("gone") })
		}
	}()
	<-begun
	o, done, err := Open(t.Context(), cfg)
	must(t, err)
	must(t, o.Change(t.Context(), Order{Action: Delete}, func(Progress) error { return nil }))
	if n, err := o.CountQueue(t.Context(), Selection{}); err != nil || n.Items != 0 {
		t.Error(n, err)
	}
	must(t, done())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := server.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(gone)
	must(t, errors.Join(closeStores(), claim.Release()))
}

func TestShape(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	stores := running(t, cfg)
	o := office(t, cfg)
	letter(t, stores.queue, "alice@Example.ORG", "bob@a.example", "carol@A.example", "dave@b.example")
	letter(t, stores.queue, "", "dave@b.example")
	shape := func(s Shape) map[string]string {
		got := make(map[string]string)
		must(t, o.Shape(t.Context(), s, func(r Row) error { got[r.Domain] = fmt.Sprint(r.Counts); return nil }))
		return got
	}
	for _, c := range []struct {
		shape Shape
		want  map[string]string
	}{
		{Shape{Ages: []int64{300, 600}}, map[string]string{"a.example": "[2 0 0]", "b.example": "[2 0 0]"}},
		{Shape{Ages: []int64{0}, Senders: true}, map[string]string{"example.org": "[0 1]", NobodyDomain: "[0 1]"}},
		{Shape{Shelves: []string{"deferred", "hold"}}, map[string]string{}},
		{Shape{Shelves: []string{"incoming"}}, map[string]string{"a.example": "[2]", "b.example": "[2]"}},
	} {
		if got := shape(c.shape); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%+v: %v, want %v", c.shape, got, c.want)
		}
	}
	if err := o.Shape(t.Context(), Shape{Shelves: []string{"mail"}}, nil); err == nil {
		t.Error("there is no such shelf")
	}
}

// What waits is tried again when somebody asks for it, and for nothing else.
func TestRetry(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	stores := running(t, cfg)
	o := office(t, cfg)
	testQueue(t, o, stores.queue)
	claimed, _, err := stores.queue.Claim(t.Context(), time.Now(), 10, queue.Except{})
	must(t, err)
	for _, it := range claimed {
		_, err := stores.queue.Settle(t.Context(), queue.Settlement{Item: it.ID, Outcomes: []queue.Outcome{{N: 1, Due: it.Arrived.AddDate(1, 0, 0), Reply: "451 later"}}})
		must(t, err)
	}
	for _, c := range []struct {
		domain string
		want   int
	}{{"elsewhere.example", 0}, {"emote.example", 0}, {".EXAMPLE", 3}, {"remote.example", 0}} {
		var n Count
		err := o.Change(t.Context(), Order{Retry, Selection{Domain: c.domain}}, func(p Progress) error { n.Add(p.Count); return nil })
		if err != nil || n.Recipients != c.want {
			t.Errorf("%s: %d, %v", c.domain, n.Recipients, err)
		}
	}
}

// What is requeued onto another way takes the sender and the trace of that way, and leaves
// those of the old one.
func TestRequeueFindsWhoAnswers(t *testing.T) {
	t.Parallel()
	o := office(t, settings(t))
	s := o.(*Stores)
	id := letter(t, s.queue, "x@sender.example", "list@example.org", "away@example.org", "plain@far.example")
	requeued := func() string {
		t.Helper()
		must(t, o.Change(t.Context(), Order{Requeue, Selection{IDs: []string{id}}}, func(Progress) error { return nil }))
		var out []string
		must(t, s.queue.Select(t.Context(), queue.Filter{}, func(it *queue.Item) bool {
			for _, r := range it.Recipients {
				sender := "-"
				if r.Sender != nil {
					sender = r.Sender.String()
				}
				out = append(out, fmt.Sprint(r.Route, " from ", r.Forwarder, " sender ", sender, " ", r.Owned))
			}
			return true
		}))
		return strings.Join(out, "\n")
	}
	must(t, o.AddAlias(t.Context(), NewAlias{Address: "list@example.org", Targets: []string{"carol@far.example"}, Owner: "owner@example.org"}))
	must(t, o.AddAlias(t.Context(), NewAlias{Address: "away@example.org", Targets: []string{"dave@far.example"}}))
	if got, want := requeued(), "smtp:far.example from list@example.org sender owner@example.org true\n"+
		"smtp:far.example from away@example.org sender - false\nsmtp:far.example from  sender - false"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, name := range []string{"list@example.org", "away@example.org"} {
		must(t, o.RemoveAlias(t.Context(), AliasName{name}))
		must(t, s.directory.AddAccount(t.Context(), mustAddress(t, name), "secret secret", 0))
	}
	if got, want := requeued(), "mailbox:list@example.org from  sender - false\nmailbox:away@example.org from  sender - false\nsmtp:far.example from  sender - false"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A name without a domain is asked about as a session of our own users takes it; root and
// postmaster stay the machine's.
func TestBareNamesAreOfTheOrigin(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Addresses.Origin = "far.example"
	o := office(t, cfg)
	s := o.(*Stores)
	must(t, s.directory.AddAccount(t.Context(), mustAddress(t, "postmaster@example.org"), "secret secret", 0))
	for name, want := range map[string]string{"bob": "smtp:far.example", "root": "mailbox:postmaster@example.org", "Postmaster": "mailbox:postmaster@example.org"} {
		a, err := o.Address(t.Context(), AddressQuestion{Address: name})
		must(t, err)
		if len(a.Destinations) != 1 || a.Destinations[0].Route != want {
			t.Errorf("%s: %+v, want %s", name, a, want)
		}
	}
}

// What is requeued stays where it is if the address that the peer gave leads to others,
// too: those have their own.
func TestRequeueKeepsApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	table := filepath.Join(dir, "aliases")
	must(t, os.WriteFile(table, []byte("list: \"|/bin/cat\", /var/list, list, bob\n"), 0o600))
	cfg, err := config.Parse(filepath.Join(dir, "facteur.toml"), fmt.Appendf(nil,
		"hostname = 'mx.example.org'\ndata_dir = 'data'\n[[domain]]\nname = 'example.org'\nclass = 'local'\n[addresses]\nalias_maps = 'hash:%s'\nallow_commands = ['alias']\nallow_files = ['alias']\n", table))
	must(t, err)
	o := office(t, cfg)
	s := o.(*Stores)
	for _, name := range []string{"alice@example.org", "bob@example.org", "list@example.org"} {
		must(t, s.directory.AddAccount(t.Context(), mustAddress(t, name), "secret secret", 0))
	}
	for name, c := range map[string]struct {
		original, address, route string
		passed                   []string
		want                     string // "": as it is
	}{
		"sent on by alice":            {"alice@example.org", "bob@far.example", "smtp:far.example", []string{"alice@example.org"}, ""},
		"alice's command":             {"alice@example.org", "alice@example.org", "program:alice@example.org:/bin/cat", []string{"alice@example.org"}, ""},
		"alice's own copy":            {"alice@example.org", "alice@example.org", `mailbox:\alice@example.org`, nil, ""},
		"alice":                       {"alice@example.org", "alice@example.org", "smtp:example.org", nil, "mailbox:alice@example.org"},
		"the command of a list":       {"list@example.org", "list@example.org", "program::/bin/cat", nil, ""},
		"its file":                    {"list@example.org", "list@example.org", "file::/var/list", nil, ""},
		"its mailbox":                 {"list@example.org", "list@example.org", "mailbox:list@example.org", nil, ""},
		"its mailbox, once elsewhere": {"list@example.org", "list@example.org", "smtp:example.org", nil, "mailbox:list@example.org"},
		"its member":                  {"list@example.org", "bob@example.org", "smtp:example.org", nil, "mailbox:bob@example.org"},
		"the word that it was many":   {"list@example.org", "list@example.org", "expanded:", nil, ""},
		"the same of who is one now":  {"alice@example.org", "alice@example.org", "expanded:", nil, ""},
		"a command of who is one now": {"alice@example.org", "alice@example.org", "program::/bin/cat", nil, ""},
	} {
		r := queue.Recipient{Original: mustAddress(t, c.original), Address: mustAddress(t, c.address), Route: c.route, Passed: c.passed}
		want := r
		if c.want != "" {
			want.Route = c.want
		}
		got, err := s.reroute(t.Context(), &queue.Item{Sender: mustAddress(t, "x@sender.example")}, r)
		if must(t, err); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s %s, want %s %s", name, got.Address, got.Route, want.Address, want.Route)
		}
	}
}
