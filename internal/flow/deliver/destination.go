package deliver

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
)

// way is a transport and a next hop.
type way struct {
	transport, nexthop string
	port               uint16
}

// destination is where a way leads to, as far as that is known. The name service may
// not know now: then it is suspended like a site that does not answer.
type destination struct {
	choice transport.Choice
	suspension
	// site is where mail for it went last; it counts from found for siteFor.
	site  site
	found time.Time
	// waiting is for the answer of the name service, which is being asked, or has yet
	// to be (inquiries).
	waiting []*attempt
	asked   bool
}

// siteFor is how long mail goes to the same site before the name service is asked again.
const siteFor = 5 * time.Minute

// fresh tells whether the site is still known.
func (d *destination) fresh(c transport.Choice, now time.Time) bool {
	return d.choice.Transport == c.Transport && !d.found.IsZero() && now.Sub(d.found) < siteFor
}

// idle tells that nobody waits for it.
func (d *destination) idle() bool { return !d.asked && len(d.waiting) == 0 }

// forgettable tells that what is known of it is of no use any more.
func (d *destination) forgettable(now time.Time, backoff time.Duration) bool {
	return now.Sub(d.found) >= siteFor && d.suspension.forgettable(now, backoff)
}

// seek leads an attempt to its site.
func (m *remote) seek(out *Outbound, a *attempt, c transport.Choice, now time.Time) {
	w := way{c.Transport.Name, c.NextHop, c.Port}
	d := m.destinations[w]
	if d == nil {
		d = &destination{choice: c}
		m.destinations[w] = d
	}
	switch {
	case d.health(now) == dead:
		m.desk.putOff(a, &d.suspension)
	case d.fresh(c, now) && !m.triedSince(d, now):
		m.join(out, a, d.site, now)
	default:
		d.choice = c
		d.waiting = append(d.waiting, a)
		m.inquire(d, a.isRetry())
	}
}

// triedSince tells that the site of a destination has been found dead since it was found:
// by now its mail hosts may be others.
func (m *remote) triedSince(d *destination, now time.Time) bool {
	l := m.lines[d.site.key()]
	return l != nil && l.health(now) == onTrial && d.found.Before(l.until)
}

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
		if err := guard(func() { s, reply, text = m.finder.siteOf(m.ctx, out, c) }); err != nil {
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

// siteOf is the site of a choice, with the presets for its mail hosts.
func (f *finder) siteOf(ctx context.Context, out *Outbound, c transport.Choice) (site, *smtp.Reply, string) {
	s, reply, text := f.site(ctx, out, c)
	if reply != nil || c.Fixed || len(s.hosts) == 0 {
		return s, reply, text
	}
	if preset := out.Ways.ForMX(c, []string{best(s.hosts).name}); preset.Transport != c.Transport || len(preset.Relays) > 0 {
		preset.Fixed = true
		if len(preset.Relays) == 0 && preset.NextHop == c.NextHop && isMail(preset.Transport.Kind) {
			return newSite(preset, s.hosts).demanding(s.demand), nil, ""
		}
		return f.site(ctx, out, preset)
	}
	return s, nil, ""
}

// isMail tells the kinds that talk to a host.
func isMail(k transport.Kind) bool { return k == transport.SMTP || k == transport.LMTP }

// answered sends those on who waited for a site, or back.
func (m *remote) answered(out *Outbound, d *destination, s site, reply *smtp.Reply, text string) {
	now, waiting := time.Now(), d.waiting
	d.waiting, d.asked = nil, false
	switch {
	case reply == nil:
		d.succeeded()
		d.site, d.found = s, now
		for _, a := range waiting {
			m.join(out, a, s, now)
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
