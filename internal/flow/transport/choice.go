package transport

import (
	"cmp"
	"slices"

	"facteur/internal/mail/address"
)

// Mail is what a way is chosen for: one recipient of an item.
type Mail struct {
	// ID is the item's: it decides who is diverted, and which relay is the first, the
	// same at each attempt.
	ID                int64
	Sender, Recipient address.Address
	// Domain is where it goes by its route: the recipient's domain, or an address
	// literal in brackets.
	Domain string
	// Here: the recipient is a mailbox of ours.
	Here bool
	// Attempts is how often it was tried before. What was diverted and did not get
	// there in divertTries attempts takes the usual way.
	Attempts int
	// Found is what tables outside of the Table said about it.
	Found Found
}

// Choice is the way that one recipient takes.
type Choice struct {
	Transport *Transport
	// NextHop is the domain that it is for, or what a map put in its place.
	NextHop string
	// Relays take it, the first that does; without any, the MX hosts of NextHop do.
	Relays []Relay
	// Port is where the MX hosts listen; 0 is the transport's.
	Port uint16
	// Named: the admin wrote the next hop. Its hosts may be in private networks.
	Named bool
	// Text is what Error answers and why Hold holds.
	Text string
	// Why says who decided: "facteur.toml:12", "/etc/postfix/transport:3", "preset
	// orange"; "" for the usual way. It is for people.
	Why string

	// Diverted: it has the share of a transport that another one takes.
	Diverted bool
	// Fixed: the choice does not depend on the MX hosts (see Table.ForMX).
	Fixed bool

	mail Mail
}

// ByMX tells whether the choice may yet change with the MX hosts of the domain.
func (c Choice) ByMX() bool {
	return !c.Fixed && len(c.Relays) == 0 && c.Transport.Kind == SMTP
}

// through is the choice of a transport for all that is mail for a next hop.
func (c Choice) through(t *Transport) Choice {
	c.Transport, c.Text = t, t.Text
	c.Relays = t.orders.of(c.mail.ID, t.Relays)
	return c
}

// divertTries is how many attempts are made by way of a diversion, which may refuse or
// be out of order: greylisting needs two, from the same address.
const divertTries = 3

// diverted goes another way with a share of the mail.
func (c Choice) diverted() Choice {
	t := c.Transport
	if t.divert == nil || c.mail.Attempts >= divertTries || int(mix(c.mail.ID, 1)%100) >= t.DivertPercent {
		return c
	}
	return c.diversion()
}

func (c Choice) diversion() Choice {
	t := c.Transport
	c = c.through(t.divert)
	c.Fixed, c.Diverted = true, true
	c.Why = join(c.Why, "diverted from "+t.Name)
	return c
}

// Undiverted is the same mail as it takes the usual way, with no share diverted.
func (m Mail) Undiverted() Mail {
	m.Attempts = divertTries
	return m
}

// Diversion is the way of the share of mail that a choice for undiverted mail leaves to
// another transport, and that share in percent; 0 without one.
func (c Choice) Diversion() (Choice, int) {
	if c.Diverted || c.Transport.divert == nil {
		return c, 0
	}
	return c.diversion(), c.Transport.DivertPercent
}

// ByWeight are the relays with the largest share of the mail first; without weights they
// stand as they are tried.
func (c Choice) ByWeight() []Relay {
	list := slices.Clone(c.Relays)
	slices.SortStableFunc(list, func(a, b Relay) int {
		if a.Weight != b.Weight || a.Weight == 0 {
			return b.Weight - a.Weight
		}
		return cmp.Or(cmp.Compare(a.Host+a.Socket, b.Host+b.Socket), cmp.Compare(a.Port, b.Port))
	})
	return list
}

func join(why, more string) string {
	if why == "" {
		return more
	}
	return why + ", " + more
}

// mix makes a number that looks random of an ID, another one for each salt
// (splitmix64's finisher).
func mix(id int64, salt uint64) uint64 {
	x := uint64(id) + salt*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
