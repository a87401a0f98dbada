package tlspolicy

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

const (
	// MaxPolicies is how many policies are remembered.
	MaxPolicies = 10000
	// fetchPause is how long a domain's web server is left alone (RFC 8461 §3.3).
	fetchPause = 5 * time.Minute
	// refreshAge is how old a policy gets before it is fetched again by itself, and
	// refreshUse how long it is without use before nobody cares.
	refreshAge, refreshUse = 24 * time.Hour, 30 * 24 * time.Hour
	refreshEvery           = time.Hour
	// patience is how long mail waits for a policy to be fetched. It holds a place among
	// those who look for mail hosts meanwhile, which web servers that never answer must
	// not have for long.
	patience = 10 * time.Second
)

// Cached is a policy and what is known of it.
type Cached struct {
	Domain string
	// ID is that of the record under which it was fetched.
	ID      string
	Policy  Policy
	Fetched time.Time
	// Used is when mail for the domain last asked for it.
	Used time.Time
}

// Expires is until when the policy counts: as long as it says, and at least until its
// web server may be asked again.
func (c Cached) Expires() time.Time { return c.Fetched.Add(max(c.Policy.MaxAge, fetchPause)) }

// entry is a policy, or the memory of why there is none.
type entry struct {
	Cached
	known   bool      // there is a policy
	pause   time.Time // the web server is not asked before
	trouble error     // of the last fetch
}

func (e *entry) live(now time.Time) bool { return e != nil && e.known && now.Before(e.Expires()) }

// published is what a domain publishes at this time.
type published struct {
	policy *Policy // nil: none that counts
	// trouble is why a policy that was announced could not be had; an older one counts
	// nevertheless.
	trouble error
	// doubt: it could not be told whether there is one.
	doubt error
	// pending is closed when the fetch ends that was not waited for.
	pending <-chan struct{}
}

// policyOf finds the policy that counts for a domain.
func (k *Keeper) policyOf(ctx context.Context, domain string) published {
	a := k.config.Resolver.LookupTXT(ctx, "_mta-sts."+domain)
	id, err := "", error(nil)
	if a.State() == lookup.Found {
		id, err = ParseRecord(a.Value())
	}
	now := k.config.Now()
	k.mu.Lock()
	e := k.entries[domain]
	if e != nil {
		e.Used = now
	}
	p := e.published(now)
	fresh := e.live(now) && e.ID == id || e != nil && now.Before(e.pause)
	k.mu.Unlock()
	switch {
	case a.State() == lookup.TryAgain:
		p.doubt = a.Err()
	case err != nil:
		p.trouble = err
	case id != "" && !fresh:
		return k.renew(ctx, domain, id)
	case id == "":
		p.trouble = nil // an old one may count, but no new one was announced
	}
	return p
}

// published is what an entry says; nil says nothing.
func (e *entry) published(now time.Time) (p published) {
	if e == nil {
		return p
	}
	p.trouble = e.trouble
	if e.live(now) && e.Policy.Mode != NoMode {
		policy := e.Policy
		p.policy = &policy
	}
	return p
}

// renew fetches a policy, once for all who want it at the same time. One that takes its
// time is not waited for: where there is no older one, mail goes as if there were none
// (RFC 8461 §3.3), and the fetch goes on for the next.
func (k *Keeper) renew(ctx context.Context, domain, id string) published {
	result := k.flight.DoChan(domain, func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		policy, err := k.fetch(ctx, domain)
		return k.keep(ctx, domain, id, policy, err), nil
	})
	enough := time.NewTimer(k.config.Patience)
	defer enough.Stop()
	p := published{}
	select {
	case r := <-result:
		return r.Val.(published)
	case <-enough.C:
		p = k.cached(domain)
		p.trouble = fmt.Errorf("%w from mta-sts.%s: no answer in %v, and it is not waited for", ErrFetch, domain, k.config.Patience)
	case <-ctx.Done():
		p = k.cached(domain)
		p.doubt = ctx.Err()
	}
	p.pending = endOf(result)
	return p
}

// endOf is closed when a fetch has ended, which it does in its time.
func endOf(result <-chan singleflight.Result) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		<-result
		close(ended)
	}()
	return ended
}

func (k *Keeper) cached(domain string) published {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entries[domain].published(k.config.Now())
}

// keep remembers what a fetch brought. An older policy outlives a fetch that failed.
func (k *Keeper) keep(ctx context.Context, domain, id string, policy Policy, err error) published {
	now := k.config.Now()
	k.mu.Lock()
	e := k.entries[domain]
	if e == nil {
		k.makeRoom(now)
		e = &entry{Cached: Cached{Domain: domain, Used: now}}
		k.entries[domain] = e
	}
	e.pause, e.trouble = now.Add(fetchPause), err
	if err == nil {
		e.known, e.ID, e.Policy, e.Fetched = true, id, policy, now
	}
	p, saved := e.published(now), e.Cached
	k.mu.Unlock()
	if err != nil {
		k.report(Result{Domain: domain, Policy: PolicySTS, Type: classify(err), Reason: err.Error()})
		k.note(slog.LevelWarn, err.Error())
		return p
	}
	k.save(ctx, saved)
	return p
}

func (k *Keeper) save(ctx context.Context, c Cached) {
	if k.config.Save == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := k.config.Save(ctx, c); err != nil {
		k.note(slog.LevelWarn, fmt.Sprintf("the MTA-STS policy of %s can't be written down: %v", c.Domain, err))
	}
}

func (k *Keeper) note(level slog.Level, text string) {
	if k.config.Events != nil {
		k.config.Events.Emit(event.Note{Severity: level, Program: "postfix/smtp", Text: text})
	}
}

// makeRoom forgets one of a few entries when there are too many: one that no longer
// counts, or else the one whose mail was the longest ago.
func (k *Keeper) makeRoom(now time.Time) {
	if len(k.entries) < k.config.most {
		return
	}
	const few = 16
	var gone *entry
	seen := 0
	for _, e := range k.entries { // in an order by chance
		if gone == nil || gone.live(now) && (!e.live(now) || e.Used.Before(gone.Used)) {
			gone = e
		}
		if seen++; seen == few {
			break
		}
	}
	delete(k.entries, gone.Domain)
}

// Run keeps the policies in use fresh until ctx ends, so that none runs out while its
// web server has a bad day.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.refresh(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// refresh fetches what is old and in use, one after the other.
func (k *Keeper) refresh(ctx context.Context) {
	for _, c := range k.old(k.config.Now()) {
		if ctx.Err() != nil {
			return
		}
		a := k.config.Resolver.LookupTXT(dns.WithBudget(ctx, dns.DefaultBudget), "_mta-sts."+c.Domain)
		id, err := ParseRecord(a.Value())
		if a.State() != lookup.Found || err != nil || id == "" {
			id = c.ID // the policy counts without its record, too
		}
		k.renew(ctx, c.Domain, id)
	}
}

// old are the policies to be fetched again; those that are over are forgotten.
func (k *Keeper) old(now time.Time) (out []Cached) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for domain, e := range k.entries {
		switch {
		case !e.live(now) && now.After(e.pause):
			delete(k.entries, domain)
		case e.live(now) && now.After(e.pause) && now.Sub(e.Used) < refreshUse && now.Sub(e.Fetched) >= min(refreshAge, e.Policy.MaxAge/2):
			out = append(out, e.Cached)
		}
	}
	return out
}
