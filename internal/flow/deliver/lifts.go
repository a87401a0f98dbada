package deliver

import (
	"slices"
	"time"

	"facteur/internal/store/queue"
)

// lifts are the domains whose mail somebody wants tried now, the last one behind. What
// holds that mail is not known before it comes: the relay of its sender, a site of many
// domains. The first letter of a domain that finds a place dead since before ends that.
type lifts []lifted

type lifted struct {
	domain string
	at     time.Time
}

// liftsMax bounds how many are remembered. The oldest is forgotten first.
const liftsMax = 64

// with is the list with one more.
func (l lifts) with(domain string, now time.Time) lifts {
	l = slices.DeleteFunc(l, func(x lifted) bool { return x.domain == domain })
	if len(l) >= liftsMax {
		l = slices.Delete(l, 0, len(l)-liftsMax+1)
	}
	return append(l, lifted{domain, now})
}

// since tells whether mail for any of the recipients was asked for after a moment.
func (l lifts) since(to []queue.Recipient, moment time.Time) bool {
	for _, x := range slices.Backward(l) {
		if !x.at.After(moment) {
			return false
		}
		if slices.ContainsFunc(to, func(r queue.Recipient) bool { return covers(x.domain, r.Address.Domain) }) {
			return true
		}
	}
	return false
}

// lift ends the suspension of what holds mail for a domain, or with ".example.org" for it
// and all below it: the next attempt is made. With "" it is that of all places, and
// relays, addresses and families that rest are tried in their turn again.
func (m *remote) lift(domain string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if domain != "" {
		m.lifts = m.lifts.with(domain, time.Now())
		return
	}
	m.finder.rests.wakeAll()
	for _, d := range m.destinations {
		d.lift()
	}
	for _, l := range m.lines {
		l.lift()
	}
}

// isDead tells whether an attempt finds a place dead, with nobody wanting it tried.
func (m *remote) isDead(s *suspension, a *attempt, now time.Time) bool {
	if s.health(now) != dead {
		return false
	}
	if m.lifts.since(a.item.Recipients, s.since) {
		s.lift()
	}
	return s.health(now) == dead
}
