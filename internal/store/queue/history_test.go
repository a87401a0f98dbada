package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A history is what a model says of a queue that random hands work on, and a person
// gives orders to (OUT-022). The model knows each recipient's row, and who has it.
type history struct {
	t    *testing.T
	dir  string
	q    *Queue
	r    *rand.Rand
	now  time.Time
	rows map[lease]*modelRow
	out  []*Item // claimed, and not given back
	log  []string
}

type modelRow struct {
	state     State
	route     string
	due       int64
	attempts  int
	expired   bool
	leased    bool
	overruled bool
	removed   bool
}

// TestHistories: whatever is done in whatever order, each recipient is in exactly one
// state, nobody is handed out twice, nothing that is due is forgotten, and what was
// deleted or held is not begun. FACTEUR_SEED repeats one.
func TestHistories(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv("FACTEUR_SEED"), 10, 64); err == nil {
		runHistory(t, seed, 400)
		return
	}
	for range 8 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("OUT-022 seed ", seed), func(t *testing.T) {
			t.Parallel()
			runHistory(t, seed, 200)
		})
	}
}

func runHistory(t *testing.T, seed uint64, steps int) {
	h := &history{t: t, dir: t.TempDir(), r: rand.New(rand.NewPCG(seed, 1)), now: time.Now(), rows: map[lease]*modelRow{}}
	h.q = openTest(t, h.dir)
	for range steps {
		h.step()
		if t.Failed() {
			t.Fatalf("seed %d:\n%v", seed, h.log[max(0, len(h.log)-25):])
		}
	}
	h.drain()
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...)+"\n")
}

func (h *history) step() {
	h.now = h.now.Add(time.Duration(h.r.IntN(1000)) * time.Second)
	switch n := h.r.IntN(100); {
	case n < 20:
		h.commit()
	case n < 45:
		h.claim(1+h.r.IntN(6), h.except())
	case n < 65:
		h.settle()
	case n < 73:
		h.giveBack()
	case n < 78:
		h.still()
	case n < 95:
		h.order()
	case n < 97:
		h.restart()
	default:
		h.drain()
	}
	h.check()
}

var modelRoutes = []string{"smtp:a.example", "smtp:b.example", "smtp:c.example", "mailbox:x@example.org"}

func (h *history) except() (e Except) {
	if h.r.IntN(4) == 0 {
		e.Kind = "smtp:"
	}
	for _, route := range modelRoutes {
		if h.r.IntN(3) == 0 {
			e.Routes = append(e.Routes, route)
		}
	}
	return e
}

func (h *history) commit() {
	to := []string{"a", "b", "c"}[:1+h.r.IntN(3)]
	d := draft(h.q, 1+h.r.IntN(2)*inlineMax, to...)
	for i := range d.Item.Recipients {
		r := &d.Item.Recipients[i]
		r.Route = modelRoutes[h.r.IntN(len(modelRoutes))]
		if h.r.IntN(8) == 0 {
			r.State = Held
		}
	}
	it := commit(h.t, h.q, d)
	for _, r := range it.Recipients {
		h.rows[lease{it.ID, r.N}] = &modelRow{state: r.State, route: r.Route, due: r.Due.UnixMicro()}
	}
	h.note("commit %v %d", it.ID, len(it.Recipients))
}

func (h *history) claim(limit int, e Except) (n int, next time.Time) {
	items, next, err := h.q.Claim(ctx, h.now, limit, e)
	ids := map[ID]bool{}
	for _, it := range items {
		ids[it.ID] = true
	}
	if err != nil || len(ids) > limit {
		h.t.Errorf("%d claimed, %v", len(ids), err)
	}
	for _, it := range items {
		h.out = append(h.out, it)
		for _, r := range it.Recipients {
			m := h.rows[lease{it.ID, r.N}]
			h.note("claim %v/%d", it.ID, r.N)
			if m == nil || m.leased || m.state != Queued || m.due > h.now.UnixMicro() || m.route != r.Route || m.attempts != r.Attempts || m.expired != it.Expired {
				h.t.Errorf("claimed %v/%d: %+v, %+v", it.ID, r.N, r, m)
				continue
			}
			m.leased, m.overruled = true, false // what was at hand in memory went back first
		}
	}
	return len(items), next
}

// take takes an item out of the hands.
func (h *history) take() *Item {
	if len(h.out) == 0 {
		return nil
	}
	i := h.r.IntN(len(h.out))
	it := h.out[i]
	h.out = slices.Delete(h.out, i, i+1)
	return it
}

// free ends a lease in the model.
func (h *history) free(l lease) {
	m := h.rows[l]
	m.leased, m.overruled = false, false
	if m.removed {
		delete(h.rows, l)
	}
}

func (h *history) settle() {
	it := h.take()
	if it == nil {
		return
	}
	s := Settlement{Item: it.ID}
	staged := Settlement{Item: it.ID}
	for _, r := range it.Recipients {
		o := Outcome{N: r.N, Result: Result(h.r.IntN(4)), Due: h.now.Add(time.Duration(h.r.IntN(4000)-500) * time.Second)}
		if h.r.IntN(3) == 0 {
			staged.Outcomes = append(staged.Outcomes, Outcome{N: r.N, Result: Staged})
		}
		s.Outcomes = append(s.Outcomes, o)
		h.note("settle %v/%d %v", it.ID, r.N, o.Result)
	}
	if len(staged.Outcomes) > 0 {
		settled(h.t, h.q, staged)
	}
	settled(h.t, h.q, s)
	for _, o := range s.Outcomes {
		l := lease{it.ID, o.N}
		m := h.rows[l]
		switch {
		case o.terminal():
			delete(h.rows, l)
			continue
		case m.overruled:
		case o.Result == Undeliverable:
			m.state, m.attempts = Held, m.attempts+1
		default:
			m.state, m.attempts, m.due = Queued, m.attempts+1, o.Due.UnixMicro()
		}
		h.free(l)
	}
}

func (h *history) giveBack() {
	it := h.take()
	if it == nil {
		return
	}
	h.note("back %v", it.ID)
	all := it.Recipients
	if h.r.IntN(2) == 0 {
		h.q.Park(it)
		h.q.Look() // else the next Claim need not see it
	} else {
		h.q.Release(it)
	}
	for _, r := range all {
		h.free(lease{it.ID, r.N})
	}
}

func (h *history) still() {
	it := h.take()
	if it == nil {
		return
	}
	all := it.Recipients
	it.Recipients = h.q.Still(it)
	for _, r := range all {
		l := lease{it.ID, r.N}
		left := slices.ContainsFunc(it.Recipients, func(x Recipient) bool { return x.N == r.N })
		if left == h.rows[l].overruled {
			h.t.Errorf("%v/%d begins: %v, and is overruled: %v", it.ID, r.N, left, h.rows[l].overruled)
		}
		if !left {
			h.free(l)
		}
	}
	if len(it.Recipients) > 0 {
		h.out = append(h.out, it)
	}
}

// order gives an order about one item, or one route's recipients.
func (h *history) order() {
	var f Filter
	if ids := h.ids(); len(ids) > 0 && h.r.IntN(4) > 0 {
		f.IDs = []ID{ids[h.r.IntN(len(ids))]}
	} else if h.r.IntN(2) == 0 {
		f.Recipient = []string{"a", "b", "c"}[h.r.IntN(3)] + "@example.com"
	}
	type change func(*modelRow) bool
	now := h.now.UnixMicro()
	kinds := []struct {
		name      string
		overrules bool
		do        func(context.Context, Filter, ...Told) (Count, error)
		change    change
	}{
		{"hold", true, h.q.Hold, func(m *modelRow) bool { ok := m.state == Queued; m.state = Held; return ok }},
		{"release", true, h.q.Unhold, func(m *modelRow) bool { ok := m.state == Held; m.state, m.due = Queued, 0; return ok }},
		{"delete", true, h.q.Delete, func(m *modelRow) bool { m.removed = true; return true }},
		{"retry", false, h.q.Retry, func(m *modelRow) bool {
			ok := m.state == Queued && m.attempts > 0 && m.due > now
			m.due = 0
			return ok
		}},
		{"expire", true, h.q.Expire, func(m *modelRow) bool {
			ok := (m.state == Queued || m.state == Held) && !m.expired
			if m.state == Queued {
				m.due = 0
			}
			m.expired = true
			return ok
		}},
		{"requeue", false, func(ctx context.Context, f Filter, _ ...Told) (Count, error) {
			return h.q.Requeue(ctx, f, func(_ context.Context, _ *Item, r Recipient) (Recipient, error) {
				r.Route = modelRoutes[0]
				return r, nil
			})
		}, func(m *modelRow) bool {
			m.state, m.attempts, m.route, m.expired, m.due = Queued, 0, modelRoutes[0], false, 0
			return true
		}},
	}
	k := kinds[h.r.IntN(len(kinds))]
	if k.name == "retry" {
		h.now = time.Now() // what is due is told by the real clock
		now = h.now.UnixMicro()
	}
	// What is at hand in memory has a lease as well, and this comes before the order.
	before := h.q.leasedNow()
	n, err := k.do(ctx, f)
	want := 0
	for l, m := range h.rows {
		if len(f.IDs) > 0 && f.IDs[0] != l.item || f.Recipient != "" && f.Recipient != string(rune('a'+l.n-1))+"@example.com" {
			continue
		}
		busy := before[l]
		if m.removed || busy && !k.overrules {
			continue
		}
		to := *m
		if !k.change(&to) {
			continue
		}
		if want++; to.due == 0 {
			to.due = h.due(l)
		}
		*m = to
		if m.overruled = busy; m.removed && !busy {
			delete(h.rows, l)
		}
	}
	h.note("%s %+v: %+v", k.name, f, n)
	if err != nil || n.Recipients != want {
		h.t.Errorf("%s %+v: %+v, %v; want %d", k.name, f, n, err, want)
	}
}

func (q *Queue) leasedNow() map[lease]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := map[lease]bool{}
	for l := range q.leased {
		all[l] = true
	}
	return all
}

func (h *history) ids() (ids []ID) {
	for l := range h.rows {
		ids = append(ids, l.item)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// due is when a row is due that an order of this moment has made so.
func (h *history) due(l lease) (due int64) {
	h.q.db.Reader().QueryRow("SELECT due FROM recipient WHERE item = ? AND n = ?", int64(l.item), l.n).Scan(&due)
	if h.now.Before(time.UnixMicro(due)) {
		h.now = time.UnixMicro(due)
	}
	return due
}

// restart ends the process, and all leases.
func (h *history) restart() {
	h.note("restart")
	h.q.Close()
	h.q = openTest(h.t, h.dir)
	h.out = nil
	for l := range h.rows {
		h.free(l)
	}
}

// drain claims until there is nothing more, and nothing that is due may be left.
func (h *history) drain() {
	for h.resting(); ; {
		h.q.Look()
		if n, next := h.claim(3, Except{}); n == 0 && next.After(h.now) {
			break
		}
	}
	for l, m := range h.rows {
		if !m.leased && !m.removed && m.state == Queued && m.due <= h.now.UnixMicro() {
			h.t.Errorf("%v/%d is due and forgotten: %+v", l.item, l.n, *m)
		}
	}
}

// resting waits for what goes on in the background.
func (h *history) resting() {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h.q.mu.Lock()
		busy := len(h.q.fresh.shelving) + len(h.q.removed)
		for l := range h.q.leased {
			if m := h.rows[l]; m == nil || !m.leased && !slices.ContainsFunc(h.q.fresh.items, func(it *Item) bool { return it.ID == l.item }) {
				busy++
			}
		}
		h.q.mu.Unlock()
		if busy == 0 {
			return
		}
	}
	h.t.Error("the background does not rest")
}

// check compares the rows with the model.
func (h *history) check() {
	h.resting()
	seen := map[lease]bool{}
	if err := h.q.List(ctx, func(it *Item) bool {
		for _, r := range it.Recipients {
			l := lease{it.ID, r.N}
			seen[l] = true
			m := h.rows[l]
			if m == nil || m.removed || m.state != r.State || m.due != r.Due.UnixMicro() || m.attempts != r.Attempts || m.route != r.Route || m.expired != r.Expired {
				h.t.Errorf("%v/%d is %+v, should be %+v", it.ID, r.N, r, m)
			}
		}
		return true
	}); err != nil {
		h.t.Error(err)
	}
	for l, m := range h.rows {
		if !m.removed && !seen[l] {
			h.t.Errorf("%v/%d is lost: %+v", l.item, l.n, *m)
		}
	}
}
