package simulate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
	"facteur/internal/test/ledger"
	"facteur/internal/test/sim"
)

// FLT-014 to FLT-017, OUT-002, OUT-004 to OUT-006, OUT-015 to OUT-017, OUT-022, INV-03,
// INV-05, INV-24: five days among odd hosts. FACTEUR_SEEDS is how many runs, FACTEUR_SEED
// the first.
func TestFiveDays(t *testing.T) {
	first, runs := number("FACTEUR_SEED", 1), number("FACTEUR_SEEDS", 2)
	if testing.Short() {
		runs = 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("FACTEUR_SEED=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { live(t, uint64(seed)) })
		})
	}
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// life is one run.
type life struct {
	t       *testing.T
	random  *rand.Rand
	world   *world
	house   *house
	book    *ledger.Book
	hosts   []host
	byHand  []ledger.Copy
	perhaps []ledger.Copy        // deleted while they were tried
	urgent  map[string]time.Time // letters to the healthy host: when they were taken
	kills   []time.Time          // and other times in which nothing can leave
	deeds   map[string]int
	letters int
}

// deed is something that happens at a time.
type deed struct {
	at time.Duration
	do func(*life)
}

func live(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 5))
	internet, err := sim.NewInternet(seed)
	check(t, err)
	l := &life{t: t, random: random, book: ledger.NewBook(nil), hosts: hosts(), urgent: make(map[string]time.Time), deeds: make(map[string]int),
		world: &world{Internet: internet, start: time.Now(), random: random, fail: func(err error) { t.Error(err) }}}
	defer internet.Close()
	for _, h := range l.hosts {
		h.open(l.world, h.domain+".test")
	}
	l.house = open(t, room(t), internet, event.Discard)
	for _, d := range l.plan() {
		time.Sleep(time.Until(l.world.start.Add(d.at)))
		d.do(l)
	}
	l.drain()
	l.house.end()
	l.judge()
}

// plan is what happens in the first days; then all that is left comes to its end.
func (l *life) plan() (plan []deed) {
	add := func(n int, within time.Duration, do func(*life)) {
		for range n {
			plan = append(plan, deed{time.Duration(l.random.Int64N(int64(within))), do})
		}
	}
	add(150, day, (*life).write)
	add(60, 5*day, (*life).urge)
	add(80, 5*day, (*life).meddle)
	add(5+l.random.IntN(10), 5*day, (*life).crash)
	add(5, 5*day, (*life).crashAtWork)
	add(3, 2*day, (*life).outage)
	// The letters of the first day come back on the sixth: most notices wait then, and
	// have to outlive the process.
	plan = append(plan, deed{5 * day, (*life).full}, deed{5*day + 9*time.Hour, (*life).crashAtWork})
	slices.SortFunc(plan, func(a, b deed) int { return cmp.Compare(a.at, b.at) })
	return plan
}

// write posts a letter to one to four users of odd hosts.
func (l *life) write() {
	var to []ledger.Recipient
	for range 1 + l.random.IntN(4) {
		h := l.hosts[l.random.IntN(len(l.hosts))]
		users := slices.Sorted(maps.Keys(h.to))
		for _, u := range users[:1+l.random.IntN(len(users))] {
			r := ledger.Recipient{Address: u + "@" + h.domain + ".test", Want: h.to[u]}
			if !slices.Contains(to, r) {
				to = append(to, r)
			}
		}
	}
	if l.random.IntN(4) == 0 {
		to = append(to, ledger.Recipient{Address: alice, Want: ledger.Local})
	}
	l.post(to)
}

// urge posts a letter that nothing keeps from arriving at once.
func (l *life) urge() {
	l.urgent[l.post([]ledger.Recipient{{Address: "a@healthy.test", Want: ledger.Remote}})] = time.Now()
}

func (l *life) post(to []ledger.Recipient) (id string) {
	l.letters++
	letter := ledger.Letter{ID: fmt.Sprintf("s-%04d", l.letters), From: alice, Size: 500 + l.random.IntN(5000)}
	if l.random.IntN(20) == 0 {
		letter.Size = 200_000
	}
	l.book.Open(letter, to)
	if err := l.house.post(letter, to); err != nil {
		l.t.Fatal(err)
	}
	l.book.Close(letter.ID, to, ledger.Accepted)
	return letter.ID
}

// meddle is a person at the queue.
func (l *life) meddle() {
	ctx := context.Background()
	var waiting []*queue.Item
	check(l.t, l.house.queue.Select(ctx, queue.Filter{}, func(it *queue.Item) bool {
		waiting = append(waiting, it)
		return true
	}))
	if len(waiting) == 0 {
		return
	}
	it := waiting[l.random.IntN(len(waiting))]
	r := it.Recipients[l.random.IntN(len(it.Recipients))]
	one := queue.Filter{IDs: []queue.ID{it.ID}, Recipient: r.Address.String()}
	name, q := []string{"hold", "unhold", "delete", "retry", "expire", "requeue"}[l.random.IntN(6)], l.house.queue
	var n queue.Count
	var err error
	switch name {
	case "hold":
		n, err = q.Hold(ctx, one)
	case "unhold":
		n, err = q.Unhold(ctx, queue.Filter{})
	case "retry":
		n, err = q.Retry(ctx, queue.Filter{Domain: r.Address.Domain})
	case "expire":
		if l.want(r.Address.String()) != ledger.Bounced {
			return // it is to arrive
		}
		n, err = q.Expire(ctx, one)
	case "requeue":
		n, err = q.Requeue(ctx, one, func(_ context.Context, _ *queue.Item, r queue.Recipient) (queue.Recipient, error) { return r, nil })
	case "delete":
		if it.Sender.IsNull() {
			return // the ledger would miss a notice
		}
		id := l.letterOf(it)
		n, err = q.Delete(ctx, one)
		switch c := (ledger.Copy{ID: id, To: r.Address.String(), Place: ledger.Deleted, Where: "by hand"}); {
		case n.Busy > 0:
			l.perhaps = append(l.perhaps, c)
		case n.Recipients > 0:
			l.byHand = append(l.byHand, c)
		}
	}
	check(l.t, err)
	l.deeds[name] += n.Recipients
}

// want is what is to become of letters to an address.
func (l *life) want(address string) ledger.Place {
	for _, h := range l.hosts {
		if strings.HasSuffix(address, "@"+h.domain+".test") {
			return h.to[user(address)]
		}
	}
	return ledger.Local
}

// letterOf reads the id of a letter in the queue.
func (l *life) letterOf(it *queue.Item) string {
	body, err := l.house.queue.Body(context.Background(), it)
	check(l.t, err)
	r, err := body.Open()
	check(l.t, err)
	defer r.Close()
	head := make([]byte, 4096)
	n, _ := r.Read(head)
	return ledger.Taken(head[:n], "", "").ID
}

// crash kills the process at a quiet moment, and starts another after a while.
func (l *life) crash() {
	synctest.Wait()
	l.die()
}

// crashAtWork kills it while it is at everything that is due, and at new letters.
func (l *life) crashAtWork() {
	_, err := l.house.queue.Retry(context.Background(), queue.Filter{})
	check(l.t, err)
	for range 1 + l.random.IntN(8) {
		l.write()
	}
	for range l.random.IntN(200) {
		runtime.Gosched()
	}
	l.die()
}

func (l *life) die() {
	l.kills = append(l.kills, time.Now())
	dir := l.house.kill(l.world.Internet)
	time.Sleep(time.Duration(l.random.Int64N(int64(20 * time.Minute))))
	l.house = open(l.t, dir, l.world.Internet, event.Discard)
	l.kills = append(l.kills, time.Now())
}

// full is a disk without room for letters in mailboxes, until the process ends or for
// twelve hours: notices wait.
func (l *life) full() {
	disk := l.house.disk
	disk.full.Store(true)
	time.AfterFunc(12*time.Hour, func() { disk.full.Store(false) })
}

// outage is a link that is down for up to two hours.
func (l *life) outage() {
	l.kills = append(l.kills, time.Now())
	l.world.Fault() // answers get lost that were on their way
	l.world.Down(true)
	time.Sleep(time.Duration(l.random.Int64N(int64(2 * time.Hour))))
	l.world.Down(false)
	l.kills = append(l.kills, time.Now())
}

// drain waits until nothing is queued. What is held is released.
func (l *life) drain() {
	_, err := l.house.queue.Unhold(context.Background(), queue.Filter{})
	check(l.t, err)
	for range 12 * 24 {
		items, _, err := l.house.queue.Depth(context.Background())
		check(l.t, err)
		if items == 0 {
			return
		}
		time.Sleep(time.Hour)
	}
	l.house.queue.Select(context.Background(), queue.Filter{}, func(it *queue.Item) bool {
		l.t.Errorf("still queued: %s %+v", it.ID, it.Recipients)
		return true
	})
}

// judge balances the book.
func (l *life) judge() {
	var taken []sim.Transaction
	for _, s := range l.world.sinks {
		taken = append(taken, s.Taken()...)
	}
	slices.SortStableFunc(taken, func(a, b sim.Transaction) int { return a.Taken.Compare(b.Taken) })
	var copies []ledger.Copy
	for _, m := range taken {
		for _, to := range m.Recipients {
			c := ledger.Taken(m.Data, to, fmt.Sprintf("taken for %s at %s", to, m.Taken.Sub(l.world.start)))
			c.Unanswered = m.Unanswered
			copies = append(copies, c)
			l.prompt(c.ID, m.Taken)
		}
	}
	found, err := ledger.Maildir(l.house.mailbox(), alice)
	check(l.t, err)
	bounced := 0
	for _, c := range found {
		if c.Place == ledger.Bounced {
			bounced++
		}
	}
	copies = append(append(copies, found...), l.byHand...)
	for _, c := range l.perhaps {
		if !slices.ContainsFunc(copies, func(other ledger.Copy) bool { return other.ID == c.ID && other.To == c.To }) {
			copies = append(copies, c)
		}
	}
	for _, line := range l.book.Balance(copies, ledger.Options{}) {
		l.t.Error(line + l.said(line))
	}
	l.t.Logf("%d letters, %d copies elsewhere, %d bounced, %d deleted, %d kills, by hand: %v, %d delay notices, over after %v",
		l.letters, len(copies)-len(found)-len(l.byHand), bounced, len(l.byHand), len(l.kills)/2, l.deeds, l.delayNotices(), l.world.age())
}

// said is what the notices that a complaint names give as reasons.
func (l *life) said(complaint string) (all string) {
	for word := range strings.FieldsSeq(complaint) {
		text, err := os.ReadFile(strings.Trim(word, ","))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "Diagnostic-Code:") {
				all += "\n\t" + strings.TrimSpace(line)
			}
		}
	}
	return all
}

// prompt asks that an urgent letter left at once, whatever else was queued (INV-24),
// unless the process was killed then.
func (l *life) prompt(id string, taken time.Time) {
	posted, ok := l.urgent[id]
	if !ok || slices.ContainsFunc(l.kills, func(k time.Time) bool { return !k.Before(posted) && !k.After(taken) }) {
		return
	}
	delete(l.urgent, id)
	if late := taken.Sub(posted); late > time.Second {
		l.t.Errorf("INV-24: %s waited for %v", id, late)
	}
}

// delayNotices counts the notices of delay in the mailbox.
func (l *life) delayNotices() (n int) {
	files, _ := filepath.Glob(filepath.Join(l.house.mailbox(), "new", "*"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		check(l.t, err)
		if strings.Contains(string(text), "Action: delayed") {
			n++
		}
	}
	return n
}
