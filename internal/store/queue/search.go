package queue

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
)

// How a search goes on
//
// What is due and was never tried stands in one line, what was tried in another, each
// by age. A search goes along both from where the last one stopped: before that stands
// only what is leased, and what belongs to routes that were passed because they were
// left out. Those routes are remembered, and once they are no longer left out, what is
// due of them is found by the route, oldest first, some of each in turn. So a million
// recipients of one slow destination are passed once, a part of them with each Claim,
// and are then in nobody's way.
const (
	// walkMax is how many rows of a line one Claim reads, and of a route beyond those
	// that are leased.
	walkMax = 2000
	// turnsMax is how many routes have their turn in one Claim.
	turnsMax = 32
	// passedMax is how many routes are remembered. Beyond it all lines are begun anew.
	passedMax = 10_000
	// renewal is how often they are begun anew in any case, and how often it is looked
	// for what waits for a time that the clock has lost.
	renewal = 10 * time.Minute
)

// spot is a place in a line; the zero spot is before all.
type spot struct {
	due  int64
	item ID
	n    int
}

// line names one: what was tried or what was not, and the kind of routes left out. A
// kind that is left out is passed without a note of its routes, so each has its own.
type line struct {
	tried bool
	kind  string
}

// searches is what is kept from one search to the next, guarded by Queue.mu; a search
// has Queue.searching, too.
type searches struct {
	at map[line]spot
	// routes were passed, in the order of their turns; turn counts up, so that what is
	// noted while a search reads is not forgotten in its end.
	routes map[string]uint64
	turns  uint64
	// earliest is the least due that was written since a search began.
	earliest int64
	begun    time.Time
	lastNow  time.Time
	hastened time.Time
}

func newSearches() searches {
	return searches{at: make(map[line]spot), routes: make(map[string]uint64), earliest: math.MaxInt64}
}

// renew begins all lines anew; q.mu is held.
func (q *Queue) renew() {
	clear(q.at)
	clear(q.routes)
	q.earliest = 0
}

// passed notes recipients that a search may have passed; q.mu is held.
func (q *Queue) passed(to ...Recipient) {
	for _, r := range to {
		q.passedRoute(r.Route)
	}
}

func (q *Queue) passedRoute(route string) {
	q.turns++
	q.routes[route] = q.turns
	if len(q.routes) > passedMax {
		q.renew()
	}
}

// appeared notes recipients that have come into the lines; q.mu is held.
func (q *Queue) appeared(to ...Recipient) {
	for _, r := range to {
		if r.State == Queued && !r.removed {
			q.dueAt(r.Due)
		}
	}
}

// dueAt notes when somebody is due, perhaps before where the lines are; q.mu is held.
func (q *Queue) dueAt(due time.Time) {
	q.nextDue = minTime(q.nextDue, due)
	micros := due.UnixMicro()
	q.earliest = min(q.earliest, micros)
	for l, at := range q.at {
		if micros <= at.due {
			q.at[l] = spot{due: micros}
		}
	}
}

// search finds what is due in the database, leases it, and says when the next
// recipient becomes due.
//
// It may read for long, so nobody waits for it. A recipient whose lease ends
// meanwhile may still stand in what search sees, as due as it was: recentEnds
// remembers those, and they are left for the next search.
func (q *Queue) search(ctx context.Context, now time.Time, limit int, except Except) ([]*Item, time.Time, error) {
	q.searching.Lock()
	defer q.searching.Unlock()
	except.Routes = slices.Sorted(slices.Values(except.Routes))
	s := q.beginSearch(now, limit, except)
	found, err := s.all(ctx)
	return q.endSearch(s, found, err)
}

func (q *Queue) beginSearch(now time.Time, limit int, except Except) *search {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.begun).Abs() > renewal {
		q.renew()
		q.begun = now
	}
	q.recentEnds = make(map[lease]struct{})
	q.nextDue = now.Add(idle)
	q.earliest = math.MaxInt64
	s := &search{q: q, now: now.UnixMicro(), limit: limit, except: &except, next: now.Add(idle).UnixMicro(),
		leased: len(q.leased), seen: make(map[lease]struct{}), items: make(map[ID]struct{}), passed: make(map[string]struct{})}
	for i, tried := range []bool{false, true} {
		l := line{tried, except.Kind}
		s.lines[i] = walk{line: l, at: q.at[l]}
	}
	for route, turn := range q.routes {
		if !except.covers(route) {
			s.routes = append(s.routes, turnOf{route: route, turn: turn})
		}
	}
	slices.SortFunc(s.routes, func(a, b turnOf) int { return int(int64(a.turn - b.turn)) })
	return s
}

// endSearch leases what was found, and keeps how far the search has come.
func (q *Queue) endSearch(s *search, found []*Item, err error) ([]*Item, time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ended := q.recentEnds
	q.recentEnds = nil
	if err != nil {
		return nil, time.UnixMicro(s.now), err
	}
	for _, w := range s.lines {
		if q.earliest <= w.at.due {
			w.at = spot{due: q.earliest}
		}
		q.at[w.line] = w.at
	}
	for _, r := range s.routes {
		switch {
		case q.routes[r.route] != r.turn: // noted anew
		case r.done:
			delete(q.routes, r.route)
		case r.had:
			q.passedRoute(r.route) // to the end of the row
		}
	}
	for route := range s.passed {
		if _, noted := q.routes[route]; !noted {
			q.passedRoute(route)
		}
	}
	q.nextDue = minTime(q.nextDue, time.UnixMicro(s.next))
	return sorted(q.take(found, ended)), q.nextDue, nil
}

// take leases what may be had of the items found.
func (q *Queue) take(found []*Item, ended map[lease]struct{}) []*Item {
	items := found[:0]
	for _, it := range found {
		free := it.Recipients[:0]
		for _, r := range it.Recipients {
			l := lease{it.ID, r.N}
			_, taken := q.leased[l]
			if _, gone := ended[l]; !gone && !taken { // whoever ended it has noted it
				q.lease(it, r.N)
				free = append(free, r)
			}
		}
		if it.Recipients = free; len(free) > 0 {
			items = append(items, it)
		}
	}
	return items
}

// A search collects who is due.
type search struct {
	q      *Queue
	now    int64
	limit  int // of items
	except *Except
	lines  [2]walk // what was never tried, and what was
	routes []turnOf
	seen   map[lease]struct{}
	items  map[ID]struct{}
	chosen []lease
	passed map[string]struct{} // routes
	leased int                 // recipients that may stand before those who can be had
	next   int64               // when somebody is due
}

type walk struct {
	line
	at   spot
	more bool
	read int
}

type turnOf struct {
	route string
	turn  uint64
	had   bool // its turn
	done  bool // nobody of it is due
}

// all collects from the lines and the routes: half for what was never tried, half of
// the rest for routes that were passed, the rest for what was tried; and what one of
// them leaves is for the others.
func (s *search) all(ctx context.Context) ([]*Item, error) {
	half := func(n int) int { return (n + 1) / 2 }
	for _, step := range []func() error{
		func() error { return s.walk(ctx, &s.lines[0], half(s.room())) },
		func() error { return s.turnsOf(ctx, half(s.room())) },
		func() error { return s.walk(ctx, &s.lines[1], s.room()) },
		func() error { return s.walk(ctx, &s.lines[0], s.room()) },
		func() error { return s.turnsOf(ctx, s.room()) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if s.lines[0].more || s.lines[1].more || slices.ContainsFunc(s.routes, func(r turnOf) bool { return !r.done }) {
		s.next = s.now
	}
	return s.fetch(ctx)
}

func (s *search) room() int { return s.limit - len(s.items) }

// walk goes along a line until it has so many more items.
func (s *search) walk(ctx context.Context, w *walk, quota int) error {
	if w.read > 0 && !w.more {
		return nil // it was at the end
	}
	w.more = true
	if quota <= 0 || w.read >= walkMax {
		return nil
	}
	rows, err := s.q.db.Reader().QueryContext(ctx, `SELECT due, item, n, route FROM recipient INDEXED BY recipient_due
		WHERE state = 0 AND (attempts > 0) = ? AND (due, item, n) > (?, ?, ?) ORDER BY due, item, n`,
		w.tried, w.at.due, int64(w.at.item), w.at.n)
	if err != nil {
		return err
	}
	defer rows.Close()
	for most := len(s.items) + quota; rows.Next(); {
		var at spot
		var route string
		if err := rows.Scan(&at.due, (*int64)(&at.item), &at.n, &route); err != nil {
			return err
		}
		w.read++
		switch {
		case at.due > s.now:
			s.next, w.more = min(s.next, at.due), false
			return nil
		case w.read > walkMax:
			return nil
		case s.except.covers(route):
			if w.kind == "" || !strings.HasPrefix(route, w.kind) {
				s.passed[route] = struct{}{}
			}
		case !s.choose(lease{at.item, at.n}, most):
			return nil
		}
		w.at = at
	}
	w.read, w.more = max(w.read, 1), false
	return rows.Err()
}

// choose notes somebody who is due, unless he is leased; it tells whether there was
// room.
func (s *search) choose(l lease, most int) bool {
	if _, seen := s.seen[l]; seen || s.q.isLeased(l.item, l.n) {
		return true
	}
	if _, together := s.items[l.item]; !together && len(s.items) >= most {
		return false
	}
	s.seen[l] = struct{}{}
	s.items[l.item] = struct{}{}
	s.chosen = append(s.chosen, l)
	return true
}

// turnsOf gives routes that were passed their turns, until there are so many more
// items.
func (s *search) turnsOf(ctx context.Context, quota int) error {
	turns := min(len(s.routes), turnsMax)
	for i := range turns {
		r := &s.routes[i]
		if quota <= 0 || r.done {
			continue
		}
		before := len(s.items)
		if err := s.turnOf(ctx, r, (quota+turns-i-1)/(turns-i)); err != nil {
			return err
		}
		quota -= len(s.items) - before
	}
	return nil
}

// turnOf finds the oldest of a route.
func (s *search) turnOf(ctx context.Context, r *turnOf, quota int) error {
	readMax := walkMax + s.leased
	rows, err := s.q.db.Reader().QueryContext(ctx, `SELECT item, n FROM recipient INDEXED BY recipient_route
		WHERE state = 0 AND route = ? AND due <= ? ORDER BY due, item, n LIMIT ?`, r.route, s.now, readMax)
	if err != nil {
		return err
	}
	defer rows.Close()
	r.had = true
	most := len(s.items) + quota
	for read := 1; rows.Next(); read++ {
		var l lease
		if err := rows.Scan((*int64)(&l.item), &l.n); err != nil {
			return err
		}
		if read == readMax || !s.choose(l, most) {
			return nil
		}
	}
	r.done = true
	return rows.Err()
}

// fetch reads the rows of those that were chosen, in that order.
func (s *search) fetch(ctx context.Context) (found []*Item, err error) {
	if len(s.chosen) == 0 {
		return nil, nil
	}
	pairs := make([][2]int64, len(s.chosen))
	for i, l := range s.chosen {
		pairs[i] = [2]int64{int64(l.item), int64(l.n)}
	}
	list, err := json.Marshal(pairs)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.db.Reader().QueryContext(ctx, "SELECT "+columns+` FROM json_each(?) j
		CROSS JOIN recipient r ON r.item = j.value ->> 0 AND r.n = j.value ->> 1 CROSS JOIN item i ON i.id = r.item
		WHERE r.state = 0`, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byID := make(map[partOf]*Item)
	for rows.Next() {
		it, r, err := scanRow(rows.Scan)
		if err != nil {
			return nil, err
		}
		p := partOf{it.ID, r.Expired}
		if byID[p] == nil {
			byID[p] = &it
			found = append(found, &it)
		}
		byID[p].add(r)
	}
	return found, rows.Err()
}

// partOf is what is claimed of an item together: what a person has given up goes its
// own way.
type partOf struct {
	item    ID
	expired bool
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
