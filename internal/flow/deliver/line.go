package deliver

import (
	"math/rand/v2"
	"time"

	"facteur/internal/flow/bounce"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
)

// line is what waits for one site.
type line struct {
	site site
	pace transport.Pace // of the transport, with defaults
	suspension
	tempo   *tempo
	waiting turns
	workers int
	busy    int // workers that are at an attempt
	more    chan struct{}
	// hungry: it stands in a list of those that want a worker.
	hungry bool
}

// tempo is the pace that the lines of one operator share.
type tempo struct {
	pace
	limits transport.Pace
	// hungry are lines that have no worker because the others of the operator have
	// them all.
	hungry []*line
	// alarm is set while a timer runs for the end of a delay between messages.
	alarm bool
}

type tempoKey struct{ transport, operator string }

func (t *tempo) idle(now time.Time) bool {
	return len(t.hungry) == 0 && !t.alarm && t.pace.idle(t.limits, now)
}

// paceOf is how fast mail may go over a transport.
func (o *Outbound) paceOf(t *transport.Transport) transport.Pace {
	k := t.Pace
	if k.Concurrency == 0 {
		k.Concurrency = o.DestinationConcurrency
	}
	return k.WithDefaults()
}

// lineFor is the line for a site, which is as it was found last.
func (m *remote) lineFor(out *Outbound, s site) *line {
	l := m.lines[s.key()]
	if l == nil {
		l = &line{more: make(chan struct{}, 1)}
		m.lines[s.key()] = l
	}
	if l.site.transport != s.transport || l.workers == 0 {
		l.pace = out.paceOf(s.transport)
		if l.workers == 0 {
			l.tempo = m.tempoFor(s, l.pace)
		}
		l.tempo.limits = l.pace
	}
	l.site = s
	return l
}

func (m *remote) tempoFor(s site, k transport.Pace) *tempo {
	key := tempoKey{s.transport.Name, s.operator}
	t := m.tempos[key]
	if t == nil {
		t = &tempo{pace: newPace(k), limits: k}
		m.tempos[key] = t
	}
	return t
}

// join puts an attempt in line, and sees that somebody works on it.
func (m *remote) join(out *Outbound, a *attempt, s site, now time.Time) {
	if a.item.TLSOptional && !a.item.RequireTLS {
		s = s.relaxed()
	}
	if bounce.IsReport(a.item) {
		s = s.unreported()
	}
	l := m.lineFor(out, s)
	if m.isDead(&l.suspension, a, now) {
		m.desk.putOff(a, &l.suspension)
		return
	}
	a.choice.Transport = s.transport
	for _, part := range m.parts(a, l.pace.Recipients) {
		l.waiting.add(part)
	}
	l.call()
	m.staff(out, l, now)
}

// parts are attempts for as many recipients each as one transaction may have. The
// transport of an attempt may be known only now.
func (m *remote) parts(a *attempt, limit int) []*attempt {
	to := a.item.Recipients
	if len(to) <= limit {
		return []*attempt{a}
	}
	if a.round == nil {
		a.round = &round{clerk: m.clerk, ctx: m.ctx, item: a.item, open: len(to)}
	}
	var out []*attempt
	for ; len(to) > 0; to = to[min(limit, len(to)):] {
		part, item := *a, *a.item
		item.Recipients = to[:min(limit, len(to)):min(limit, len(to))]
		part.item = &item
		out = append(out, &part)
	}
	return out
}

// call wakes an idle worker of the line.
func (l *line) call() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// idle tells that nobody is in line or at work.
func (l *line) idle() bool { return l.waiting.len() == 0 && l.workers == 0 && !l.hungry }

// allowed is how many connections the line may have now, if nobody else has any.
func (l *line) allowed(now time.Time) int {
	if l.health(now) == onTrial {
		return 1
	}
	return l.tempo.allowed(l.pace, now)
}

// staff gives the line workers as long as more wait than workers are free, within the
// limits. A line without any that can't have one is remembered.
func (m *remote) staff(out *Outbound, l *line, now time.Time) {
	for l.waiting.len() > l.workers-l.busy && l.workers < l.allowed(now) && !m.closed() {
		switch {
		case l.tempo.wait(now) > 0:
			m.alarm(l.tempo, now)
			l.starve(&l.tempo.hungry)
			return
		case l.tempo.open >= l.tempo.allowed(l.pace, now):
			l.starve(&l.tempo.hungry)
			return
		case !m.crew.has(out, l, len(m.lines) > 1):
			if l.starve(&m.crew.hungry) {
				m.lookOut()
			}
			return
		}
		m.hire(l)
	}
}

// starve notes that the line has no worker and wants one; false when it has.
func (l *line) starve(list *[]*line) bool {
	if l.workers > 0 || l.hungry {
		return false
	}
	l.hungry = true
	*list = append(*list, l)
	return true
}

// feed gives workers to lines that wait for one, those of an operator first.
func (m *remote) feed(out *Outbound, t *tempo, now time.Time) {
	m.feedList(out, &t.hungry, now)
	m.feedList(out, &m.crew.hungry, now)
}

// feedList serves a list in its order, until one must wait further.
func (m *remote) feedList(out *Outbound, list *[]*line, now time.Time) {
	for n := len(*list); n > 0 && len(*list) > 0; n-- {
		l := (*list)[0]
		*list = (*list)[1:]
		l.hungry = false
		m.staff(out, l, now)
		if last := len(*list) - 1; l.hungry && last >= 0 && (*list)[last] == l {
			copy((*list)[1:], (*list)[:last]) // it keeps its turn
			(*list)[0] = l
			return
		}
	}
}

// alarm feeds the lines of a tempo when the time between messages is over.
func (m *remote) alarm(t *tempo, now time.Time) {
	if t.alarm {
		return
	}
	t.alarm = true
	time.AfterFunc(t.wait(now), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		t.alarm = false
		m.feedList(m.outbound(), &t.hungry, time.Now())
	})
}

// order is what a worker is to do next.
type order uint8

const (
	// rest: nobody is in line.
	rest order = iota
	// work on the attempt.
	work
	// wait, as the next message may begin only after a while.
	wait
	// goAway, as others need the place.
	goAway
)

// next tells a worker what to do.
func (m *remote) next(w *worker) (order, *attempt, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, now := w.line, time.Now()
	m.relieve(now)
	switch {
	case m.closed() || m.inTheWay(l, now):
		return goAway, nil, 0
	case l.waiting.len() == 0:
		return rest, nil, 0
	case l.tempo.wait(now) > 0:
		return wait, nil, l.tempo.wait(now)
	}
	a := l.waiting.next()
	l.busy++
	w.begun = now
	if l.waiting.len() > 0 {
		l.call() // another may be idle
	}
	return work, a, 0
}

// inTheWay tells that a worker of the line has to go: there are more than may be, or
// another line has none at all.
func (m *remote) inTheWay(l *line, now time.Time) bool {
	t := l.tempo
	allowed := t.allowed(l.pace, now)
	return t.open > allowed || l.workers > l.allowed(now) || t.open >= allowed && len(t.hungry) > 0 ||
		l.workers > 1 && len(m.crew.hungry) > 0
}

// rested notes that a worker has ended an attempt.
func (m *remote) rested(w *worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.line.busy--
	m.crew.rest(w)
	w.line.tempo.ended(w.line.pace, time.Now())
}

// crowded tells that others wait for a worker's place.
func (m *remote) crowded(l *line) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.crew.hungry) > 0 || len(l.tempo.hungry) > 0 || len(m.crew.workers) >= m.outbound().Concurrency
}

// putBack puts an attempt in line again, as if it had not been made.
func (m *remote) putBack(l *line, a *attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.waiting.add(a)
}

// leave ends a worker, unless there is work for it after all; its place goes to a line
// that has none.
func (m *remote) leave(w *worker) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, now, out := w.line, time.Now(), m.outbound()
	if l.waiting.len() > 0 && !m.closed() && !m.inTheWay(l, now) && l.tempo.wait(now) == 0 {
		return false
	}
	m.dismiss(w)
	if m.closed() {
		return true
	}
	m.feed(out, l.tempo, now)
	m.staff(out, l, now)
	if l.idle() && l.suspension == (suspension{}) {
		delete(m.lines, l.site.key())
	}
	return true
}

// talked notes that a host of the site talks to us.
func (m *remote) talked(l *line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.cohorts > 0 || l.times > 0 {
		l.succeeded()
		m.staff(m.outbound(), l, time.Now())
	}
}

// heard notes what the host found of our pace when it got a message.
func (m *remote) heard(l *line, h haste) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if h != fine {
		l.tempo.slowDown(l.pace, h, now)
		return
	}
	l.tempo.took(l.pace, now)
	if l.waiting.len() > 0 {
		m.staff(m.outbound(), l, now)
	}
}

// unreachable notes that no host of the site would talk to us. When that makes the
// site dead, those in line are put off with it, until the time that it tells. The
// attempt may go back in line instead if only our number was too large.
func (m *remote) unreachable(l *line, reply *smtp.Reply, text string, hasty bool) (until time.Time, again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if hasty {
		l.tempo.slowDown(l.pace, tooFast, now)
		if l.workers > 1 {
			return time.Time{}, true
		}
	} else {
		l.tempo.pace.failed()
	}
	if l.suspension.failed(l.pace.FailedCohort, int(l.tempo.window), m.schedule(), now, rand.Float64(), reply, text) {
		for _, a := range l.waiting.all() {
			m.desk.putOff(a, &l.suspension)
		}
	}
	return l.until, false
}
