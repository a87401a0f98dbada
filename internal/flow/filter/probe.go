package filter

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"facteur/internal/net/dns"
)

// Bounds of what one check may cost and say.
const (
	// checkTime is how long one check may take from when it was started, checkBudget how
	// many questions it may ask the DNS.
	checkTime   = 30 * time.Second
	checkBudget = dns.DefaultBudget
	// remarksMost is how many remarks of one check are kept, sentenceMost how long one is,
	// in bytes.
	remarksMost  = 40
	sentenceMost = 600
)

// probe is a check at work on one letter, or on one client.
type probe struct {
	check   Check
	done    chan struct{}
	remarks []Remark // once done is closed
	broken  error    // what it panicked with
}

// start sets the checks of a stage to work, each on its own. The quick ones are done when it
// returns.
func start(ctx context.Context, checks []Check, at Stage, l *Letter, now func() time.Time) (probes []*probe) {
	var quick []*probe
	for _, c := range checks {
		if c.At() != at {
			continue
		}
		p := &probe{check: c, done: make(chan struct{})}
		probes = append(probes, p)
		if _, ok := c.(Quick); ok {
			quick = append(quick, p)
		} else {
			go p.run(ctx, l, now)
		}
	}
	for _, p := range quick {
		p.examine(ctx, l, now)
	}
	return probes
}

// run is a check that may have to wait for others.
func (p *probe) run(ctx context.Context, l *Letter, now func() time.Time) {
	ctx, cancel := context.WithTimeout(dns.WithBudget(ctx, checkBudget), checkTime)
	defer cancel()
	p.examine(ctx, l, now)
}

// examine is a check from its beginning to its end. A panic in it is its own: the letter is
// judged by the others (INV-22: one message can't stop the system).
func (p *probe) examine(ctx context.Context, l *Letter, now func() time.Time) {
	defer close(p.done)
	defer func() {
		if fault := recover(); fault != nil {
			p.remarks, p.broken = nil, fmt.Errorf("%v\n%s", fault, debug.Stack())
		}
	}()
	began := now()
	p.remarks = bounded(p.check.Name(), p.check.Examine(ctx, l), now().Sub(began))
}

// bounded are remarks as they are kept: few, short, of their family.
func bounded(family string, remarks []Remark, cost time.Duration) []Remark {
	remarks = remarks[:min(len(remarks), remarksMost)]
	for i := range remarks {
		r := &remarks[i]
		if r.Check == "" {
			r.Check = family
		}
		if r.Cost == 0 && i == 0 {
			r.Cost = cost
		}
		r.Sentence = cutShort(r.Sentence, sentenceMost)
	}
	return remarks
}

// wait is for a check to end, but no longer than ctx. late: it has not ended.
func (p *probe) wait(ctx context.Context) (late bool) {
	select {
	case <-p.done:
		return false
	default:
	}
	select {
	case <-p.done:
		return false
	case <-ctx.Done():
		return true
	}
}
