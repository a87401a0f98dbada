package deliver

import (
	"context"
	"sync"
	"time"

	"facteur/internal/flow/sign"
	"facteur/internal/flow/transport"
	"facteur/internal/net/program"
)

// remote is the mail for other machines and programs. A destination is a next hop, and
// finds its site; a line is what waits for a site, whatever the next hops; a tempo is
// the pace that the lines of one operator share; a worker takes the letters of a line,
// over one connection at a time.
//
//	add → destination → (name service) → line → worker → finder, smtpc
//	         │ suspended                  │ suspended
//	         └────────────► desk ◄────────┘    put off in bulk, without a connection
type remote struct {
	finder   finder
	outbound func() *Outbound
	schedule func() Schedule
	signer   *sign.Signer
	barred   func(ctx context.Context, account string) sign.Barred
	clerk    *clerk
	desk     *desk
	ctx      context.Context // ends when deliveries are to be broken off
	strays   program.Strays

	mu           sync.Mutex
	destinations map[way]*destination
	inquiries    inquiries
	lines        map[string]*line
	tempos       map[tempoKey]*tempo
	lifts        lifts
	crew         crew
	swept        time.Time
	relieved     time.Time

	wg      sync.WaitGroup
	closing chan struct{}
}

func newRemote(h House, c *clerk, done func(*attempt, int)) *remote {
	return &remote{
		finder: h.finder(), outbound: h.Outbound, schedule: c.schedule, signer: h.Signer, barred: h.Barred,
		clerk: c, desk: newDesk(c, done), ctx: context.Background(),
		destinations: make(map[way]*destination), lines: make(map[string]*line), tempos: make(map[tempoKey]*tempo),
		crew: crew{workers: make(map[*worker]struct{}), of: make(map[string]int)}, closing: make(chan struct{}),
	}
}

// start makes it ready. Deliveries are broken off when ctx ends.
func (m *remote) start(ctx context.Context) {
	m.ctx = ctx
	m.desk.start(ctx)
}

// close lets each worker end the attempt that it is at, and waits for that. What
// is in line goes back into the queue.
func (m *remote) close() {
	close(m.closing)
	m.wg.Wait()
	m.desk.close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.destinations {
		m.giveBack(d.waiting)
		d.waiting = nil
	}
	for _, l := range m.lines {
		m.giveBack(l.waiting.all())
	}
}

// giveBack ends attempts that were not made.
func (m *remote) giveBack(all []*attempt) {
	for _, a := range all {
		m.clerk.queue.Park(a.item)
		m.desk.done(a, len(a.item.Recipients))
	}
}

func (m *remote) closed() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

// add takes an attempt on its way.
func (m *remote) add(a *attempt) {
	c, out, now := a.choice, m.outbound(), time.Now()
	if known(c) {
		s, _, _ := m.finder.site(m.ctx, out, c)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.join(out, a, s, now)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	m.seek(out, a, c, now)
}

// known tells that the site of a choice is found without asking anybody.
func known(c transport.Choice) bool { return c.Transport.Kind == transport.Pipe || len(c.Relays) > 0 }

const (
	// sweepEvery is how often what nobody needs any more is forgotten, and rememberMax
	// how many places are remembered at the most between two such times.
	sweepEvery  = time.Minute
	rememberMax = 50_000
)

// sweep forgets what nobody needs.
func (m *remote) sweep(now time.Time) {
	full := len(m.destinations) >= rememberMax || len(m.lines) >= rememberMax
	if since := now.Sub(m.swept); since < time.Second || since < sweepEvery && !full {
		return
	}
	m.swept = now
	for w, d := range m.destinations {
		if d.idle() && (full && !now.Before(d.until) || d.forgettable(now, m.schedule().MaximalBackoff)) {
			delete(m.destinations, w)
		}
	}
	for key, l := range m.lines {
		if l.idle() && (full || l.forgettable(now, m.schedule().MaximalBackoff)) {
			delete(m.lines, key)
		}
	}
	for key, t := range m.tempos {
		if t.idle(now) {
			delete(m.tempos, key)
		}
	}
}
