package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/records"
	"facteur/internal/base/conf"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/net/dns"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/dkimkey"
)

// World is all that the checks look at. A nil function is something that is not there.
type World struct {
	Config   *config.Config
	Resolver *dns.Resolver
	// Domains are those to be looked at.
	Domains []Domain
	// Before: nothing is installed yet. Then only what the machine has to bring along is
	// looked at.
	Before bool
	// Sources are where mail leaves from; Here finds the address that the system chooses
	// for a family, without sending anything.
	Here func(family string) (netip.Addr, error)
	// Certificates are those that the door shows; CertificateError is what kept some from
	// being read. Roots are the authorities that count; nil: the system's.
	Certificates     []tls.Certificate
	CertificateError error
	Roots            *x509.CertPool
	// House is a domain as it should be published.
	House func(domain string) records.House
	// Keys are those that sign the mail of a domain.
	Keys func(domain string) (dkimkey.Ring, error)
	// Leads tells where mail for an address goes, in addresses and other words; the error
	// is a refusal's.
	Leads func(ctx context.Context, address string) ([]string, error)
	// Knock tries envelopes at the door for other servers, as strangers would, and gives
	// the reply to each. nil: the server does not run.
	Knock func(ctx context.Context, tries []Try) ([]Reply, error)
	// Scanners asks the scanners of the settings whether they are there.
	Scanners func(ctx context.Context) ([]scanner.Status, error)
	// Dial connects to others, from a local address if it is valid.
	Dial func(ctx context.Context, from netip.Addr, to string) (net.Conn, error)
	// Policy fetches an MTA-STS policy.
	Policy func(ctx context.Context, domain string) (tlspolicy.Policy, error)
	// Disk and Clock look at the machine.
	Disk  func(dir string) (Disk, error)
	Clock func() (Clock, error)
	Now   time.Time
}

// Domain is one of ours.
type Domain struct {
	Name string
	// Receives: mail for it comes to this server. Backup: it is kept elsewhere.
	Receives, Backup bool
	NeverSends       bool
}

// Try is an envelope.
type Try struct{ From, To string }

// Reply is the answer to it: that to RCPT, or to MAIL where there it ended. Code 0: there was none.
type Reply struct {
	Code int
	Text string
}

// source is where mail leaves from, for one family of addresses.
type source struct {
	// local is bound to; not valid: the system chooses.
	local netip.Addr
	// public is what the world sees.
	public netip.Addr
}

func (s source) String() string { return s.public.String() }

// sources finds where mail leaves from. The error is that the name service could not tell
// of all.
func (w *World) sources(ctx context.Context) (list []source, err error) {
	bound := w.Config.Sources()
	look := func(local, a netip.Addr) {
		seen, doubt := w.seen(ctx, local, a)
		list, err = append(list, seen...), errors.Join(err, doubt)
	}
	for _, a := range bound {
		look(a, a)
	}
	for _, family := range w.families() {
		if slices.ContainsFunc(w.Config.Outbound.BindAddress, func(a conf.Addr) bool { return records.Family(a.Addr) == family }) {
			continue
		}
		if a, none := w.Here(family); none == nil {
			look(netip.Addr{}, a)
		}
	}
	slices.SortStableFunc(list, func(a, b source) int { return a.public.Compare(b.public) })
	return slices.CompactFunc(list, func(a, b source) bool { return a.public == b.public }), err
}

// families are those that mail leaves by, as the types of their records.
func (w *World) families() []string {
	switch w.Config.Outbound.InetProtocols {
	case config.InetIPv4:
		return []string{"A"}
	case config.InetIPv6:
		return []string{"AAAA"}
	}
	return []string{"A", "AAAA"}
}

// seen is an address of this machine as the world sees it: behind a router that translates
// it is one that the settings name, or, as the best guess, one that our name has.
func (w *World) seen(ctx context.Context, local, a netip.Addr) (list []source, err error) {
	if dns.Public(a) {
		return []source{{local: local, public: a}}, nil
	}
	if a.IsLoopback() && !local.IsValid() {
		return nil, nil
	}
	for _, own := range w.Config.OwnAddresses() {
		if records.Family(own) == records.Family(a) {
			list = append(list, source{local: local, public: own})
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	names := w.Resolver.LookupAddr(ctx, w.Config.Hostname)
	if names.State() == lookup.TryAgain {
		return nil, names.Err()
	}
	for _, own := range names.Value() {
		if records.Family(own) == records.Family(a) && dns.Public(own) {
			list = append(list, source{local: local, public: own})
		}
	}
	return list, nil
}

// from are the sources for a check; that they could not be told is a finding.
func (w *World) from(ctx context.Context, r *report) []source {
	list, err := w.sources(ctx)
	if err != nil {
		r.about("sources", Unknown, "It could not be told which addresses mail leaves from: %v.", err)
	}
	return list
}

// house is a domain as it should be published.
func (w *World) house(d Domain) records.House {
	h := w.House(d.Name)
	h.Receives, h.Relayed, h.NeverSends = d.Receives, d.Backup, d.NeverSends
	return h
}

// direct: mail goes to the mail hosts of its domains, and not through a smarthost.
func (w *World) direct() bool { return len(w.Config.Outbound.Smarthost) == 0 }
