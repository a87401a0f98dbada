package brake

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/store/brake"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a brake with all that stands around it.
type house struct {
	*Gate
	t     testing.TB
	state *db.DB
	rules *Rules
	known map[string]bool
	cut   chan string
	dir   string
}

const alice, bob = "alice@example.org", "bob@example.org"

func hourly(limit int, v Verdict) Quota {
	return Quota{Name: "hourly", Track: Account, Match: []string{"."}, Count: brake.Recipients, Period: time.Hour, Limit: limit, Verdict: v}
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, dir: t.TempDir(), known: map[string]bool{}, cut: make(chan string, 10)}
	h.rules = &Rules{Level: 8, First: 100, FirstDomains: 50, SameText: 100, Networks: 8, HeldMost: 100_000, Cut: true, SuspendApps: true,
		Hostname: "mail.example.org", Home: "example.org", Quotas: []Quota{hourly(1000, Brake)}}
	var err error
	h.state, err = db.Open(filepath.Join(h.dir, "facteur.db"), directory.Migrations(), brake.Tables())
	must(t, err)
	t.Cleanup(func() { h.state.Close() })
	d := directory.New(h.state, []string{"example.org"}, h.dir, 0)
	for _, name := range []string{"alice", "postmaster"} {
		must(t, d.AddHashed(context.Background(), address.Address{Local: name, Domain: "example.org"}, "{PLAIN}secret", 0))
	}
	q, err := queue.Open(h.dir)
	must(t, err)
	t.Cleanup(func() { q.Close() })
	router := route.New(d, "mail.example.org", func() string { return "example.org" })
	h.open(q, &Post{Router: router, Queue: q, Outbox: sign.NewOutbox(q, nil)})
	return h
}

// open makes the Gate, as after a start.
func (h *house) open(q *queue.Queue, p *Post) {
	kept, err := brake.Open(context.Background(), h.state, event.Discard)
	must(h.t, err)
	h.Gate = New(House{Rules: func() *Rules { return h.rules }, Kept: kept, Queue: q, Events: event.Discard, Post: p,
		Knows: func(_ context.Context, _ string, a address.Address) bool { return h.known[a.Key()] },
		Expel: func(_ context.Context, account string) { h.cut <- account }})
}

// restart is a crash and a start: what was not written is gone.
func (h *house) restart() { h.open(h.Queue, h.Post) }

func addresses(n, from int) (list []address.Address) {
	for i := range n {
		list = append(list, address.Address{Local: fmt.Sprint("u", from+i), Domain: fmt.Sprintf("d%d.example", (from+i)%60)})
	}
	return list
}

// send hands over a letter to some, as the desk does.
func (h *house) send(who Who, to []address.Address) Decision {
	h.t.Helper()
	ctx := context.Background()
	if later := h.Early(who, len(to)); later != "" {
		return Decision{Later: later}
	}
	id := h.Queue.NextID()
	d := h.Ask(ctx, Letter{Who: who, ID: id, Recipients: to, Count: len(to), Text: [16]byte{1}})
	if d.Later != "" {
		return d
	}
	it := &queue.Item{ID: id, Arrived: time.Now(), Sender: address.Address{Local: "x", Domain: "example.org"}, Origin: queue.Origin{Account: who.Name}}
	for _, a := range to {
		r := queue.Recipient{Address: a, Original: a, Route: "smtp:" + a.Domain}
		if d.Hold != "" {
			r.State, r.LastReply = queue.Held, d.Hold
		}
		it.Recipients = append(it.Recipients, r)
	}
	spool := h.Queue.Spool()
	_, err := spool.Write([]byte("Subject: x\r\n\r\nx\r\n"))
	must(h.t, err)
	must(h.t, h.Queue.Commit(ctx, queue.Draft{Item: it, Spool: spool}))
	return d
}

// count counts recipients in the queue by state; letters of the house are apart.
func (h *house) count() (queued, held, own int) {
	must(h.t, h.Queue.List(context.Background(), func(it *queue.Item) bool {
		for _, r := range it.Recipients {
			switch {
			case it.Origin.Local:
				own++
			case r.State == queue.Held:
				held++
			default:
				queued++
			}
		}
		return true
	}))
	return queued, held, own
}

func from(account, ip string) Who {
	return Who{Name: account, Addr: netip.MustParseAddr(ip), Host: "unknown"}
}

// TestAStolenAccount: ABU-016. 50,000 recipients from several sessions at once: no more than
// the limit leaves, all else is held, people are told once, sessions are cut once, others
// send as ever; and what is released goes once, though a crash comes in between.
func TestAStolenAccount(t *testing.T) {
	h := newHouse(t)
	letters, each := 1000, 50
	if testing.Short() {
		letters, each = 100, 20
	}
	h.rules.Quotas = []Quota{hourly(500, Brake)}
	var sessions sync.WaitGroup
	for s := range 4 {
		sessions.Go(func() {
			for i := range letters / 4 {
				if d := h.send(from(alice, "192.0.2.1"), addresses(each, (s*letters/4+i)*each)); d.Later != "" {
					t.Errorf("ABU-016: the thief notices: %s", d.Later)
				}
			}
		})
	}
	sessions.Wait()
	queued, held, own := h.count()
	if queued > 500 || queued+held != letters*each || own != 2 {
		t.Fatalf("ABU-016: %d went, %d are held, %d letters tell of it", queued, held, own)
	}
	if got := <-h.cut; got != alice || len(h.cut) != 0 {
		t.Errorf("ABU-016: sessions cut: %s, and %d times more", got, len(h.cut))
	}
	if d := h.send(from(bob, "192.0.2.9"), addresses(3, 0)); d != (Decision{}) || h.Braked(bob) || !h.SuspendsApps("Alice@Example.org") {
		t.Errorf("ABU-016: bob: %v", d)
	}
	h.restart()
	if d := h.send(from(alice, "192.0.2.1"), addresses(1, 0)); d.Hold == "" {
		t.Error("ABU-016: a restart lifts the brake")
	}
	h.tell(context.Background())

	// A crash in the middle of the release: the intent is durable, some letters are gone.
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	h.Gate.Events = sink(func(e event.Event) {
		if _, is := e.(Handled); is {
			if n++; n == letters/10 {
				cancel()
			}
		}
	})
	if _, err := h.Release(ctx, alice, "root"); !errors.Is(err, context.Canceled) {
		t.Fatalf("ABU-016: the release was not torn: %v", err)
	}
	_, left, _ := h.count()
	if left == 0 || left == held+1 {
		t.Fatalf("ABU-016: %d are held still", left)
	}
	h.restart()
	released := 0
	h.Gate.Events = sink(func(e event.Event) {
		if d, is := e.(Handled); is {
			released += len(d.to)
		}
	})
	h.letAll(context.Background())
	queued, still, own := h.count()
	if still != 0 || released != left || queued != letters*each+1+3 || own != 2 || h.Braked(alice) {
		t.Errorf("ABU-016: after the crash %d of %d are released, %d held, %d queued, %d told", released, left, still, queued, own)
	}
}

type sink func(event.Event)

func (s sink) Emit(e event.Event) { s(e) }

// TestSigns: ABU-016. No sign alone brakes, nor do those that an honest circular has; signs
// of different kinds do.
func TestSigns(t *testing.T) {
	tests := []struct {
		name     string
		networks int
		unknown  int
		known    bool
		letters  int
		braked   bool
	}{
		{"ABU-016 a circular to new people", 1, 0, false, 30, false},
		{"ABU-016 a circular to old friends from everywhere", 20, 0, true, 30, false},
		{"ABU-016 new people, from everywhere", 20, 0, false, 30, true},
		{"ABU-016 on the way, to a few new people", 3, 0, false, 2, false},
		{"ABU-016 a bought list: one in three does not exist", 1, 50, false, 30, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			if tt.known {
				h.Knows = nil
			}
			for i := range tt.letters {
				if i == tt.letters-1 {
					for range tt.unknown {
						h.Failed(alice, true)
					}
				}
				h.send(from(alice, fmt.Sprintf("198.51.%d.7", i%tt.networks)), addresses(5, 5*i))
			}
			if a, _ := h.Kept.Account(alice); a.Braked() != tt.braked {
				t.Errorf("braked %v, want %v: %s %q", a.Braked(), tt.braked, a.Why, a.Signs)
			}
		})
	}
}

// TestTestOnly: signs are told of, and brake nobody.
func TestTestOnly(t *testing.T) {
	h := newHouse(t)
	h.rules.TestOnly = true
	told := 0
	h.Gate.Events = sink(func(e event.Event) {
		if s, is := e.(Stopped); is && s.Test {
			told++
		}
	})
	for i := range 30 {
		h.send(from(alice, fmt.Sprintf("198.51.%d.7", i)), addresses(5, 5*i))
	}
	if _, held, own := h.count(); h.Braked(alice) || held != 0 || own != 0 || told == 0 {
		t.Errorf("%d held, %d told", held, told)
	}
}

// TestQuotaRules: the row of policyd (cluebringer): what is tracked, for whom, and what happens
// beyond.
func TestQuotaRules(t *testing.T) {
	h := newHouse(t)
	h.rules.Quotas = []Quota{
		{Name: "all of a domain", Track: Domain, Match: []string{"@school.example"}, Count: brake.Recipients, Period: time.Hour, Limit: 5, Verdict: Hold},
		{Name: "one", Track: Account, Match: []string{bob}, Count: brake.First, Period: 24 * time.Hour, Limit: 3, Verdict: Defer, Text: "tomorrow"},
		hourly(10, Brake),
	}
	state := func(d Decision) string {
		switch {
		case d.Later != "":
			return d.Later
		case d.Hold != "":
			return "held"
		}
		return "pass"
	}
	steps := []struct {
		who  string
		n    int
		want string
	}{
		{"a@school.example", 3, "pass"}, {"b@school.example", 3, "held"}, {"a@school.example", 3, "held"}, {"b@school.example", 3, reply("")},
		{bob, 2, "pass"}, {bob, 2, "tomorrow"}, {bob, 1, "pass"},
		{"carol@example.net", 10, "pass"}, {"carol@example.net", 1, "held"},
		{"uid:1000", 11, "held"},
	}
	for i, s := range steps {
		if got := state(h.send(from(s.who, "192.0.2.1"), addresses(s.n, 100*i))); got != s.want {
			t.Errorf("step %d, %s: %s, want %s", i, s.who, got, s.want)
		}
	}
	if h.Braked("b@school.example") || !h.Braked("carol@example.net") || !h.Braked("uid:1000") {
		t.Error("the wrong ones are braked")
	}
}

// TestOwnLimits: an account has limits of its own, over a restart.
func TestOwnLimits(t *testing.T) {
	h := newHouse(t)
	h.rules.Quotas = []Quota{hourly(3, Defer)}
	five, none := 5, 0
	must(t, h.SetLimits(context.Background(), "ALICE@example.org", &five, nil))
	h.restart()
	if d := h.send(from(alice, "192.0.2.1"), addresses(5, 0)); d != (Decision{}) {
		t.Errorf("%v", d)
	}
	must(t, h.SetLimits(context.Background(), alice, &none, &none))
	if d := h.send(from(alice, "192.0.2.1"), addresses(1, 9)); d.Later == "" || len(h.Kept.Accounts()) != 0 {
		t.Errorf("%v", d)
	}
}

// TestHeldMost: what is beyond what may be held is told to come later, and not counted.
func TestHeldMost(t *testing.T) {
	h := newHouse(t)
	h.rules.Quotas, h.rules.HeldMost = []Quota{hourly(1, Brake)}, 4
	for i, want := range []bool{false, true, true} {
		if d := h.send(from(alice, "192.0.2.1"), addresses(2, 0)); (d.Later != "") != (want && i == 2) {
			t.Errorf("letter %d: %v", i, d)
		}
	}
	done, err := h.Delete(context.Background(), alice, "root")
	if must(t, err); done.Letters != 2 || done.Recipients != 4 || !h.Braked(alice) {
		t.Errorf("%+v", done)
	}
	must(t, h.Forgive(context.Background(), alice, "root"))
	if _, err := h.Release(context.Background(), alice, "root"); !errors.Is(err, ErrNotBraked) {
		t.Errorf("%v", err)
	}
}

// TestLifted: whom the brake is lifted from begins anew. His next letter goes out, whatever he
// sent before, and after a restart, too.
func TestLifted(t *testing.T) {
	ctx := context.Background()
	for _, order := range []func(*house) error{
		func(h *house) error { _, err := h.Release(ctx, alice, "root"); return err },
		func(h *house) error { return h.Forgive(ctx, alice, "root") },
	} {
		h := newHouse(t)
		h.rules.Quotas = []Quota{hourly(5, Brake), {Name: "all", Track: Domain, Match: []string{"."}, Count: brake.Recipients, Period: time.Hour, Limit: 8, Verdict: Brake}}
		h.send(from(bob, "192.0.2.9"), addresses(2, 0))
		for range 2 {
			h.send(from(alice, "192.0.2.1"), addresses(3, 0))
		}
		if !h.Braked(alice) {
			t.Fatal("6 of 5")
		}
		must(t, order(h))
		h.restart()
		if d := h.send(from(alice, "192.0.2.1"), addresses(5, 0)); d != (Decision{}) || h.Braked(alice) {
			t.Errorf("the next letter: %v", d)
		}
		if n := h.Kept.Within("@example.org", time.Hour); n[brake.Recipients] != 7 {
			t.Errorf("the domain has %v", n)
		}
		if h.send(from(alice, "192.0.2.1"), addresses(1, 0)); !h.Braked(alice) {
			t.Error("the limits hold no more")
		}
	}
}

// TestWhatIsHeldOtherwiseStays: a letter that an admin holds, or of which another host says what
// the brake says, is not the brake's.
func TestWhatIsHeldOtherwiseStays(t *testing.T) {
	if isHeld(queue.Recipient{State: queue.Held, LastReply: "host said: 450 " + Reason(alice)}, alice) ||
		isHeld(queue.Recipient{State: queue.Held, LastReply: Reason("malice@example.org")}, alice) ||
		!isHeld(queue.Recipient{State: queue.Held, LastReply: Reason(alice) + " x"}, alice) {
		t.Error("whose letters are held")
	}
}

func TestCountries(t *testing.T) {
	c, err := ReadCountries(strings.NewReader("# here\n192.0.2.0/24 fr\n192.0.2.128/25,BE\n\n2001:db8::/32 de # there\n"))
	must(t, err)
	for ip, want := range map[string]string{"192.0.2.1": "FR", "192.0.2.200": "BE", "::ffff:192.0.2.1": "FR", "2001:db8::1": "DE", "198.51.100.1": ""} {
		if got := c.Of(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
	for _, bad := range []string{"192.0.2.0 FR", "192.0.2.0/24 France", "192.0.2.0/24", "x FR"} {
		if _, err := ReadCountries(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	r := &Rules{}
	for host, want := range map[string]string{"p5.dip.t-ipconnect.de": "DE", "x.comcast.net": "", "unknown": "", "h.service.io": ""} {
		if got := r.countryOf(netip.MustParseAddr("192.0.2.1"), host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func FuzzCountries(f *testing.F) {
	f.Add("192.0.2.0/24 FR\n")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ReadCountries(strings.NewReader(s)); err == nil {
			c.Of(netip.MustParseAddr("192.0.2.1"))
		}
	})
}
