package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/records"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/filter/scanner"
	"facteur/internal/net/dns"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/directory"
	"facteur/internal/store/dkimkey"
)

// Visit goes to the counter of the post office for a moment, be it open or closed.
type Visit func(ctx context.Context, fn func(context.Context, control.Office) error) error

// New is the real world of settings: this machine, the name service of the resolver, the
// counter. only, unless empty, is the one domain that is looked at.
func New(ctx context.Context, c *config.Config, r *dns.Resolver, visit Visit, only string) (*World, error) {
	w := machine(c, r)
	desk := counter{visit: visit}
	domains, err := desk.domains(ctx)
	if err != nil {
		return nil, err
	}
	w.Domains = chosen(c, domains, only)
	w.Leads, w.Knock = desk.leads, desk.knock
	w.Scanners = func(ctx context.Context) ([]scanner.Status, error) { return desk.scanners(ctx, c) }
	if len(w.Domains) == 0 && only != "" {
		return nil, &UnknownDomain{Name: only}
	}
	return w, nil
}

// UnknownDomain is the error for a domain that is not ours.
type UnknownDomain struct{ Name string }

// Error implements error.
func (e *UnknownDomain) Error() string {
	return e.Name + " is not a domain of this server; \"facteur domain list\" shows those that are, doctor.never_send has those that never send, and --before is for one that is to come here"
}

// NewBefore is the world of a machine where nothing is installed yet.
func NewBefore(c *config.Config, r *dns.Resolver, domain string) *World {
	w := machine(c, r)
	w.Before, w.Domains, w.Keys = true, []Domain{{Name: domain, Receives: true}}, nil
	return w
}

// machine is what is there without the counter.
func machine(c *config.Config, r *dns.Resolver) *World {
	chains, err := records.Certificates(c)
	keys := dkimkey.New(vfs.OS{}, filepath.Join(c.DataDir, "dkim"))
	policies := tlspolicy.New(tlspolicy.Config{Resolver: r})
	return &World{
		Config: c, Resolver: r, Here: here, Certificates: chains, CertificateError: err,
		House: func(domain string) records.House { return records.For(c, domain) },
		Keys:  keys.Ring, Dial: dial, Policy: policies.Fetch, Disk: LookAtDisk, Clock: LookAtClock, Now: time.Now(),
	}
}

// chosen are the domains to be looked at.
func chosen(c *config.Config, ours []directory.Domain, only string) (list []Domain) {
	for _, d := range ours {
		quiet := slices.Contains(c.Doctor.NeverSend, d.Name)
		list = append(list, Domain{Name: d.Name, Receives: true, Backup: d.Class == directory.ClassRelay, NeverSends: quiet})
	}
	for _, name := range c.Doctor.NeverSend {
		if !slices.ContainsFunc(list, func(d Domain) bool { return d.Name == name }) {
			list = append(list, Domain{Name: name, NeverSends: true})
		}
	}
	if only == "" {
		return list
	}
	return slices.DeleteFunc(list, func(d Domain) bool { return d.Name != only })
}

// here is the address that the system would send from. Connecting a UDP socket sends
// nothing; it asks the routing table alone.
func here(family string) (netip.Addr, error) {
	far := "198.41.0.4:53" // a root server
	if family == "AAAA" {
		far = "[2001:503:ba3e::2:30]:53"
	}
	conn, err := net.Dial("udp", far)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func dial(ctx context.Context, from netip.Addr, to string) (net.Conn, error) {
	var d net.Dialer
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", to)
}

// counter goes to the post office, one errand at a time: while no server runs, each has it
// to itself.
type counter struct {
	mu    sync.Mutex
	visit Visit
}

func (c *counter) errand(ctx context.Context, fn func(context.Context, control.Office) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.visit(ctx, fn)
}

func (c *counter) domains(ctx context.Context) (list []directory.Domain, err error) {
	err = c.errand(ctx, func(ctx context.Context, o control.Office) (err error) {
		list, err = o.Domains(ctx)
		return err
	})
	return list, err
}

// leads tells where an address leads.
func (c *counter) leads(ctx context.Context, who string) (ends []string, err error) {
	err = c.errand(ctx, func(ctx context.Context, o control.Office) error {
		a, err := o.Address(ctx, control.AddressQuestion{Address: who})
		if err == nil && strings.HasPrefix(a.Reply, "5") {
			err = &Refused{a.Reply}
		} else if err == nil && a.Reply != "" {
			err = errors.New(a.Reply)
		}
		for _, d := range a.Destinations {
			ends = append(ends, d.Address+" "+d.Name)
		}
		return err
	})
	return ends, err
}

// Refused is the error about an address that nobody has.
type Refused struct{ Reply string }

// Error implements error.
func (e *Refused) Error() string { return e.Reply }

// knock tries the door.
func (c *counter) knock(ctx context.Context, tries []Try) (replies []Reply, err error) {
	k := control.Knock{}
	for _, t := range tries {
		k.Tries = append(k.Tries, control.Envelope{From: t.From, To: t.To})
	}
	var answer control.Knocked
	err = c.visit(ctx, func(ctx context.Context, o control.Office) (err error) { // takes its time
		answer, err = o.Knock(ctx, k)
		return err
	})
	if err == nil && answer.Closed {
		return nil, ErrClosed
	}
	if err == nil && len(answer.Replies) != len(tries) {
		return nil, errors.New("the server did not answer to all")
	}
	for _, r := range answer.Replies {
		replies = append(replies, Reply{Code: r.Code, Text: r.Text})
	}
	return replies, err
}

// ErrClosed: the server does not run.
var ErrClosed = errors.New("the server does not run")

// scanners asks the scanners: the running server does, else we.
func (c *counter) scanners(ctx context.Context, settings *config.Config) ([]scanner.Status, error) {
	var known control.Scanners
	err := c.errand(ctx, func(ctx context.Context, o control.Office) (err error) {
		known, err = o.Scanners(ctx)
		return err
	})
	if err != nil || !known.Closed {
		return known.Scanners, err
	}
	configs, err := settings.AskedScanners()
	if err != nil {
		return nil, err
	}
	return scanner.Ask(ctx, configs), nil
}
