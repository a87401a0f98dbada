package dnslist

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// patience is how long the lists are waited for, all together.
const patience = 2 * time.Second

// question is one question to one list.
type question struct {
	list   *list
	addr   netip.Addr // of lists of addresses
	domain string     // of the others
}

// answer is what a list says; the zero answer is nothing.
type answer struct {
	score float64
	codes []netip.Addr
	text  string
}

func (a answer) listed() bool { return len(a.codes) > 0 }

// recall answers a question that was asked before.
func (l *Lists) recall(ctx context.Context, q question) (answer, bool) {
	found := l.put(dns.WithBudget(ctx, 0), q)
	if found.State() == lookup.TryAgain && !errors.Is(found.Err(), dns.ErrBlockList) {
		return answer{}, false
	}
	q.list.count(func(c *counts) { c.cached++ })
	return l.take(ctx, q, found), true
}

// inquire asks the list itself.
func (l *Lists) inquire(ctx context.Context, q question) answer {
	if ctx.Err() != nil || !q.list.spend(l.now()) {
		return answer{}
	}
	return l.take(ctx, q, l.put(ctx, q))
}

func (l *Lists) put(ctx context.Context, q question) lookup.Answer[dns.Listing] {
	if q.list.Kind.addresses() {
		return l.resolver.Listed(ctx, q.list.block(), q.addr)
	}
	return l.resolver.ListedDomain(ctx, q.list.block(), q.domain)
}

// take weighs what came, and learns from it whether the list works.
func (l *Lists) take(ctx context.Context, q question, found lookup.Answer[dns.Listing]) answer {
	one := q.list
	switch {
	case errors.Is(found.Err(), dns.ErrBlockList):
		one.count(func(c *counts) { c.failed++ })
		l.rest(one, found.Err())
		return answer{}
	case found.State() == lookup.TryAgain:
		// A client that has gone, or a letter that spent its questions, says nothing about the list.
		if !errors.Is(ctx.Err(), context.Canceled) && !errors.Is(found.Err(), dns.ErrBudget) {
			l.missed(one)
		}
		return answer{}
	}
	one.answered()
	if found.State() == lookup.NotFound {
		return answer{}
	}
	listing := found.Value()
	score, counted, known := weigh(one.Codes, listing.Codes)
	if !known {
		l.surprised(one, words(listing.Codes))
	}
	if len(counted) == 0 {
		return answer{}
	}
	one.count(func(c *counts) { c.hits++ })
	return answer{score: score, codes: counted, text: listing.Reason}
}

// answered notes that a list works.
func (l *list) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.misses = 0
}

// spend takes one of the day's questions, if there is one left.
func (l *list) spend(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts.today(now) >= l.Daily {
		l.counts.fail(fmt.Sprintf("the limit of %d questions a day is reached", l.Daily), now)
		l.counts.spared++
		return false
	}
	l.counts.asked++
	l.counts.dayAsked++
	return true
}

func (l *list) count(change func(*counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.counts)
}

func words(codes []netip.Addr) string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = c.String()
	}
	return strings.Join(out, ", ")
}

// askAll puts questions, at most workers at a time, and gives the answers in their order.
// What the cache knows costs no worker.
func (l *Lists) askAll(ctx context.Context, all []question) []answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make([]answer, len(all))
	var open []int
	for i, q := range all {
		if a, ok := l.recall(ctx, q); ok {
			answers[i] = a
		} else {
			open = append(open, i)
		}
	}
	each(open, func(i int) { answers[i] = l.inquire(ctx, all[i]) })
	return answers
}
