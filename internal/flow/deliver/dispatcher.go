// Package deliver takes items from the queue to where they go: into Maildirs, or
// to other hosts. It decides when an attempt is made, reads what came of it, and
// settles that in the queue together with the notices that it causes.
//
//	queue.Claim → Dispatcher → local  → maildir            → clerk → queue.Settle
//	                         → remote → dns, smtpc, pipe   → clerk
//	                         → discard, error, hold        → clerk
//
// # What the envelope asks for
//
// NOTIFY, RET, ENVID and ORCPT are kept as RFC 3461 wants it, for senders who may be
// told at all (see package bounce). REQUIRETLS: TLS with a certificate that is valid
// for the mail host's name, and REQUIRETLS offered by it (RFC 8689), else 5.7.30;
// that the name came from the right MX record is for MTA-STS and DANE to prove. With the
// header field TLS-Required: No and without REQUIRETLS, MTA-STS and DANE are left aside,
// and what the admin demands is not. BY with "R": tried until then, then returned with 5.4.7, and never
// given to a host without DELIVERBY; with "N": told once, and tried further
// (RFC 2852). A mailbox here meets all of these.
//
// Where tables of transports have to be asked (see transport.Tables), an item is, after it
// was claimed and before it is split; the loop that claims does not wait for that.
//
// A letter that says Delivered-To of the mailbox that it goes to has been there, and
// comes back with 5.4.6 (LOOP-002).
//
// A file system of mailboxes that does not answer (an NFS server that is down) holds up
// no others: after a minute its mail is put off with "mailbox not reachable", until it
// answers (see carrier).
//
// Nothing here is durable. A crash loses leases only: the queue hands the same
// recipients out again. What an attempt may have done by then is in the package
// docs of queue (remote: one extra copy) and maildir (local: none).
package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/net/dns"
	"facteur/internal/net/helper"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/directory"
	"facteur/internal/store/maildir"
	"facteur/internal/store/queue"
)

// claimMax is how many items are claimed at a time.
const claimMax = 500

// House is what a Dispatcher works with.
type House struct {
	Hostname  string
	FS        vfs.FS
	Queue     *queue.Queue
	Directory *directory.Directory
	Resolver  *dns.Resolver
	// TLS knows what TLS destinations demand; nil: one of its own, which remembers
	// nothing over a restart.
	TLS     *tlspolicy.Keeper
	Notices *bounce.Writer
	// Signer signs again what is changed at departure; nil: nobody does.
	Signer *sign.Signer
	// Barred is the rule of whose signature a letter of an account may bear; nil: anybody's.
	Barred func(ctx context.Context, account string) sign.Barred
	// Notify is told each account that got a letter, into which mailbox ("" is INBOX), and
	// its size.
	Notify func(to directory.Account, mailbox string, bytes int64)
	// Folder finds a mailbox of an account, as queue.Recipient.Folder names it; "" where he
	// has none. It is asked of letters that are not for INBOX; nil: all are.
	Folder func(owner directory.Account, folder string) (name string, at maildir.Dir)
	// Homes are the files and programs of Unix users, Users how their mail is delivered,
	// and Expand where the addresses of a ~/.forward lead to. Without Homes there is no
	// mail for such users.
	Homes  *helper.Staff
	Users  func() Users
	Expand func(context.Context, route.Question) lookup.Answer[route.Expansion]
	// Schedule and Outbound are asked at each use, so that a reload takes effect.
	Schedule func() Schedule
	Outbound func() *Outbound
	Events   event.Sink
}

// Dispatcher hands out the work. Make it with New, start it with Run.
type Dispatcher struct {
	queue  *queue.Queue
	clerk  *clerk
	local  *local
	remote *remote
	events event.Sink
	places *places
	asking *asking
}

// New makes a Dispatcher.
func New(h House) *Dispatcher {
	d := &Dispatcher{queue: h.Queue, events: h.Events, places: newPlaces(h.Queue.Look)}
	watch := newClock(time.Now())
	schedule := func() Schedule {
		s := h.Schedule()
		s.Doubtful = watch.doubtful(time.Now())
		return s
	}
	c := &clerk{queue: h.Queue, schedule: schedule, notices: h.Notices, events: h.Events,
		rounds: rounds{turns: make(chan struct{}, settlingMax)}}
	d.clerk = c
	d.local = newLocal(h, c, d.done)
	d.remote = newRemote(h, c, d.done)
	d.asking = newAsking(h.Outbound, h.Events)
	return d
}

// Run delivers until ctx ends, and returns when all that was under way has been
// settled or given up. Deliveries to other hosts and the programs of users get grace to
// end.
func (d *Dispatcher) Run(ctx context.Context, grace time.Duration) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	landings, err := d.queue.Landings(ctx)
	if err != nil {
		return err
	}
	d.local.users.start(hard)
	var wg sync.WaitGroup
	// What a crash left landing is finished beside the new work: it is leased, so
	// nobody else has it.
	wg.Go(func() { d.local.resume(ctx, landings, d.places.seat) })
	wg.Go(func() { d.local.run(ctx) })
	d.remote.start(hard)
	d.dispatch(ctx, hard)
	d.remote.close()
	wg.Wait()
	cancel()
	d.clerk.rounds.flush()
	return nil
}

// dispatch claims what is due and hands it on.
func (d *Dispatcher) dispatch(ctx, hard context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(time.Until(d.claim(ctx, hard)))
		d.rest(ctx, hard, timer.C)
	}
	d.asking.leave(d.queue)
}

// claim hands on what is due now, and tells when there will be more.
func (d *Dispatcher) claim(ctx, hard context.Context) (next time.Time) {
	now := time.Now()
	except, none := d.places.except()
	if none || d.asking.isFull() {
		return now.Add(time.Minute)
	}
	except.Longest = d.clerk.schedule().Longest() + afterTrial // see putOff
	items, next, err := d.queue.Claim(ctx, now, claimMax, except)
	if err != nil && !errors.Is(err, context.Canceled) {
		d.events.Emit(Trouble{What: "reading the queue", Err: err})
	}
	out := d.remote.outbound()
	for _, it := range items {
		if it.Recipients[0].Attempts > 0 { // of what is new, the desk has told
			d.events.Emit(queue.Active{Item: it})
		}
		if x := (&asked{item: it, out: out, claimed: now}); out.Tables == nil {
			d.hand(ctx, hard, x)
		} else {
			d.asking.add(ctx, x)
		}
	}
	return next
}

// rest waits until there may be something to claim. What the tables say meanwhile is
// acted upon.
func (d *Dispatcher) rest(ctx, hard context.Context, due <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			return
		case <-d.queue.Wake():
			return
		case x := <-d.asking.answers:
			d.asking.answered(ctx)
			if ctx.Err() != nil { // what was found out may be only that
				d.queue.Park(x.item)
				return
			}
			d.hand(ctx, hard, x)
			if d.asking.reopened() {
				return
			}
		}
	}
}

// done takes note of n recipients of an attempt that are no longer under way.
func (d *Dispatcher) done(a *attempt, n int) {
	d.places.give(a, n)
	a.round.ended(n)
}

// hand splits an item by the ways that its recipients take. What finds no place waits in
// the database.
func (d *Dispatcher) hand(ctx, hard context.Context, x *asked) {
	attempts := x.out.split(x.item, x.said, x.claimed)
	if len(attempts) > 1 {
		d.gather(hard, attempts)
	}
	for _, a := range attempts {
		if !d.places.take(a) {
			d.queue.Park(a.item)
			a.round.ended(len(a.item.Recipients))
			continue
		}
		d.send(ctx, a)
	}
}

// gather makes one round of all attempts from one sender: he gets one notice.
func (d *Dispatcher) gather(hard context.Context, attempts []*attempt) {
	rounds := make(map[address.Address]*round)
	for _, a := range attempts {
		r := rounds[a.item.Sender]
		if r == nil {
			r = &round{clerk: d.clerk, ctx: hard, item: a.item}
			rounds[a.item.Sender] = r
		}
		r.open += len(a.item.Recipients)
		a.round = r
	}
}

// send brings an attempt on its way.
func (d *Dispatcher) send(ctx context.Context, a *attempt) {
	if results, ok := verdict(a); ok {
		d.remote.desk.conclude(a, results)
		return
	}
	switch {
	case a.hop.Kind == route.Program || a.hop.Kind == route.File:
		d.local.users.addErrands(ctx, a)
		return
	case !a.here():
		d.remote.add(a)
		return
	}
	select {
	case d.local.in <- a:
	case <-ctx.Done():
	}
}

// Lift ends the suspension of what holds mail for a domain, with ".example.org" for it
// and all below it, with "" of all places; with "" relays that were tried last for what
// they said are tried in their turn, too. What is tried next is not put off for what
// happened before. Call it before making mail due (queue.Flush, queue.Retry), and when
// the settings have changed.
func (d *Dispatcher) Lift(domain string) { d.remote.lift(domain) }
