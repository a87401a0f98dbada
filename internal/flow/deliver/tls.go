package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
	"facteur/internal/net/tlspolicy"
)

// finder is what finds the way to other hosts.
func (h House) finder() finder {
	keeper := h.TLS
	if keeper == nil {
		keeper = tlspolicy.New(tlspolicy.Config{Resolver: h.Resolver, Events: h.Events})
	}
	return finder{hostname: h.Hostname, resolver: h.Resolver, tls: keeper, events: h.Events, memory: smtpc.NewMemory()}
}

// demanding is the site with what its domain demands of TLS. Domains with the same hosts
// and other demands do not share connections.
func (s site) demanding(d *tlspolicy.Demand) site {
	s.demand = d
	if key := d.Key(); key != "" {
		s.name += " " + key
	}
	if d.Trusts() && slices.ContainsFunc(s.hosts, func(h host) bool { return h.secure || h.name == s.nexthop }) {
		s.name += " dnssec" // the TLSA records of the hosts count
	}
	return s
}

// relaxed is the site for a message whose sender puts its delivery above TLS (RFC 8689 §5):
// without what the domain publishes. It has a line of its own, for neither may such a
// connection take other mail, nor a host that is not good enough for that hold it up.
// Relays are the admin's, and stay as he wants them.
func (s site) relaxed() site {
	if d := s.demand.Relaxed(); d != s.demand {
		s.demand = d
		s.name += " " + d.Key()
	}
	return s
}

// unreported is the site for reports to other servers: its sessions are its own, and are
// counted nowhere (LOOP-013).
func (s site) unreported() site {
	s.quiet = true
	s.name += " unreported"
	return s
}

// demand is what a site's next hop demands, for a host that the admin named what he
// demands of that.
func (f *finder) demand(ctx context.Context, out *Outbound, t *transport.Transport, nexthop string) *tlspolicy.Demand {
	return f.tls.Demand(ctx, out.tlsRules(), tlspolicy.Destination{Domain: nexthop, Default: t.TLS})
}

func (o *Outbound) tlsRules() *tlspolicy.Rules {
	if o.TLS == nil {
		return tlspolicy.NewRules(tlspolicy.Rules{Roots: o.Roots}, nil)
	}
	return o.TLS
}

// demandOf is the demand that holds for one host of a site.
func (f *finder) demandOf(ctx context.Context, out *Outbound, s site, h host) *tlspolicy.Demand {
	if h.relay == nil {
		if s.demand == nil {
			return f.demand(ctx, out, s.transport, s.nexthop)
		}
		return s.demand
	}
	to := tlspolicy.Destination{Domain: h.name, Named: true, Default: s.transport.TLS}
	switch r := h.relay; {
	case h.socket != "": // nobody listens between two processes
		to.Domain = ""
	case r.Verify, r.User != "" && !r.Encrypt && !isLoopback(h.name):
		to.Least = tlspolicy.Verify
	case r.Encrypt:
		to.Least = tlspolicy.Encrypt
	}
	return f.tls.Demand(ctx, out.tlsRules(), to)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}

// bond is what TLS a connection to a host has to have.
type bond struct {
	demand *tlspolicy.Demand
	terms  tlspolicy.Terms
}

// bond decides about a host. A reply says why it gets no mail at this time.
func (f *finder) bond(ctx context.Context, out *Outbound, s site, h host, addrs dns.Host, n need) (bond, *smtp.Reply) {
	b := bond{demand: f.demandOf(ctx, out, s, h)}
	if s.quiet {
		b.demand = b.demand.Quiet()
	}
	peer := tlspolicy.Host{Name: h.name, Port: h.port, Secure: h.secure, Addrs: addrs}
	var err error
	if b.terms, err = f.tls.Terms(ctx, b.demand, peer); err == nil && n.tls {
		b.terms, err = b.terms.RequireTLS(b.demand)
	}
	var refused *tlspolicy.Refusal
	if !errors.As(err, &refused) {
		return b, nil
	}
	if refused.Permanent {
		return b, smtp.NewReply(550, "5.7.30", refused.Text)
	}
	f.tls.Refused(b.demand, b.terms, peer, refused)
	return b, smtp.NewReply(451, "4.7.5", refused.Text)
}

// apply puts a bond into the settings of a connection.
func (f *finder) apply(out *Outbound, b bond, to site, c *smtpc.Config) {
	b.terms.Apply(c)
	c.Memory, c.Policy = f.memory, b.demand.Key()
	c.Observe = func(s smtpc.Session) {
		f.tls.Observed(b.demand, b.terms, s)
		if e := (Secured{Session: s, Program: to.logger(), roots: out.Roots}); f.events != nil && e.worthTelling(out.TLSLog) {
			f.events.Emit(e)
		}
	}
}

// unsafe puts into words why a host was not good enough, as Postfix says it; "" when
// that was not the reason.
func (b bond) unsafe(peer string, err error) (enhanced, text string) {
	because := ""
	switch {
	case b.terms.Security < smtpc.Encrypted:
		because = " (needed: for the password)" // nothing else demands it
	case b.terms.Why != "":
		because = " (needed: " + b.terms.Why + ")"
	}
	switch {
	case !errors.Is(err, smtpc.ErrNoTLS):
		return "", ""
	case errors.Is(err, smtpc.ErrNotOffered):
		return "4.7.4", fmt.Sprintf("TLS is required, but was not offered by host %s%s", peer, because)
	case errors.Is(err, smtpc.ErrStartTLS):
		return "4.7.4", fmt.Sprintf("TLS is required, but host %s refused to start TLS%s: %v", peer, because, err)
	case b.terms.Security == smtpc.Verified:
		return "4.7.5", fmt.Sprintf("Server certificate not verified: host %s%s: %s", peer, because, reason(err))
	}
	return "4.7.5", fmt.Sprintf("Cannot start TLS with host %s%s: %s", peer, because, reason(err))
}

// reason is an error without the words that every such error begins with.
func reason(err error) string {
	text := err.Error()
	if i := strings.Index(text, smtpc.ErrNoTLS.Error()+": "); i >= 0 {
		text = text[i+len(smtpc.ErrNoTLS.Error())+2:]
	}
	return text
}

// Secured tells how a connection to another host came to its TLS, or that it has none.
type Secured struct {
	smtpc.Session
	// Program is what the line of the log begins with.
	Program string
	roots   *x509.CertPool
}

// worthTelling: what the admin wants to hear of, and always that a host offers TLS and
// can't do it, so that mail goes in clear.
func (e Secured) worthTelling(all bool) bool {
	return all && e.TLS != nil || e.TLS == nil && !e.Failed && !errors.Is(e.Err, smtpc.ErrNotOffered)
}

// Level implements event.Event.
func (e Secured) Level() slog.Level {
	if e.TLS == nil {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Record implements event.Event.
func (e Secured) Record() (string, []slog.Attr) {
	if e.TLS == nil {
		return "no TLS", []slog.Attr{slog.String("relay", e.Peer), slog.String("error", e.Err.Error())}
	}
	return "TLS", []slog.Attr{slog.String("relay", e.Peer), slog.String("trust", e.trust()),
		slog.String("version", tls.VersionName(e.TLS.Version)), slog.String("cipher", tls.CipherSuiteName(e.TLS.CipherSuite))}
}

// Line implements event.Event, in Postfix's words (smtp_tls_loglevel = 1).
func (e Secured) Line() (string, string) {
	if e.TLS == nil {
		return e.Program, fmt.Sprintf("warning: TLS with %s failed, the mail goes in clear: %v", e.Peer, e.Err)
	}
	return e.Program, fmt.Sprintf("%s TLS connection established to %s: %s with cipher %s",
		e.trust(), withPort(e.Peer), strings.ReplaceAll(tls.VersionName(e.TLS.Version), "TLS 1.", "TLSv1."), tls.CipherSuiteName(e.TLS.CipherSuite))
}

func (e Secured) trust() string { return tlspolicy.Trust(*e.TLS, e.Verified, e.roots) }

// withPort gives the port even where it is the usual one, as Postfix does here.
func withPort(peer string) string {
	if strings.HasSuffix(peer, "]") {
		return peer + ":25"
	}
	return peer
}

// travelled is how a connection's mail goes, for the reader of a journey; "" between two
// processes.
func travelled(c *smtpc.Conn) string {
	state, ok := c.TLS()
	switch {
	case c.Addr().Network() == "unix":
		return ""
	case !ok && c.TLSFailure() != nil:
		return "in clear, because TLS failed"
	case !ok:
		return "in clear"
	case c.Verified():
		return "under " + tls.VersionName(state.Version) + ", with a certificate that proves who it is"
	}
	return "under " + tls.VersionName(state.Version)
}

var _ event.Event = Secured{}
