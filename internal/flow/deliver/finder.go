package deliver

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rewrite"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/queue"
)

// Outbound is what the admin set for mail that goes out. An Outbound is not
// changed once it is in use.
type Outbound struct {
	// Ways says which mail takes which way; nil sends it to the MX hosts of its domain.
	Ways *transport.Table
	// Tables are asked before a way is chosen; nil where all that there is stands in Ways.
	Tables *transport.Tables
	// Port is where other mail hosts listen: 25 but for tests.
	Port uint16
	Helo string
	// IPv4 and IPv6 are the families that may be used.
	IPv4, IPv6 bool
	// Bind are the local addresses to connect from, at most one of each family.
	Bind []netip.Addr
	// RequireIPv6Name: no mail to strangers from an IPv6 address without a name in the DNS.
	RequireIPv6Name bool
	// AllowPrivate permits MX hosts with addresses that are not public.
	AllowPrivate bool
	// ReuseCount and ReuseTime bound the life of a connection, IdleTime its wait
	// for more to send.
	ReuseCount          int
	ReuseTime, IdleTime time.Duration
	// DestinationConcurrency and Concurrency are the most connections to one
	// destination and to all.
	DestinationConcurrency, Concurrency int
	Timeouts                            smtpc.Timeouts
	// NoChunking keeps to DATA where a host offers BDAT; NoResumption begins each TLS
	// connection anew.
	NoChunking, NoResumption bool
	// Roots are the authorities whose certificates count where a host has to prove
	// its name; nil: those of the system.
	Roots *x509.CertPool
	// TLS is what TLS destinations have to have; nil: what they publish themselves.
	TLS *tlspolicy.Rules
	// TLSLog tells of the TLS of each connection (Postfix's smtp_tls_loglevel = 1).
	TLSLog bool
	// Rewrite replaces addresses in mail that leaves, Forward sees to its senders; nil: they
	// are what they are.
	Rewrite *rewrite.Rules
	Forward *forward.Rules
	// Self is what we are called and reached at, to know a loop.
	Self dns.Self
	// Dial opens connections, as smtpc.Config has it; nil: the system.
	Dial func(ctx context.Context, network string, to netip.AddrPort, from netip.Addr) (net.Conn, error)
}

// port is where the MX hosts of a choice listen.
func (o *Outbound) port(c transport.Choice) uint16 {
	for _, port := range []uint16{c.Port, c.Transport.Port} {
		if port != 0 {
			return port
		}
	}
	return o.Port
}

// need is what a message wants of the connection that it goes over.
type need struct {
	// tls: the host has proved its name under TLS, and offers REQUIRETLS (RFC 8689).
	tls bool
}

func needOf(it *queue.Item) need { return need{tls: it.RequireTLS} }

// metBy tells whether a connection will do.
func (n need) metBy(c *smtpc.Conn) bool {
	return !n.tls || c.Proved() && c.Extensions().RequireTLS
}

// finder finds the hosts of a destination and connects to the first that takes us.
type finder struct {
	hostname string
	resolver *dns.Resolver
	tls      *tlspolicy.Keeper
	events   event.Sink
	// memory is what connections have taught about hosts: TLS sessions, and faults.
	memory *smtpc.Memory
	// rests are hosts, addresses and families that did not take us lately.
	rests      rests
	names      ownNames
	relaySites relaySites
}

// connect gives a connection to a host of the site, or a reply that says why there is
// none and the same in the words of the log.
func (f *finder) connect(ctx context.Context, out *Outbound, s site, n need) (*smtpc.Conn, *smtp.Reply, string) {
	return f.first(dns.WithBudget(ctx, dns.DefaultBudget), out, s, n)
}

// searchTime is after how long no other host of a site is tried.
const searchTime = 10 * time.Minute

func noHost(domain string, why error) *smtp.Reply {
	if errors.Is(why, dns.ErrNullMX) {
		return smtp.NewReply(556, "5.1.10", fmt.Sprintf("Domain %s does not accept mail (nullMX)", domain))
	}
	return smtp.NewReply(550, "5.4.4", nameServiceError(domain, why))
}

func nameServiceError(name string, why error) string {
	return fmt.Sprintf("Host or domain name not found. Name service error for name=%s: %v", name, why)
}

// first connects to the first host that takes us. The words of the last one that may
// take us later are the answer: a host that refuses to talk has said nothing about the
// letter. Only where no host can ever be reached it has failed. Hosts that only take time
// are not all tried (OUT-013): it is the turn of other mail after searchTime.
func (f *finder) first(ctx context.Context, out *Outbound, s site, n need) (_ *smtpc.Conn, reply *smtp.Reply, text string) {
	begun := time.Now()
	for _, h := range f.awake(s) {
		if reply != nil && time.Since(begun) >= searchTime {
			break
		}
		conn, r, said := f.dial(ctx, out, s, h, n)
		if conn == nil {
			f.relayFailed(ctx, s, h, said)
			if reply == nil || r.Temporary() {
				reply, text = r, said
			}
			continue
		}
		if out.mayLoop(s, h) && strings.EqualFold(conn.Extensions().Host, f.hostname) {
			conn.Quit(ctx)
			reply = smtp.NewReply(554, "5.4.6", "mail loops back to myself")
			return nil, reply, fmt.Sprintf("mail loops back to myself: %s greets as %s", conn.Peer(), f.hostname)
		}
		f.relayWorks(s, h)
		return conn, nil, ""
	}
	return nil, reply, text
}

// mayLoop tells whether a host that greets with our name is ourselves, and not another
// program on this machine that the admin named: a content filter or a mail store, which
// use the name of the machine too. As Postfix does, that is told by the port.
func (o *Outbound) mayLoop(s site, h host) bool {
	return s.transport.Kind == transport.SMTP && (h.relay == nil || h.port == o.Port)
}

// dial connects to one host.
func (f *finder) dial(ctx context.Context, out *Outbound, s site, h host, n need) (*smtpc.Conn, *smtp.Reply, string) {
	from := out.source(s.transport)
	addrs, reply := f.addrs(ctx, out, h)
	var without string
	if reply == nil && h.socket == "" {
		addrs.Addrs, without, reply = f.usable(ctx, out, from, h, addrs.Addrs)
	}
	if reply != nil {
		return nil, reply, reply.Text()
	}
	b, reply := f.bond(ctx, out, s, h, addrs, n)
	if reply != nil {
		return nil, reply, reply.Text()
	}
	cfg := out.client(s, h, from)
	f.apply(out, b, s, &cfg)
	conn, err := smtpc.Dial(ctx, smtpc.Target{Host: h.String(), Port: h.port, Addrs: addrs.Addrs, Socket: h.socket}, cfg)
	f.learn(s, from, addrs.Addrs, conn, err)
	if err == nil && n.metBy(conn) {
		return conn, nil, ""
	}
	if err == nil {
		conn.Quit(ctx)
		reply := insecure(conn.Peer())
		return nil, reply, reply.Text()
	}
	if n.tls && errors.Is(err, smtpc.ErrNotOffered) && !b.terms.Expected {
		reply := insecure(h.name)
		return nil, reply, reply.Text()
	}
	text := err.Error()
	if without != "" && noRoute(err) {
		text += "; its IPv6 addresses are not tried, as " + without
	}
	var failure *smtpc.Failure
	if errors.As(err, &failure) && failure.Err == nil {
		text = said(failure.Peer, failure.Result)
	}
	if failure != nil {
		if enhanced, text := b.unsafe(failure.Peer, err); text != "" {
			return nil, smtp.NewReply(451, enhanced, text), text
		}
	}
	return nil, smtp.NewReply(451, "4.4.1", text), text
}

// noRoute tells that this machine has no way to an address that was tried: often it has no
// IPv4 at all.
func noRoute(err error) bool {
	return slices.ContainsFunc(attemptsOf(nil, err), func(a smtpc.Attempt) bool { return errors.Is(a.Err, syscall.ENETUNREACH) })
}

// thisMachine is what the admin calls localhost: no name server needs to be asked, and many
// do not know it (RFC 6761 §6.3). It is a constant.
var thisMachine = dns.Host{Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, Name: "localhost"}

// addrs are the addresses of a host, or why it has none.
func (f *finder) addrs(ctx context.Context, out *Outbound, h host) (dns.Host, *smtp.Reply) {
	switch {
	case h.socket != "":
		return dns.Host{}, nil
	case h.relay != nil && strings.EqualFold(h.name, "localhost"):
		return thisMachine, nil
	}
	a := f.resolver.LookupHost(ctx, h.name)
	switch a.State() {
	case lookup.TryAgain:
		return dns.Host{}, smtp.NewReply(451, "4.4.3", nameServiceError(h.name, a.Err()))
	case lookup.NotFound:
		return dns.Host{}, noHost(h.name, a.Err())
	}
	if !out.mayBePrivate(h) && !slices.ContainsFunc(a.Value().Addrs, dns.Public) {
		return dns.Host{}, smtp.NewReply(550, "5.4.4", fmt.Sprintf("mail host %s has no address on the public Internet", h.name))
	}
	return a.Value(), nil
}

func (o *Outbound) mayBePrivate(h host) bool { return o.AllowPrivate || h.trusted }

// insecure is the answer for a host that offers no REQUIRETLS to a message that
// wants it (RFC 8689 §4.2.1). A host that offers it and can't prove its name may be
// mended, and one that is known to have TLS may be so again: that waits.
func insecure(host string) *smtp.Reply {
	return smtp.NewReply(550, "5.7.30", fmt.Sprintf("the message must travel under TLS all the way, and host %s does not promise that (REQUIRETLS)", host))
}

// client is how the client is to talk to a host of a site.
func (o *Outbound) client(s site, h host, from transport.Source) smtpc.Config {
	c := smtpc.Config{Hello: from.Helo, Timeouts: o.Timeouts, Bind: from.Bind, Dial: o.Dial, LMTP: s.transport.Kind == transport.LMTP,
		NoChunking: o.NoChunking, NoResumption: o.NoResumption}
	if !o.mayBePrivate(h) {
		c.Permit = dns.Public
	}
	if r := h.relay; r != nil {
		c.Implicit = r.Implicit
		if r.User != "" {
			c.Auth = &smtpc.Credentials{User: r.User, Password: r.Password.Reveal()}
		}
	}
	return c
}

// said is a result in the words of Postfix's log.
func said(peer string, r smtpc.Result) string {
	text := strconv.Itoa(r.Reply.Code) + " " + r.Reply.Text()
	if r.Reply.Enhanced != "" {
		text = r.Reply.Error()
	}
	switch {
	case r.Err != nil:
		return r.Reply.Text()
	case r.Delivered():
		return text
	}
	return fmt.Sprintf("host %s said: %s (in reply to %s command)", peer, text, r.Stage)
}
