package dnslist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

const (
	// testEvery is how often a list that works is tested, and the longest that one which
	// does not is left alone; retestFirst is the first such time, and it doubles. retestDead
	// is the longest for one that is silent: often that is our own way to the DNS.
	testEvery   = time.Hour
	retestFirst = time.Minute
	retestDead  = 10 * time.Minute
	// testTime is how long a test may take.
	testTime = 10 * time.Second
	// missesMost is how many questions in a row a list may leave without an answer.
	missesMost = 10
	// surprise is how often a code that the settings do not know is told of, and makes us
	// test the list out of turn.
	surprise = 24 * time.Hour
)

// State is whether a list is asked.
type State string

// The states.
const (
	Untested State = "untested" // since the start; not asked
	Working  State = "working"
	Resting  State = "resting" // it does not work, and is not asked until it does
)

// health is what is known of a list's state.
type health struct {
	state  State
	six    bool   // of IPv6 addresses, too
	reason string // why it rests; why not of IPv6
	since  time.Time
	tested time.Time
	due    time.Time
	pause  time.Duration // until the next test of a list that rests
	misses int
	// surprised is when a code that is not known was told of.
	surprised time.Time
}

func (l *list) isDue(now time.Time) bool { return !l.dueAt().After(now) }

func (l *list) dueAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.due
}

func (l *list) usable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.state == Working
}

// usableFor tells whether addresses of a family can be asked about.
func (l *list) usableFor(six bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if six {
		return l.health.state == Working && l.health.six
	}
	return l.health.state == Working && l.IPv4
}

// test finds out whether a list works (RFC 5782 §5).
func (l *Lists) test(ctx context.Context, one *list) {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	var err, errSix error
	switch {
	case !one.Kind.addresses():
		entry := one.Entry
		if entry == "" {
			entry = "test"
		}
		err = failure(l.resolver.HealthOfEntry(ctx, one.block(), entry))
	case one.IPv4:
		err = failure(l.resolver.Health(ctx, one.block(), false))
	}
	six := one.Kind.addresses() && one.IPv6 && err == nil
	if six {
		errSix = failure(l.resolver.Health(ctx, one.block(), true))
	}
	if six && !one.IPv4 {
		err, errSix = errSix, nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return // we are ending, and it is not the list's fault
	}
	l.tested(one, err, six && err == nil, errSix)
}

func failure(a lookup.Answer[struct{}]) error {
	if a.State() == lookup.Found {
		return nil
	}
	return a.Err()
}

// tested notes the result of a test, and tells of it if it is another than before.
func (l *Lists) tested(one *list, err error, six bool, errSix error) {
	now := l.now()
	one.mu.Lock()
	h := &one.health
	h.tested, h.misses = now, 0
	if err != nil {
		one.mu.Unlock()
		l.rest(one, err)
		return
	}
	before := h.state
	if h.state != Working {
		h.state, h.since = Working, now
	} else {
		h.pause = 0 // it has worked for an hour
	}
	h.due = now.Add(testEvery)
	h.six, h.reason = six && errSix == nil, ""
	if errSix != nil {
		h.reason = "not asked about IPv6: " + reason(errSix)
	}
	one.mu.Unlock()
	if before == Resting {
		l.events.Emit(Recovered{Zone: one.Zone})
	}
}

// errSilent is about a list that leaves question after question without an answer.
var errSilent = errors.New("it does not answer, or too slowly")

// rest leaves a list alone until a test finds that it works again.
func (l *Lists) rest(one *list, err error) {
	now, why, most := l.now(), reason(err), testEvery
	if !errors.Is(err, dns.ErrBlockList) {
		most = retestDead
	}
	one.mu.Lock()
	h := &one.health
	news := h.state != Resting
	if news {
		h.state, h.since = Resting, now
	}
	h.pause = min(max(2*h.pause, retestFirst), most)
	h.due, h.reason, h.misses = now.Add(h.pause), why, 0
	one.counts.lastError, one.counts.failedAt = why, now
	one.mu.Unlock()
	if news {
		l.events.Emit(Unusable{Zone: one.Zone, Reason: why})
		l.remind()
	}
}

// remind makes Run look at who is due.
func (l *Lists) remind() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// reason is why a list can't be used, in words that hold no question: a question of a
// subscriber has his key.
func reason(err error) string {
	var not *dns.NotServed
	switch {
	case errors.As(err, &not) && not.Answer.Is4() && not.Answer.As4()[0] == 127:
		return fmt.Sprintf("it answers %s, and so does not serve us: it may want to be asked by a name server of one's own, less often, or by subscribers only", not.Answer)
	case errors.As(err, &not):
		return fmt.Sprintf("it answers %s, which is no answer of a list: its name may have got into other hands", not.Answer)
	case errors.Is(err, dns.ErrListsAll):
		return "it lists everybody: it has been given up"
	case errors.Is(err, dns.ErrListEmpty):
		return "it lacks the entry that every list has: it has ended, or the name server that is asked hides it"
	case err == errSilent:
		return errSilent.Error()
	}
	return "it does not answer"
}

// missed notes a question that got no answer. Some do not matter; many in a row do.
func (l *Lists) missed(one *list) {
	one.mu.Lock()
	one.health.misses++
	one.counts.fail("it did not answer in time", l.now())
	gone := one.health.misses >= missesMost && one.health.state == Working
	one.mu.Unlock()
	if gone {
		l.rest(one, errSilent)
	}
}

// surprised notes an answer that the settings do not know: it counts nothing. It may be a
// refusal in a form of the list's own, so the list is tested soon.
func (l *Lists) surprised(one *list, codes string) {
	now := l.now()
	one.mu.Lock()
	h := &one.health
	one.counts.fail("it answered "+codes+", which the settings do not know", now)
	news := h.surprised.IsZero() || now.Sub(h.surprised) >= surprise
	if news {
		h.surprised, h.due = now, now
	}
	one.mu.Unlock()
	if news {
		l.events.Emit(Surprised{Zone: one.Zone, Codes: codes})
		l.remind()
	}
}
