package deliver

import (
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
)

// way is a transport and a next hop. One that the admin named may have hosts in private
// networks, the same one found in an address may not.
type way struct {
	transport, nexthop string
	port               uint16
	named              bool
}

// destination is where a way leads to, as far as that is known. The name service may
// not know now: then it is suspended like a site that does not answer.
type destination struct {
	choice transport.Choice
	suspension
	// site has its mail hosts as they were found last; it counts from found for siteFor.
	site  site
	found time.Time
	// others have the same hosts, by transports that are chosen by the hosts.
	others []site
	// waiting is for the answer of the name service, which is being asked, or has yet
	// to be (inquiries).
	waiting []*attempt
	asked   bool
}

// siteFor is how long mail goes to the same site before the name service is asked again.
const siteFor = 5 * time.Minute

// fresh tells whether the site is still known, with what its domain demands of TLS.
func (d *destination) fresh(c transport.Choice, now time.Time) bool {
	return d.choice.Transport == c.Transport && !d.found.IsZero() && now.Sub(d.found) < siteFor && !d.site.demand.Outdated()
}

// idle tells that nobody waits for it.
func (d *destination) idle() bool { return !d.asked && len(d.waiting) == 0 }

// forgettable tells that what is known of it is of no use any more.
func (d *destination) forgettable(now time.Time, backoff time.Duration) bool {
	return now.Sub(d.found) >= siteFor && d.suspension.forgettable(now, backoff)
}

// seek leads an attempt to its site.
func (m *remote) seek(out *Outbound, a *attempt, c transport.Choice, now time.Time) {
	w := way{c.Transport.Name, c.NextHop, c.Port, c.Named}
	d := m.destinations[w]
	if d == nil {
		d = &destination{choice: c}
		m.destinations[w] = d
	}
	switch {
	case m.isDead(&d.suspension, a, now):
		m.desk.putOff(a, &d.suspension)
	case d.fresh(c, now) && !m.triedSince(d, now):
		m.lead(out, d, a, now)
	default:
		d.choice = c
		d.waiting = append(d.waiting, a)
		m.inquire(d, a.isRetry())
	}
}

// triedSince tells that the site of a destination has been found dead since it was found:
// by now its mail hosts may be others.
func (m *remote) triedSince(d *destination, now time.Time) bool {
	for l := range m.linesOf(d) {
		if l.health(now) == onTrial && d.found.Before(l.until) {
			return true
		}
	}
	return false
}

// linesOf are the lines that mail for a destination has waited in since it was found.
func (m *remote) linesOf(d *destination) iter.Seq[*line] {
	return func(yield func(*line) bool) {
		if l := m.lines[d.site.key()]; l != nil && !yield(l) {
			return
		}
		for _, s := range d.others {
			if l := m.lines[s.key()]; l != nil && !yield(l) {
				return
			}
		}
	}
}

// lead sends an attempt on from where its mail hosts are known: to them, or another way if
// an entry or a preset for such hosts says so. That is decided for each message, as it may
// have a share of the mail only.
func (m *remote) lead(out *Outbound, d *destination, a *attempt, now time.Time) {
	c := out.forHosts(a.choice, d.site)
	sameHosts := out.sameHosts(a.choice, c)
	a.choice = c
	if sameHosts {
		m.join(out, a, d.through(c), now)
		return
	}
	a.choice.Fixed = true
	switch results, settled := verdict(a); {
	case settled:
		m.desk.conclude(a, results)
	case known(c):
		s, _, _ := m.finder.site(m.ctx, out, c)
		m.join(out, a, s, now)
	default:
		m.seek(out, a, a.choice, now)
	}
}

// forHosts is the choice for mail whose MX hosts are known.
func (o *Outbound) forHosts(c transport.Choice, s site) transport.Choice {
	if c.Fixed || len(s.hosts) == 0 {
		return c
	}
	return o.Ways.ForMX(c, []string{best(s.hosts).name})
}

// sameHosts tells that what was chosen for the MX hosts leads to these.
func (o *Outbound) sameHosts(c, then transport.Choice) bool {
	return len(then.Relays) == 0 && then.NextHop == c.NextHop && then.Named == c.Named && then.Transport.Kind.Dials() &&
		o.port(then) == o.port(c) && then.Transport.TLS == c.Transport.TLS
}

// through is the site of the hosts by the transport of a choice.
func (d *destination) through(c transport.Choice) site {
	if c.Transport == d.site.transport {
		return d.site
	}
	for _, s := range d.others {
		if s.transport == c.Transport {
			return s
		}
	}
	s := d.site.by(c)
	d.others = append(d.others, s)
	return s
}

// by is a site by another transport.
func (s site) by(c transport.Choice) site { return newSite(c, s.hosts).demanding(s.demand) }

// inquiries are the questions to the name service: so many at a time, and half of the
// places for those who ask for mail that has not been tried before.
type inquiries struct {
	open           int
	waiting, later []*destination
}

// inquiriesMax is how many sites are looked up at a time.
const inquiriesMax = 400

// inquire sees to it that a site is looked up.
func (m *remote) inquire(d *destination, again bool) {
	q := &m.inquiries
	switch {
	case d.asked:
	case again && q.open >= inquiriesMax/2:
		q.later = append(q.later, d)
	case q.open >= inquiriesMax:
		q.waiting = append(q.waiting, d)
	default:
		q.open++
		m.wg.Go(func() { m.find(d) })
	}
	d.asked = true
}

// next is the destination whose turn it is now that a place is free.
func (q *inquiries) next() (d *destination) {
	switch {
	case len(q.waiting) > 0:
		d, q.waiting = q.waiting[0], q.waiting[1:]
	case len(q.later) > 0 && q.open < inquiriesMax/2:
		d, q.later = q.later[0], q.later[1:]
	}
	return d
}

// find asks for the site of a destination, and then for those of others.
func (m *remote) find(d *destination) {
	for d != nil && !m.closed() {
		m.mu.Lock()
		c := d.choice
		m.mu.Unlock()
		out := m.outbound()
		var s site
		var reply *smtp.Reply
		var text string
		if err := guard(func() { s, reply, text = m.finder.site(m.ctx, out, c) }); err != nil {
			m.clerk.events.Emit(Trouble{What: "looking for the mail hosts of " + c.NextHop, Err: err})
			reply, text = ours("internal error"), internalError
		}
		m.mu.Lock()
		m.answered(out, d, s, reply, text)
		m.inquiries.open--
		if d = m.inquiries.next(); d != nil {
			m.inquiries.open++
		}
		m.mu.Unlock()
	}
}

// answered sends those on who waited for a site, or back.
func (m *remote) answered(out *Outbound, d *destination, s site, reply *smtp.Reply, text string) {
	now, waiting := time.Now(), d.waiting
	d.waiting, d.asked = nil, false
	switch {
	case reply == nil:
		d.succeeded()
		d.site, d.others, d.found = s, nil, now
		for _, a := range waiting {
			m.lead(out, d, a, now)
		}
	case reply.Temporary():
		if m.ctx.Err() != nil {
			m.giveBack(waiting) // our time is over: that says nothing about them
			return
		}
		d.failed(1, 1, m.schedule(), now, rand.Float64(), reply, text)
		fallthrough
	default:
		for _, a := range waiting {
			m.desk.conclude(a, notBefore(a.all(reply, text), d.until))
		}
	}
}

// notBefore lets results wait for the end of a suspension at least: what found a place
// dead is its next trial, and not put off once more before.
func notBefore(results []result, until time.Time) []result {
	for i := range results {
		results[i].notBefore = until.Add(time.Millisecond) // the queue counts in microseconds
	}
	return results
}

// covers tells whether a domain is meant by what somebody named: "example.org",
// ".example.org" for it and all below it, or "" for all.
func covers(named, domain string) bool {
	exact := strings.TrimPrefix(named, ".")
	switch {
	case named == "" || strings.EqualFold(exact, domain):
		return true
	case exact == named || len(domain) <= len(named):
		return false
	}
	return strings.EqualFold(named, domain[len(domain)-len(named):])
}
