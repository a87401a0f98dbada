package deliver

import (
	"context"
	"slices"
	"sync"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
	"facteur/internal/store/queue"
)

// remote hands letters to other hosts. Each destination has a line of attempts
// and some workers; a worker keeps its connection for the next letter in line.
type remote struct {
	finder   finder
	outbound func() *Outbound
	clerk    *clerk
	done     func(a *attempt, n int)

	mu      sync.Mutex
	lines   map[string]*line
	workers int
	wg      sync.WaitGroup
	closing chan struct{}
}

// line is what waits for one destination.
type line struct {
	key     string
	waiting []*attempt
	workers int
	busy    int // workers that are at an attempt
	more    chan struct{}
}

func newRemote(h House, c *clerk, done func(*attempt, int)) *remote {
	return &remote{
		finder: h.finder(), outbound: h.Outbound,
		clerk: c, done: done, lines: make(map[string]*line), closing: make(chan struct{}),
	}
}

// close lets each worker end the attempt that it is at, and waits for that. What
// is in line stays in the queue.
func (m *remote) close() {
	close(m.closing)
	m.wg.Wait()
}

func (m *remote) closed() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

// add puts an attempt in line and sees that somebody works on it.
func (m *remote) add(ctx context.Context, a *attempt) {
	out := m.outbound()
	key := out.Ways.Choose(mailOf(a)).Transport.Name + " " + a.hop.Name
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lines[key]
	if l == nil {
		l = &line{key: key, more: make(chan struct{}, 1)}
		m.lines[key] = l
	}
	l.waiting = queue.Enqueue(l.waiting, a, (*attempt).turn)
	l.call()
	m.staff(ctx, l, out)
}

// call wakes an idle worker of the line.
func (l *line) call() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// staff starts a worker where more wait than workers are free, within the limits.
// The last half of all places is for lines without any worker: a few destinations
// that answer slowly do not hold up all others.
func (m *remote) staff(ctx context.Context, l *line, out *Outbound) {
	limit := out.Concurrency
	if l.workers > 0 {
		limit = (limit + 1) / 2
	}
	if len(l.waiting) > l.workers-l.busy && l.workers < out.DestinationConcurrency && m.workers < limit {
		l.workers++
		m.workers++
		m.wg.Go(func() { m.work(ctx, l) })
	}
}

// next takes the first attempt in line; nil when there is none.
func (m *remote) next(l *line) *attempt {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(l.waiting) == 0 || m.closed() {
		return nil
	}
	a := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.busy++
	if len(l.waiting) > 0 {
		l.call() // another may be idle
	}
	return a
}

// rested notes that a worker has ended an attempt.
func (m *remote) rested(l *line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.busy--
}

// crowded tells that others wait for a worker's place.
func (m *remote) crowded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers >= m.outbound().Concurrency
}

// leave ends a worker, unless there is work after all; its place goes to a line
// that has none.
func (m *remote) leave(ctx context.Context, l *line) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(l.waiting) > 0 && !m.closed() {
		return false
	}
	l.workers--
	m.workers--
	if l.workers == 0 && len(l.waiting) == 0 {
		delete(m.lines, l.key)
	}
	m.restaff(ctx)
	return true
}

// restaff gives free places to lines that wait.
func (m *remote) restaff(ctx context.Context) {
	if m.closed() {
		return
	}
	out := m.outbound()
	for _, l := range m.lines {
		if m.workers >= out.Concurrency {
			return
		}
		m.staff(ctx, l, out)
	}
}

// work serves one line over one connection at a time.
func (m *remote) work(ctx context.Context, l *line) {
	w := &worker{remote: m, line: l}
	defer w.hangUp(ctx)
	for {
		a := m.next(l)
		if a == nil {
			if w.idle() {
				continue
			}
			w.hangUp(ctx)
			if m.leave(ctx, l) {
				return
			}
			continue
		}
		w.try(ctx, a)
		m.rested(l)
	}
}

// worker is one connection's owner.
type worker struct {
	remote *remote
	line   *line
	conn   *smtpc.Conn
	since  time.Time
}

// idle keeps the connection for a moment in the hope of more; true when there is.
func (w *worker) idle() bool {
	if w.conn == nil || !w.conn.Usable() || w.remote.crowded() {
		return false
	}
	select {
	case <-w.line.more:
		return true
	case <-time.After(w.remote.outbound().IdleTime):
	case <-w.remote.closing:
	}
	return false
}

func (w *worker) hangUp(ctx context.Context) {
	if w.conn != nil {
		w.conn.Quit(ctx)
		w.conn = nil
	}
}

// try makes one attempt and settles it, whatever happens.
func (w *worker) try(ctx context.Context, a *attempt) {
	if err := guard(func() { w.attempt(ctx, a) }); err != nil {
		w.remote.clerk.events.Emit(Trouble{ID: a.item.ID, What: "delivering", Err: err})
		if w.conn != nil {
			w.conn.Close()
		}
		w.remote.conclude(ctx, a, a.all(ours("internal error"), "internal error; see the log"))
	}
}

func (w *worker) attempt(ctx context.Context, a *attempt) {
	m := w.remote
	a.begun = time.Now()
	if late := a.overdue(a.begun); late != nil {
		m.conclude(ctx, a, late)
		return
	}
	if reply, text := w.connect(ctx, a); reply != nil {
		m.conclude(ctx, a, a.all(reply, text))
		// A host that is not good enough for this message may be for the others; and
		// when our time is over, it is not the host that gave up.
		if reply.Temporary() && ctx.Err() == nil && needOf(a.item) == (need{}) {
			m.deferLine(ctx, w.line, reply, text)
		}
		return
	}
	a.connected = time.Now()
	results, err := w.send(ctx, a)
	if err != nil {
		m.conclude(ctx, a, a.all(ours("message can't be read"), err.Error()))
		return
	}
	m.conclude(ctx, a, results)
}

func (m *remote) conclude(ctx context.Context, a *attempt, results []result) {
	if err := m.clerk.conclude(ctx, a, results); err != nil {
		return // the leases stay; a restart tries again
	}
	m.done(a, len(results))
}

// deferLine spares the others in line a knock at a door that nobody opens.
func (m *remote) deferLine(ctx context.Context, l *line, reply *smtp.Reply, text string) {
	m.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	m.mu.Unlock()
	for batch := range slices.Chunk(waiting, deferMax) {
		m.deferAll(ctx, batch, reply, text)
	}
}

// deferMax is how many are deferred in one transaction.
const deferMax = 200

func (m *remote) deferAll(ctx context.Context, batch []*attempt, reply *smtp.Reply, text string) {
	now := time.Now()
	concluded := make([]conclusion, len(batch))
	for i, a := range batch {
		a.begun = now
		concluded[i] = conclusion{attempt: a, results: a.all(reply, text)}
	}
	if err := m.clerk.concludeAll(ctx, concluded); err != nil {
		return
	}
	for _, a := range batch {
		m.done(a, len(a.item.Recipients))
	}
}

// connect sees to a connection that takes another message; a reply is why there
// is none.
func (w *worker) connect(ctx context.Context, a *attempt) (*smtp.Reply, string) {
	out, needed := w.remote.outbound(), needOf(a.item)
	if w.conn != nil && needed.metBy(w.conn) && w.conn.Usable() && w.conn.Messages() < out.ReuseCount && time.Since(w.since) < out.ReuseTime {
		return nil, ""
	}
	w.hangUp(ctx)
	s, reply, text := w.remote.finder.site(ctx, out, out.Ways.Choose(mailOf(a)))
	if reply != nil {
		return reply, text
	}
	conn, reply, text := w.remote.finder.connect(ctx, out, s, needed)
	w.conn, w.since = conn, time.Now()
	return reply, text
}

func mailOf(a *attempt) transport.Mail {
	r := a.item.Recipients[0]
	return transport.Mail{ID: int64(a.item.ID), Sender: a.item.Sender, Recipient: r.Address, Domain: a.hop.Name, Attempts: r.Attempts}
}

// send hands the message over in one transaction. The error is about our own copy of
// it, and nobody got the message.
func (w *worker) send(ctx context.Context, a *attempt) ([]result, error) {
	if reply, text := w.connect(ctx, a); reply != nil {
		return a.all(reply, text), nil
	}
	body, err := w.remote.clerk.queue.Body(ctx, a.item)
	if err != nil {
		return nil, err
	}
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	env, err := w.conn.Fit(envelope(a.item, time.Now()), r)
	if err != nil {
		return nil, err
	}
	sent := w.conn.Send(ctx, env, r)
	if sent.Stale {
		// The peer gave up a connection that we had kept: that says nothing about
		// this message. The same attempt goes on over a new one.
		w.conn.Close()
		return w.send(ctx, a)
	}
	return w.results(sent, a.item.Recipients), nil
}

func envelope(it *queue.Item, now time.Time) smtpc.Envelope {
	e := smtpc.Envelope{Sender: it.Sender, Size: it.Size, Body8Bit: it.Body8Bit, UTF8: it.UTF8, Binary: it.Binary,
		Ret: it.Ret, EnvelopeID: it.EnvelopeID, Priority: it.Priority, RequireTLS: it.RequireTLS,
		Recipients: make([]smtp.Rcpt, len(it.Recipients))}
	if !it.By.At.IsZero() {
		e.By = smtp.DeliverBy{Given: true, Within: it.By.At.Sub(now), Return: it.By.Return, Trace: it.By.Trace}
	}
	for i, r := range it.Recipients {
		e.Recipients[i] = smtp.Rcpt{To: r.Address, Notify: r.Notify, Original: r.ORcpt}
	}
	return e
}

// results are the replies as outcomes, in the words of Postfix's log.
func (w *worker) results(sent smtpc.Results, to []queue.Recipient) []result {
	out := make([]result, len(to))
	for i, r := range sent.Recipients {
		out[i] = result{recipient: to[i], kind: queue.Deferred, reply: r.Reply, relay: w.conn.Peer(), host: w.conn.Host(), text: said(w.conn.Peer(), r),
			passedOn: w.conn.Extensions().DSN}
		switch {
		case r.Delivered():
			out[i].kind = queue.Delivered
		case r.Reply.Permanent():
			out[i].kind = queue.Failed
		}
		if r.Err != nil {
			out[i].host = "" // our words, not theirs
		}
	}
	return out
}
