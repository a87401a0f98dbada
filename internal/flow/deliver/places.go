package deliver

import (
	"cmp"
	"slices"
	"sync"

	"facteur/internal/flow/route"
	"facteur/internal/store/queue"
)

// activeMax is how many recipients of a kind are under way or waiting in memory for
// their turn (Postfix's qmgr_message_active_limit). The others wait in the database.
const activeMax = 20_000

// places counts who is under way, so that no backlog keeps out other mail: letters
// for here and for elsewhere have places of their own, and one destination gets at
// most a quarter of what is free of the first half of them. The other half is for
// destinations that have next to none: hundreds of slow ones leave places for others.
// Of those of one destination, a sender who has next to none gets some beyond its share,
// and the last quarter of all is not for mail that has been tried before.
type places struct {
	mu     sync.Mutex
	used   map[route.Kind]int // by where it goes: here or elsewhere
	of     map[string]int     // by route
	sender map[seat]int
	closed map[string]bool // routes that were refused a place
	full   map[route.Kind]bool
	// look is called when there is room again for what was refused; opened: so it is
	// since except was asked last.
	look   func()
	opened bool
}

// seat is a sender's at a destination.
type seat struct{ route, party string }

func newPlaces(look func()) *places {
	return &places{used: make(map[route.Kind]int), of: make(map[string]int), sender: make(map[seat]int),
		closed: make(map[string]bool), full: make(map[route.Kind]bool), look: look}
}

// take gives an attempt places for its recipients, or refuses. Whoever has none at
// all under way is not refused for being many.
func (p *places) take(a *attempt) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, kind, key := len(a.item.Recipients), kindOf(a), routeOf(a)
	switch {
	case p.used[kind] > 0 && p.used[kind]+n > mostPlaces(a, kind):
		p.full[kind] = true
		if kind.Prefix() != a.hop.Kind.Prefix() {
			p.closed[key] = true // the kind is not enough to leave it out by
		}
		return false
	case kind == route.Remote && p.of[key] > 0 && p.of[key]+n > p.share() && !p.guest(a, n):
		p.closed[key] = true
		return false
	}
	p.add(a, n)
	return true
}

// kindOf is whose places an attempt takes. What is for a mailbox of ours may go elsewhere
// all the same.
func kindOf(a *attempt) route.Kind {
	if a.here() {
		return route.Mailbox
	}
	return route.Remote
}

// mostPlaces is how many there are for an attempt like this.
func mostPlaces(a *attempt, kind route.Kind) int {
	if kind == route.Remote && a.isRetry() {
		return activeMax * 3 / 4
	}
	return activeMax
}

// guest tells that the sender has so little under way to the destination that it may have
// some more than its share for him.
func (p *places) guest(a *attempt, n int) bool {
	return p.sender[seatOf(a)]+n <= shareMin && p.of[routeOf(a)]+n <= 2*p.share()+shareMin
}

// seat gives places without asking.
func (p *places) seat(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(a, len(a.item.Recipients))
}

// share is the most places that one destination elsewhere may have now.
func (p *places) share() int { return max((activeMax/2-p.used[route.Remote])/4, shareMin) }

// shareMin is enough for a destination to keep its connections busy.
const shareMin = 20

func (p *places) add(a *attempt, n int) {
	kind := kindOf(a)
	p.used[kind] += n
	if kind != route.Remote {
		return
	}
	p.of[routeOf(a)] += n
	s := seatOf(a)
	if p.sender[s] += n; p.sender[s] == 0 {
		delete(p.sender, s)
	}
}

func routeOf(a *attempt) string { return cmp.Or(a.route, a.item.Recipients[0].Route) }

func seatOf(a *attempt) seat { return seat{routeOf(a), a.party()} }

// give takes back n places of an attempt.
func (p *places) give(a *attempt, n int) {
	p.mu.Lock()
	p.add(a, -n)
	kind, key := kindOf(a), routeOf(a)
	again := false
	if p.full[kind] && p.used[kind] <= activeMax*5/8 {
		delete(p.full, kind)
		again = true
	}
	if p.closed[key] && p.of[key] <= p.share()/2 {
		delete(p.closed, key)
		again = true
	}
	if p.of[key] == 0 {
		delete(p.of, key)
		if p.closed[key] {
			delete(p.closed, key)
			again = true
		}
	}
	p.opened = p.opened || again
	p.mu.Unlock()
	if again {
		p.look()
	}
}

// except is what the queue need not hand out now; none tells that there is no
// place at all. Where there is room again, the queue is told to look once more: it may
// have looked for the last time before, and have left out what it need not any more.
func (p *places) except() (e queue.Except, none bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		p.opened = false
		defer p.look()
	}
	for kind := range p.full {
		e.Kind = kind.Prefix()
	}
	for key := range p.closed {
		e.Routes = append(e.Routes, key)
	}
	slices.Sort(e.Routes)
	return e, len(p.full) == 2
}
