package deliver

import (
	"time"

	"facteur/internal/flow/route"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// fork is what recipients share who go in one attempt.
type fork struct {
	route, nexthop, relays, text string
	via                          *transport.Transport
	port                         uint16
	named, fixed, owned          bool
	sender, forwarder            address.Address
}

// split makes attempts of the recipients of an item that go the same way, from the same
// sender, forwarded from the same address or not at all: the item of an attempt has the
// sender that its recipients have. The way is
// chosen now, and not when the item came: a reload applies to what waits. What tables
// said is by recipient; nil where there are none.
func (o *Outbound) split(it *queue.Item, said []transport.Found, now time.Time) []*attempt {
	if said == nil {
		said = make([]transport.Found, len(it.Recipients))
	}
	if len(it.Recipients) == 1 {
		hop := hopOf(it.Recipients[0])
		c := o.choose(it, it.Recipients[0], hop, said[0])
		return []*attempt{{item: sentFor(it, it.Recipients[0]), hop: hop, choice: c, claimed: now}}
	}
	var out []*attempt
	open := make(map[fork]*attempt)
	for i, r := range it.Recipients {
		hop := hopOf(r)
		c := o.choose(it, r, hop, said[i])
		f := forkOf(r, c)
		f.sender, f.owned, f.forwarder = it.SenderOf(r), r.Owned, r.Forwarder
		a := open[f]
		if a == nil || c.Transport.Kind != transport.Mailbox && len(a.item.Recipients) >= o.paceOf(c.Transport).Recipients {
			part := *sentFor(it, r)
			part.Recipients = nil
			a = &attempt{item: &part, hop: hop, route: r.Route, choice: c, claimed: now}
			open[f] = a
			out = append(out, a)
		}
		a.item.Recipients = append(a.item.Recipients, r)
	}
	return out
}

// nowhere is the way of what ends here and in no mailbox; see verdict.
var nowhere = &transport.Transport{Name: "local", Kind: transport.Discard}

// sentFor is an item as it leaves for one of its recipients. What the owner of a list
// sends on is his: the sender's wishes about notices were kept when it came to the list
// (RFC 3461 §5.2.7.1).
func sentFor(it *queue.Item, r queue.Recipient) *queue.Item {
	if r.Sender == nil {
		return it
	}
	other := *it
	if other.Sender = *r.Sender; r.Owned {
		other.EnvelopeID, other.Ret = "", smtp.RetUnset
	}
	return &other
}

func (o *Outbound) choose(it *queue.Item, r queue.Recipient, hop route.Hop, said transport.Found) transport.Choice {
	if !hasWay(hop) {
		return transport.Choice{Transport: nowhere}
	}
	m := mailOf(it, r, hop)
	m.Found = said
	return o.Ways.Choose(m)
}

// hasWay tells that the transports have a say.
func hasWay(hop route.Hop) bool { return hop.Kind == route.Mailbox || hop.Kind == route.Remote }

// mailOf is what a way is chosen for.
func mailOf(it *queue.Item, r queue.Recipient, hop route.Hop) transport.Mail {
	m := transport.Mail{ID: int64(it.ID), Sender: it.SenderOf(r), Recipient: r.Address, Domain: hop.Name, Here: hop.Kind == route.Mailbox, Attempts: r.Attempts}
	if m.Here {
		m.Domain = r.Address.Domain
	}
	return m
}

func forkOf(r queue.Recipient, c transport.Choice) fork {
	f := fork{route: r.Route, nexthop: c.NextHop, text: c.Text, via: c.Transport, port: c.Port, named: c.Named, fixed: c.Fixed}
	if len(c.Relays) > 0 {
		f.route, f.nexthop = "", "" // relays take it, whatever the domain
	}
	for _, h := range relayHosts(c.Relays) {
		f.relays += h.place() + ","
	}
	return f
}

// hopOf reads a route. One that this program can't read goes by the address.
func hopOf(r queue.Recipient) route.Hop {
	hop, err := route.ParseHop(r.Route)
	if err != nil {
		return route.Hop{Kind: route.Remote, Name: r.Address.Domain}
	}
	return hop
}
