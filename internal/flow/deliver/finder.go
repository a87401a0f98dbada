package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
	"facteur/internal/store/queue"
)

// Outbound is what the admin set for mail that goes out. An Outbound is not
// changed once it is in use.
type Outbound struct {
	// Smarthosts take all mail when there are any; the first that answers gets it.
	Smarthosts []Smarthost
	// Port is where other mail hosts listen: 25 but for tests.
	Port uint16
	Helo string
	// IPv4 and IPv6 are the families that may be used.
	IPv4, IPv6 bool
	// Bind are the local addresses to connect from, at most one of each family.
	Bind []netip.Addr
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
	// Roots are the authorities whose certificates count where a host has to prove
	// its name; nil: those of the system.
	Roots *x509.CertPool
	// Self is what we are called and reached at, to know a loop.
	Self dns.Self
}

// Smarthost is a host that sends our mail on.
type Smarthost struct {
	Host string // a name or an address
	Port uint16
}

// destination is the line that a hop waits in.
func (o *Outbound) destination(h route.Hop) string {
	if len(o.Smarthosts) > 0 {
		return "smarthost"
	}
	return h.Name
}

// need is what a message wants of the connection that it goes over.
type need struct {
	// tls: the host has proved its name under TLS, and offers REQUIRETLS (RFC 8689).
	tls bool
}

func needOf(it *queue.Item) need { return need{tls: it.RequireTLS} }

// metBy tells whether a connection will do.
func (n need) metBy(c *smtpc.Conn) bool {
	return !n.tls || c.Verified() && c.Extensions().RequireTLS
}

// finder finds the hosts of a destination and connects to the first that takes us.
type finder struct {
	hostname string
	resolver *dns.Resolver
}

// connect gives a connection, or a reply that says why there is none and the same
// in the words of the log.
func (f *finder) connect(ctx context.Context, out *Outbound, hop route.Hop, n need) (*smtpc.Conn, *smtp.Reply, string) {
	ctx = dns.WithBudget(ctx, dns.DefaultBudget)
	if len(out.Smarthosts) > 0 {
		return f.viaSmarthost(ctx, out, n)
	}
	hosts, reply := f.hosts(ctx, out, hop.Name)
	if reply != nil {
		return nil, reply, reply.Text()
	}
	return f.first(ctx, out, hosts, n)
}

// hosts are the mail hosts of a domain, best first.
func (f *finder) hosts(ctx context.Context, out *Outbound, domain string) ([]smtpc.Target, *smtp.Reply) {
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		return literalHost(out, strings.TrimSuffix(literal, "]"))
	}
	a := f.resolver.MailHosts(ctx, domain)
	switch a.State() {
	case lookup.TryAgain:
		return nil, smtp.NewReply(451, "4.4.3", nameServiceError(domain, a.Err()))
	case lookup.NotFound:
		return nil, noHost(domain, a.Err())
	}
	better, loop := out.Self.Before(a.Value())
	if loop {
		return nil, smtp.NewReply(554, "5.4.6", fmt.Sprintf("mail for %s loops back to myself", domain))
	}
	targets := make([]smtpc.Target, len(better))
	for i, mx := range better {
		targets[i] = smtpc.Target{Host: mx.Host, Port: out.Port}
	}
	return targets, nil
}

func noHost(domain string, why error) *smtp.Reply {
	if errors.Is(why, dns.ErrNullMX) {
		return smtp.NewReply(556, "5.1.10", fmt.Sprintf("Domain %s does not accept mail (nullMX)", domain))
	}
	return smtp.NewReply(550, "5.4.4", nameServiceError(domain, why))
}

func nameServiceError(name string, why error) string {
	return fmt.Sprintf("Host or domain name not found. Name service error for name=%s: %v", name, why)
}

// literalHost is the host of an address literal (RFC 5321 §4.1.3).
func literalHost(out *Outbound, literal string) ([]smtpc.Target, *smtp.Reply) {
	addr, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
	if err != nil {
		return nil, smtp.NewReply(550, "5.1.2", "Address literal can't be reached")
	}
	return []smtpc.Target{{Host: addr.String(), Addrs: []netip.Addr{addr}, Port: out.Port}}, nil
}

func (f *finder) viaSmarthost(ctx context.Context, out *Outbound, n need) (*smtpc.Conn, *smtp.Reply, string) {
	targets := make([]smtpc.Target, len(out.Smarthosts))
	for i, s := range out.Smarthosts {
		targets[i] = smtpc.Target{Host: s.Host, Port: s.Port}
	}
	trusted := *out
	trusted.AllowPrivate = true // the admin named it
	return f.first(ctx, &trusted, targets, n)
}

// first connects to the first target that takes us. The words of the last one
// that may take us later are the answer: a host that refuses to talk has said
// nothing about the letter. Only where no host can ever be reached it has failed.
func (f *finder) first(ctx context.Context, out *Outbound, targets []smtpc.Target, n need) (_ *smtpc.Conn, reply *smtp.Reply, text string) {
	for _, t := range targets {
		conn, r, said := f.dial(ctx, out, t, n)
		if conn == nil && (reply == nil || r.Temporary()) {
			reply, text = r, said
		}
		if conn != nil {
			if strings.EqualFold(conn.Extensions().Host, f.hostname) {
				conn.Quit(ctx)
				reply = smtp.NewReply(554, "5.4.6", "mail loops back to myself")
				return nil, reply, fmt.Sprintf("mail loops back to myself: %s greets as %s", conn.Peer(), f.hostname)
			}
			return conn, nil, ""
		}
	}
	return nil, reply, text
}

func (f *finder) dial(ctx context.Context, out *Outbound, t smtpc.Target, n need) (*smtpc.Conn, *smtp.Reply, string) {
	if t.Addrs == nil {
		a := f.resolver.LookupAddr(ctx, t.Host)
		switch a.State() {
		case lookup.TryAgain:
			reply := smtp.NewReply(451, "4.4.3", nameServiceError(t.Host, a.Err()))
			return nil, reply, reply.Text()
		case lookup.NotFound:
			reply := noHost(t.Host, a.Err())
			return nil, reply, reply.Text()
		}
		t.Addrs = a.Value()
		if !out.AllowPrivate && !slices.ContainsFunc(t.Addrs, dns.Public) {
			reply := smtp.NewReply(550, "5.4.4", fmt.Sprintf("mail host %s has no address on the public Internet", t.Host))
			return nil, reply, reply.Text()
		}
	}
	t.Addrs = out.usable(t.Addrs)
	conn, err := smtpc.Dial(ctx, t, out.client(n))
	if err == nil && n.metBy(conn) {
		return conn, nil, ""
	}
	if err == nil {
		conn.Quit(ctx)
		reply := insecure(conn.Peer())
		return nil, reply, reply.Text()
	}
	if n.tls && errors.Is(err, smtpc.ErrNotOffered) {
		reply := insecure(t.Host)
		return nil, reply, reply.Text()
	}
	text := err.Error()
	var failure *smtpc.Failure
	if errors.As(err, &failure) && failure.Err == nil {
		text = said(failure.Peer, failure.Result)
	}
	return nil, smtp.NewReply(451, "4.4.1", text), text
}

// insecure is the answer for a host that offers no REQUIRETLS to a message that
// wants it (RFC 8689 §4.2.1). A host that offers it and can't prove its name may be
// mended: that waits.
func insecure(host string) *smtp.Reply {
	return smtp.NewReply(550, "5.7.30", fmt.Sprintf("the message must travel under TLS all the way, and host %s does not promise that (REQUIRETLS)", host))
}

// usable are the addresses that may be tried: of an enabled family and not our own.
func (o *Outbound) usable(addrs []netip.Addr) (out []netip.Addr) {
	for _, a := range addrs {
		if (a.Unmap().Is4() && o.IPv4 || !a.Unmap().Is4() && o.IPv6) && !o.Self.IsAddr(a) {
			out = append(out, a)
		}
	}
	return out
}

func (o *Outbound) client(n need) smtpc.Config {
	c := smtpc.Config{Hello: o.Helo, Timeouts: o.Timeouts, Bind: o.Bind}
	if n.tls {
		c.Security, c.TLS = smtpc.Verified, &tls.Config{RootCAs: o.Roots}
	}
	if !o.AllowPrivate {
		c.Permit = dns.Public
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
