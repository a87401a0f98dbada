package dnslist

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/net/dns"
)

// Rules are what the settings say of all lists.
type Rules struct {
	Lists []List
	// Spared tells addresses that are nobody's business: trusted networks, our own. Those
	// that are not public are spared in any case.
	Spared func(netip.Addr) bool
	// Ours tells domains of our own.
	Ours func(domain string) bool
}

// Lists asks all lists of the settings. Its methods may be called from any goroutine.
type Lists struct {
	resolver *dns.Resolver
	events   event.Sink
	now      func() time.Time

	rules atomic.Pointer[rules]
	wake  chan struct{}
	mu    sync.Mutex // one Configure at a time
}

// rules are Rules with what is known of each list.
type rules struct {
	Rules
	lists []*list
}

// list is a List and what is known of it.
type list struct {
	List
	mu     sync.Mutex
	health health
	counts counts
}

// New makes Lists that asks nobody before it is configured.
func New(resolver *dns.Resolver, events event.Sink) *Lists {
	l := &Lists{resolver: resolver, events: events, now: time.Now, wake: make(chan struct{}, 1)}
	l.rules.Store(new(rules))
	return l
}

// Configure takes new settings. What is known of a list that stays is kept.
func (l *Lists) Configure(r Rules) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.rules.Load().lists
	next := &rules{Rules: r}
	for _, settings := range r.Lists {
		fresh := &list{List: settings}
		if i := slices.IndexFunc(old, func(o *list) bool { return o.same(settings) }); i >= 0 {
			fresh.inherit(old[i])
		}
		next.lists = append(next.lists, fresh)
	}
	l.rules.Store(next)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// same tells whether settings are about a list that is tested in the same way.
func (l *list) same(s List) bool {
	return l.identity() == s.identity() && l.IPv4 == s.IPv4 && l.IPv6 == s.IPv6 && l.Entry == s.Entry
}

func (l *list) inherit(from *list) {
	from.mu.Lock()
	defer from.mu.Unlock()
	l.health, l.counts = from.health, from.counts
}

// Run tests the lists when they are due, until ctx ends.
func (l *Lists) Run(ctx context.Context) {
	for ctx.Err() == nil {
		l.Test(ctx)
		select {
		case <-time.After(l.due()):
		case <-l.wake:
		case <-ctx.Done():
		}
	}
}

// Test tests all lists that are due, at the same time: those never tested at least.
func (l *Lists) Test(ctx context.Context) {
	var busy sync.WaitGroup
	for _, one := range l.rules.Load().lists {
		if one.isDue(l.now()) {
			busy.Go(func() { l.test(ctx, one) })
		}
	}
	busy.Wait()
}

// due is how long no list has to be tested.
func (l *Lists) due() time.Duration {
	wait := testEvery
	for _, one := range l.rules.Load().lists {
		wait = min(wait, one.dueAt().Sub(l.now()))
	}
	return max(wait, time.Second)
}

// of are the lists that can be asked now about something of a kind.
func (r *rules) of(kind Kind) (out []*list) {
	for _, l := range r.lists {
		if l.serves(kind) && l.usable() {
			out = append(out, l)
		}
	}
	return out
}
