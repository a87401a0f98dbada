package deliver

import (
	"context"
	"slices"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
	"facteur/internal/store/queue"
)

// worker takes the attempts of a line in their turn, and keeps its connection for the
// next as long as that may be.
type worker struct {
	remote    *remote
	line      *line
	transport string
	// begun is when the attempt began that it is at; zero when it rests. slow: it has
	// been at it for so long that it does not count (see crew). Both are remote.mu's.
	begun time.Time
	slow  bool

	conn  *smtpc.Conn
	since time.Time
	// settling is how many messages the desk settles for it, and settled tells of each
	// that it is done with.
	settling int
	settled  chan struct{}
}

// work serves the line until there is nothing more to do.
func (w *worker) work(ctx context.Context) {
	defer w.hangUp(ctx)
	for {
		what, a, d := w.remote.next(w)
		switch {
		case what == work:
			w.try(ctx, a)
			w.remote.rested(w)
			continue
		case what == wait && d <= w.remote.outbound().IdleTime && w.pause(d):
			continue
		case what == rest && w.idle():
			continue
		}
		w.hangUp(ctx)
		if w.remote.leave(w) {
			return
		}
	}
}

// pause waits; false when everything ends meanwhile.
func (w *worker) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.remote.closing:
		return false
	}
}

// idle keeps the connection for a moment in the hope of more; true when there is.
func (w *worker) idle() bool {
	if w.conn == nil || !w.conn.Usable() || w.remote.crowded(w.line) {
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
	if !begin(w.remote.clerk.queue, a, w.remote.desk.done) {
		return
	}
	if err := guard(func() { w.attempt(ctx, a) }); err != nil {
		w.remote.clerk.events.Emit(Trouble{ID: a.item.ID, What: "delivering", Err: err})
		if w.conn != nil {
			w.conn.Close()
		}
		w.remote.desk.conclude(a, a.crashed())
	}
}

func (w *worker) attempt(ctx context.Context, a *attempt) {
	a.begun = time.Now()
	if late := w.remote.clerk.overdue(a, a.begun); late != nil {
		w.remote.conclude(ctx, a, late)
		return
	}
	if a.choice.Transport.Kind == transport.Pipe {
		w.pipe(ctx, a)
		return
	}
	if reply, text := w.connect(ctx, a, w.remote.siteNow(w.line)); reply != nil {
		w.refused(ctx, a, reply, text)
		return
	}
	w.remote.talked(w.line)
	a.connected = time.Now()
	results, err := w.sendAround(ctx, a)
	if err != nil {
		w.remote.conclude(ctx, a, a.unreadable(err))
		return
	}
	if answered(results) {
		w.remote.heard(w.line, hasteOf(results))
	}
	w.conclude(ctx, a, results)
}

// conclude settles what was handed over while the connection goes on with the next: the
// messages of many workers share a transaction, and no connection waits for the disk. The
// one after the next begins when this is settled, so that a crash finds two messages of
// each connection at the most that are there and not noted. What did not go well is
// settled at once: it may want a notice, and says how to go on.
func (w *worker) conclude(ctx context.Context, a *attempt, results []result) {
	if !handedOver(a, results) {
		w.remote.conclude(ctx, a, results)
		return
	}
	w.remote.desk.add(conclusion{attempt: a, results: results, settled: w.settled})
	if w.settling++; w.settling == settlingAhead {
		<-w.settled
		w.settling--
	}
}

// settlingAhead is at how many unsettled messages a worker waits for the first of them.
const settlingAhead = 2

// handedOver tells that a host has taken the message for all, and nobody is to hear of it.
func handedOver(a *attempt, results []result) bool {
	return !a.item.By.Trace && !slices.ContainsFunc(results, func(r result) bool {
		return r.kind != queue.Delivered || r.recipient.Notify != 0
	})
}

// refused is for an attempt that got no connection.
func (w *worker) refused(ctx context.Context, a *attempt, reply *smtp.Reply, text string) {
	results := a.all(reply, text)
	// A host that is not good enough for this message may be for the others; and when
	// our time is over, it is not the host that gave up.
	if reply.Temporary() && ctx.Err() == nil && needOf(a.item) == (need{}) {
		until, again := w.remote.unreachable(w.line, reply, text, saysTooFast(text))
		if again && a.putBack < putBackMax {
			a.putBack++
			w.remote.putBack(w.line, a)
			return
		}
		notBefore(results, until)
	}
	w.remote.conclude(ctx, a, results)
}

// putBackMax is how many times an attempt may go back in line because the host found that
// we have too many connections.
const putBackMax = 5

// conclude settles an attempt. Where that can't be done in this process, it gives false:
// the leases stay, and a restart tries again.
func (m *remote) conclude(ctx context.Context, a *attempt, results []result) bool {
	if err := m.clerk.conclude(ctx, a, results); err != nil {
		return false
	}
	m.desk.done(a, len(a.item.Recipients))
	return true
}

// connect sees to a connection that takes another message: the one that there is, or one
// to a host of a site. A reply is why there is none.
func (w *worker) connect(ctx context.Context, a *attempt, s site) (*smtp.Reply, string) {
	out, needed := w.remote.outbound(), needOf(a.item)
	if w.conn != nil && needed.metBy(w.conn) && w.conn.Usable() && w.conn.Messages() < out.ReuseCount && time.Since(w.since) < out.ReuseTime {
		return nil, ""
	}
	w.hangUp(ctx)
	conn, reply, text := w.remote.finder.connect(ctx, out, s, needed)
	w.conn, w.since = conn, time.Now()
	return reply, text
}

// siteNow is the site of a line as it was found last.
func (m *remote) siteNow(l *line) site {
	m.mu.Lock()
	defer m.mu.Unlock()
	return l.site
}
