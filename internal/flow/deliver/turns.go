package deliver

import (
	"facteur/internal/store/queue"
)

// turns is the order in which those go who wait for one place. Senders take turns, so
// that nobody waits for another's thousands; mail that is new and mail that has been
// tried before take turns, so that a backlog costs new mail one place in two at most.
// Before all that stands priority (RFC 6710): its head start counts against whoever's
// turn it would be. Each step costs the same, however many wait.
type turns struct {
	fresh, again ring
	// ranked are those with a priority of their own, in their order.
	ranked []*attempt
	// retried: the last was one that had been tried before.
	retried bool
}

// add puts an attempt in line.
func (t *turns) add(a *attempt) {
	switch {
	case a.item.Priority != 0:
		t.ranked = queue.Enqueue(t.ranked, a, (*attempt).turn)
	case a.isRetry():
		t.again.add(a)
	default:
		t.fresh.add(a)
	}
}

// len is how many wait.
func (t *turns) len() int { return t.fresh.n + t.again.n + len(t.ranked) }

// next takes out whose turn it is; nil when nobody waits.
func (t *turns) next() *attempt {
	r := &t.fresh
	if r.n == 0 || t.again.n > 0 && !t.retried {
		r = &t.again
	}
	if len(t.ranked) > 0 && (r.n == 0 || t.ranked[0].turn().Before(r.peek().turn())) {
		a := t.ranked[0]
		t.ranked[0] = nil
		t.ranked = t.ranked[1:]
		return a
	}
	if r.n == 0 {
		return nil
	}
	t.retried = r == &t.again
	return r.next()
}

// all takes everybody out.
func (t *turns) all() []*attempt {
	out := make([]*attempt, 0, t.len())
	for a := t.next(); a != nil; a = t.next() {
		out = append(out, a)
	}
	return out
}

// takeOut takes those out that leave tells; the others keep their turns.
func (t *turns) takeOut(leave func(*attempt) bool) (out []*attempt) {
	retried := t.retried
	for _, a := range t.all() {
		if leave(a) {
			out = append(out, a)
		} else {
			t.add(a)
		}
	}
	t.retried = retried
	return out
}

// ring is senders who take turns.
type ring struct {
	n     int // attempts
	by    map[string]*party
	first *party // whose turn it is
}

// party is a sender, and what waits of his, in a circle of such.
type party struct {
	name       string
	waiting    []*attempt
	prev, next *party
}

func (r *ring) add(a *attempt) {
	name := a.party()
	p := r.by[name]
	if p == nil {
		p = &party{name: name}
		if r.by == nil {
			r.by = make(map[string]*party)
		}
		r.by[name] = p
		r.join(p)
	}
	p.waiting = append(p.waiting, a)
	r.n++
}

// join seats a party as the last of the circle.
func (r *ring) join(p *party) {
	if r.first == nil {
		p.prev, p.next, r.first = p, p, p
		return
	}
	last := r.first.prev
	p.prev, p.next = last, r.first
	last.next, r.first.prev = p, p
}

func (r *ring) peek() *attempt { return r.first.waiting[0] }

func (r *ring) next() *attempt {
	p := r.first
	a := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	r.n--
	r.first = p.next
	if len(p.waiting) == 0 {
		r.leave(p)
	}
	return a
}

func (r *ring) leave(p *party) {
	delete(r.by, p.name)
	if p.next == p {
		r.first = nil
		return
	}
	p.prev.next, p.next.prev = p.next, p.prev
}
