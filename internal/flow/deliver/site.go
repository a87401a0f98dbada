package deliver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/net/tlspolicy"
)

// site is where mail goes: the hosts that take it, and the way there. Domains with the
// same hosts are one site.
type site struct {
	transport *transport.Transport
	// nexthop is the domain that it is for, or what a map put in its place. Sites of
	// the same key may differ in it.
	nexthop string
	// hosts are tried in this order; none for a transport that needs none.
	hosts []host
	// operator is the registered domain of the best host, whom all its sites share
	// their pace with.
	operator string
	name     string // see key
	// demand is what the domain demands of TLS; nil where the hosts are the admin's.
	demand *tlspolicy.Demand
	quiet  bool // see unreported
}

// host is a machine that takes mail for a site.
type host struct {
	// name is looked up, unless it is an address; socket is the path of a Unix socket
	// in its place.
	name, socket string
	port         uint16
	// preference is that of its MX record.
	preference uint16
	// secure: the MX record was validated by DNSSEC.
	secure bool
	// relay is what the admin said about it; nil for a host found by MX.
	relay *transport.Relay
	// trusted: the admin named it, or the domain whose MX host it is, so that it may
	// have a private address.
	trusted bool
}

// String is the host's name, or what stands for it.
func (h host) String() string {
	if h.socket != "" {
		return "localhost" // as Postfix's lmtp(8) calls it
	}
	return h.name
}

// place is the host with its port, or its socket.
func (h host) place() string {
	if h.socket != "" {
		return "unix:" + h.socket
	}
	return h.name + ":" + strconv.Itoa(int(h.port))
}

// key names the line that mail for the site waits in, and the connections that it
// can share: a transport and a set of hosts.
func (s site) key() string { return s.name }

// newSite is a site with its key and operator.
func newSite(c transport.Choice, hosts []host) site {
	s := site{transport: c.Transport, nexthop: c.NextHop, hosts: hosts}
	if len(hosts) == 0 {
		s.operator, s.name = c.NextHop, c.Transport.Name+" "+c.NextHop
		return s
	}
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.place()
	}
	s.operator = operatorOf(best(hosts))
	if hosts[0].relay == nil {
		slices.Sort(names) // MX hosts of the same preference come in random order
	}
	s.name = c.Transport.Name + " " + strings.Join(names, ",")
	return s
}

// best is the first by name of the hosts with the best preference, always the same.
func best(hosts []host) host {
	first := hosts[0]
	for _, h := range hosts[1:] {
		if first.relay == nil && h.preference == first.preference && h.name < first.name {
			first = h
		}
	}
	return first
}

// operatorOf is the registered domain of a host, "google.com", or the host itself
// when it has none.
func operatorOf(h host) string {
	if h.socket != "" {
		return h.socket
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(h.name); err == nil && !isAddr(h.name) {
		return domain
	}
	return h.name
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// site finds the hosts that take mail on a way. A reply says why there are none, and
// the text the same in the words of the log.
func (f *finder) site(ctx context.Context, out *Outbound, c transport.Choice) (site, *smtp.Reply, string) {
	switch c.Transport.Kind {
	case transport.SMTP, transport.LMTP:
	default:
		return newSite(c, nil), nil, ""
	}
	if len(c.Relays) > 0 {
		return f.relaySites.of(c), nil, ""
	}
	hosts, reply := f.mailHosts(dns.WithBudget(ctx, dns.DefaultBudget), out, c)
	if reply != nil {
		return newSite(c, nil), reply, reply.Text()
	}
	return newSite(c, hosts).demanding(f.demand(ctx, out, c.Transport, c.NextHop)), nil, ""
}

func relayHosts(relays []transport.Relay) []host {
	hosts := make([]host, len(relays))
	for i := range relays {
		r := &relays[i]
		hosts[i] = host{name: r.Host, socket: r.Socket, port: r.Port, relay: r, trusted: true}
	}
	return hosts
}

// mailHosts are the hosts of the next hop, best first.
func (f *finder) mailHosts(ctx context.Context, out *Outbound, c transport.Choice) ([]host, *smtp.Reply) {
	domain, port := c.NextHop, out.port(c)
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		return literalHost(strings.TrimSuffix(literal, "]"), port)
	}
	a := f.resolver.MailHosts(ctx, domain)
	switch a.State() {
	case lookup.TryAgain:
		return nil, smtp.NewReply(451, "4.4.3", nameServiceError(domain, a.Err()))
	case lookup.NotFound:
		return nil, noHost(domain, a.Err())
	}
	better, loop := f.selfAmong(ctx, out.Self, a.Value()).Before(a.Value())
	if loop {
		return nil, smtp.NewReply(554, "5.4.6", fmt.Sprintf("mail for %s loops back to myself", domain))
	}
	hosts := make([]host, len(better))
	for i, mx := range better {
		hosts[i] = host{name: mx.Host, port: port, preference: mx.Preference, secure: mx.Secure, trusted: c.Named}
	}
	return hosts, nil
}

// selfAmong is who we are among mail hosts: by our names, and by the addresses that we are
// reached at and don't see ourselves. A host whose addresses are not known now is not us;
// when it is its turn, its address is.
func (f *finder) selfAmong(ctx context.Context, self dns.Self, hosts []dns.MX) dns.Self {
	if len(self.Addrs) == 0 {
		return self
	}
	self.Names = slices.Clip(self.Names)
	for _, mx := range hosts {
		if a := f.resolver.LookupAddr(ctx, mx.Host); a.State() == lookup.Found && slices.ContainsFunc(a.Value(), self.IsAddr) {
			self.Names = append(self.Names, mx.Host)
		}
	}
	return self
}

// literalHost is the host of an address literal (RFC 5321 §4.1.3).
func literalHost(literal string, port uint16) ([]host, *smtp.Reply) {
	addr, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
	if err != nil {
		return nil, smtp.NewReply(550, "5.1.2", "Address literal can't be reached")
	}
	return []host{{name: addr.String(), port: port}}, nil
}
