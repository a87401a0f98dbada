package app

import (
	"net/netip"
	"path/filepath"
	"reflect"

	"facteur/internal/app/config"
	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/flow/advice"
	"facteur/internal/flow/bounce"
	"facteur/internal/flow/brake"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/report"
	"facteur/internal/flow/route"
	"facteur/internal/flow/sign"
	"facteur/internal/flow/transport"
	"facteur/internal/net/certs"
	"facteur/internal/net/dns"
	"facteur/internal/server/pop3d"
	"facteur/internal/server/smtpd"
	"facteur/internal/store/journey"
	"facteur/internal/store/list"
)

// settings are those of the file, and what each room takes of them in its own form.
// They are translated once, at the start and at each reload.
type settings struct {
	config   *config.Config
	rules    *intake.Rules
	sessions *smtpd.Rules
	schedule deliver.Schedule
	outbound *deliver.Outbound
	notices  bounce.Settings
	pop3     *pop3d.Rules
	signing  *sign.Rules
	reports  report.Settings
	// record is what is remembered of strangers; nil: nothing. See govern.
	record *record.Rules
	brake  *brake.Rules
	// routes are how addresses find their mailboxes; nil until the tables are open.
	routes *route.Rules
	// lists are what the rules ask, policies the servers beside them; see govern.
	lists    *list.Set
	policies *advice.Policies
}

func translate(c *config.Config) (*settings, error) {
	ways, err := c.Ways()
	if err != nil {
		return nil, err
	}
	s := &settings{config: c, rules: rules(c), sessions: sessionRules(c), schedule: schedule(c), outbound: outbound(c, ways), reports: c.ReportRules()}
	if s.outbound.TLS, err = c.TLSRules(); err != nil {
		return nil, err
	}
	if s.notices, err = c.NoticeRules(); err != nil {
		return nil, err
	}
	if s.pop3, err = pop3Rules(c); err != nil {
		return nil, err
	}
	if s.signing, err = c.SignRules(); err != nil {
		return nil, err
	}
	if s.brake, err = c.BrakeRules(); err != nil {
		return nil, err
	}
	for _, topic := range []event.Topic{event.Policy, event.Protocol} {
		if _, wanted := s.notices.Topics[topic]; wanted {
			s.sessions.Transcripts = true
		}
	}
	s.outbound.Roots, s.outbound.TLSLog = s.outbound.TLS.Roots, c.Outbound.TLSLogLevel > 0
	return s, nil
}

// sendsAs tells whether mail leaves in the same ways as with other settings. Files that
// they name count as they were read.
func (s *settings) sendsAs(other *settings) bool {
	tls, otherTLS := *s.outbound.TLS, *other.outbound.TLS
	tls.Roots, otherTLS.Roots = nil, nil // they can't change while the server runs
	return reflect.DeepEqual(s.config.Outbound, other.config.Outbound) && reflect.DeepEqual(tls, otherTLS) &&
		reflect.DeepEqual(s.outbound.Ways, other.outbound.Ways)
}

func rules(c *config.Config) *intake.Rules {
	r := &intake.Rules{
		Hostname:   c.Hostname,
		Trusted:    prefixes(c.TrustedNetworks),
		SizeLimit:  int64(c.MessageSizeLimit),
		Recipients: c.RecipientLimit,
		MinFree:    int64(c.Queue.MinimumFree),
	}
	r.FullLater = c.Mailbox.QuotaFull == config.FullTemporary
	accessRules(c, r)
	return r
}

func prefixes(in []conf.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(in))
	for i, p := range in {
		out[i] = p.Prefix
	}
	return out
}

func schedule(c *config.Config) deliver.Schedule {
	return deliver.Schedule{
		MinimalBackoff: c.Queue.MinimalBackoffTime.Std(),
		MaximalBackoff: c.Queue.MaximalBackoffTime.Std(),
		Lifetime:       c.Queue.MaximalQueueLifetime.Std(),
		BounceLifetime: c.Queue.BounceQueueLifetime.Std(),
		DelayWarning:   c.Queue.DelayWarningTime.Std(),
		SoftBounce:     c.Access.SoftBounce,
	}
}

func outbound(c *config.Config, ways *transport.Table) *deliver.Outbound {
	o := &deliver.Outbound{
		Ways: ways,
		Port: c.Outbound.Port, Helo: c.HeloName(),
		IPv4:         c.Outbound.InetProtocols != config.InetIPv6,
		IPv6:         c.Outbound.InetProtocols != config.InetIPv4,
		AllowPrivate: c.Outbound.AllowPrivate, RequireIPv6Name: c.Outbound.RequireIPv6Name,
		ReuseCount: c.Outbound.ConnectionReuseCount,
		ReuseTime:  c.Outbound.ConnectionReuseTime.Std(), IdleTime: c.Outbound.ConnectionIdleTime.Std(),
		DestinationConcurrency: c.Outbound.DestinationConcurrency, Concurrency: c.Outbound.Concurrency,
		NoChunking: !c.Outbound.Chunking, NoResumption: !c.Outbound.TLSSessionResumption,
		Self: dns.Self{Names: []string{c.Hostname}, Addrs: c.OwnAddresses()},
	}
	for _, a := range c.Outbound.BindAddress {
		o.Bind = append(o.Bind, a.Addr)
	}
	return o
}

func certificates(c *config.Config) certs.Source {
	s := certs.Source{Hostname: c.Hostname, Dir: filepath.Join(c.DataDir, "tls")}
	for i, file := range c.TLS.Certificate {
		s.Pairs = append(s.Pairs, certs.Pair{Certificate: file, Key: c.TLS.Key[i]})
	}
	return s
}

func journeyLimits(c *config.Config) journey.Limits {
	return journey.Limits{Days: c.Journey.KeepDays, MaxSize: int64(c.Journey.MaxSize)}
}

// Resolver is whom the settings ask the DNS of.
func Resolver(c *config.Config) dns.Config {
	d := dns.Config{TrustAD: c.DNS.TrustAD}
	for _, s := range c.DNS.Servers {
		d.Servers = append(d.Servers, s.WithPort(53).String())
	}
	return d
}
