package tlspolicy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
)

// Destination is where mail is about to go.
type Destination struct {
	// Domain is the next hop: the recipients' domain, or the name of a relay.
	Domain string
	// Named: the admin named the host, so that it was not looked up in the MX records.
	Named bool
	// Default is the level where no rule stands; Auto: that of the rules.
	Default Level
	// Least is the level where no rule stands and the default is a weaker one.
	Least Level
}

// Demand is what a destination has to have, whichever host takes the mail. It is not
// changed once it is made.
type Demand struct {
	Domain string
	Named  bool
	// Level is never Auto.
	Level Level
	// Ruled: a rule of the admin's stands for the destination.
	Ruled bool
	// STS is the policy that the domain publishes; nil: none that counts.
	STS *Policy
	// Trouble is why a policy that the domain announces could not be had, Doubt why it
	// could not be told whether it announces any. Where an older one counts, STS is set
	// nevertheless.
	Trouble, Doubt error
	// Pending is closed when a policy that was not waited for has been fetched, or can't
	// be: then the demand may be another. Nil: none is.
	Pending <-chan struct{}

	rule  Rule
	trust bool // the resolver's word on DNSSEC
	lax   bool // made by Relaxed
	quiet bool // made by Quiet
}

// Quiet is the same demand for what carries reports: of its sessions none is reported, so
// that reports cause no reports (RFC 8460 §5; LOOP-013).
func (d *Demand) Quiet() *Demand {
	q := *d
	q.quiet = true
	return &q
}

// Relaxed is the demand for a message whose sender puts its delivery above TLS (RFC 8689
// §5): without what the domain publishes. What the admin has set holds.
func (d *Demand) Relaxed() *Demand {
	if d == nil || d.Ruled || d.STS == nil && d.Level != Dane {
		return d
	}
	r := *d
	r.STS, r.Trouble, r.Doubt, r.lax = nil, nil, nil, true
	if r.Level == Dane {
		r.Level, r.rule.Level = May, May
	}
	return &r
}

// Demand finds what a destination has to have. It may wait for a web server, at most for
// Config.Patience, where a domain has a policy that is not known yet.
func (k *Keeper) Demand(ctx context.Context, rules *Rules, to Destination) *Demand {
	rule, ruled := rules.of(to.Domain)
	d := &Demand{Domain: to.Domain, Named: to.Named, Level: rule.Level, Ruled: ruled, rule: rule, trust: k.config.Resolver.TrustsAD()}
	if !ruled && to.Default != Auto {
		d.Level = to.Default
	}
	if d.Level == Auto {
		if d.Level = May; d.trust {
			d.Level = Dane
		}
	}
	if !ruled && strength(d.Level) < strength(to.Least) {
		d.Level = to.Least
	}
	d.rule.Level = d.Level
	if rules.MTASTS && !ruled && !to.Named && d.Level != None && !d.Level.authenticates() && isDomain(to.Domain) {
		p := k.policyOf(ctx, to.Domain)
		d.STS, d.Trouble, d.Doubt, d.Pending = p.policy, p.trouble, p.doubt, p.pending
	}
	return d
}

// strength puts levels in an order: what they refuse.
func strength(l Level) int {
	switch l {
	case Auto, None, May, Dane:
		return 0
	case Encrypt:
		return 1
	}
	return 2
}

func isDomain(s string) bool { return s != "" && s[0] != '[' && strings.Contains(s, ".") }

// Outdated tells that a policy has arrived since, or that none will.
func (d *Demand) Outdated() bool {
	if d == nil {
		return false
	}
	select {
	case <-d.Pending: // never, where it is nil
		return true
	default:
		return false
	}
}

// Key is the same for demands that can share connections to the same hosts: "" where
// nothing is demanded by the destination itself.
func (d *Demand) Key() string {
	switch {
	case d == nil:
		return ""
	case d.lax:
		return "relaxed:" + d.Level.String() + ":" + d.Domain
	case d.STS != nil:
		sum := sha256.Sum256([]byte(strings.Join(d.STS.Lines()[1:2+len(d.STS.MX)], "\n")))
		return fmt.Sprintf("sts:%s:%x", d.Level, sum[:8])
	case d.Ruled || d.Level != May && d.Level != Dane:
		return "tls:" + d.Level.String() + ":" + d.rule.Domain + ":" + d.Domain
	}
	return ""
}

// Trusts tells whether DNSSEC counts for the destination.
func (d *Demand) Trusts() bool { return d != nil && d.trust }
