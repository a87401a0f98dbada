package config

import (
	"fmt"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/flow/transport"
)

// Outbound is how mail leaves.
type Outbound struct {
	// Machines that take all mail for elsewhere, "smtp.isp.example:587". The first
	// that answers is used. Without any, each domain's MX records say where its
	// mail goes. Postfix calls this relayhost.
	Smarthost conf.HostPorts `toml:"smarthost"`
	// Tables in the form of Postfix's transport(5), "hash:/etc/postfix/transport", or any
	// other of docs/TABLES.md. Where all are files of lines, their text is read at the start
	// and at a reload; others are asked for each message, and mail waits while one can't
	// tell. What they say comes behind the [[transport_map]] tables. Postfix calls this
	// transport_maps.
	TransportMaps WayMaps `toml:"transport_maps"`
	// Tables of "transport:nexthop" for senders (user@domain, @domain) whose mail takes
	// another way. Postfix calls this sender_dependent_default_transport_maps.
	SenderTransportMaps WayMaps `toml:"sender_transport_maps"`
	// Tables of "[relay]:port" for senders. Postfix calls this
	// sender_dependent_relayhost_maps.
	SenderRelayMaps WayMaps `toml:"sender_relay_maps"`
	// Files of lines "[relay]:port user:password", and no other tables. They may not be
	// readable by everybody. Postfix calls this smtp_sasl_password_maps.
	PasswordMaps conf.Strings `toml:"password_maps"`
	// The port of other mail servers, for tests. Mail servers listen on 25.
	Port uint16 `toml:"port"`
	// The name said in EHLO to other servers. Empty: the hostname. Postfix calls this
	// smtp_helo_name.
	Helo string `toml:"helo"`
	// Which Internet protocols are used to reach others: "all", "ipv4" or "ipv6".
	InetProtocols InetProtocols `toml:"inet_protocols"`
	// Which of a host's addresses are tried first: "any" (both by turns, beginning with
	// IPv6), "ipv6" or "ipv4". A family that leads nowhere is tried last for some minutes. Postfix calls
	// this smtp_address_preference.
	AddressPreference AddressPreference `toml:"address_preference"`
	// Whether IPv6 is used for mail to strangers only if our address there has a name in
	// the DNS that leads back to it (PTR). Large providers refuse mail from an address
	// that has none; over IPv4 it arrives.
	RequireIPv6Name bool `toml:"require_ipv6_name"`
	// Local addresses to connect from, at most one IPv4 and one IPv6 address.
	// Without any, the system chooses. Postfix calls this smtp_bind_address.
	BindAddress []conf.Addr `toml:"bind_address"`
	// Whether mail may be delivered to MX hosts with loopback or private
	// addresses. Off, because a stranger's DNS could else aim us at machines
	// behind the firewall. A smarthost may always have such an address.
	AllowPrivate bool `toml:"allow_private"`
	// Whether messages go by BDAT to hosts that offer CHUNKING: a round trip less, and no
	// doubled dots. A host that turns out not to understand it gets them by DATA. Postfix
	// has no such setting.
	Chunking bool `toml:"chunking"`
	// Whether a TLS connection takes up the session of an earlier one to the same host.
	// It is not done with a host where it went wrong, for a day. Off: it never is. Postfix calls
	// this smtp_tls_session_cache_database.
	TLSSessionResumption bool `toml:"tls_session_resumption"`
	// How many messages go over one connection before a new one is made. Postfix calls
	// this smtp_connection_reuse_count_limit.
	ConnectionReuseCount int `toml:"connection_reuse_count"`
	// How long one connection is used, in total. Postfix calls this
	// smtp_connection_reuse_time_limit.
	ConnectionReuseTime conf.Duration `toml:"connection_reuse_time"`
	// How long a connection is kept open with nothing to send. Postfix calls this
	// smtp_connection_cache_time_limit.
	ConnectionIdleTime conf.Duration `toml:"connection_idle_time"`
	// The most connections at a time to one destination (whoever runs the mail hosts of
	// a domain, or a relay). Postfix calls this default_destination_concurrency_limit.
	DestinationConcurrency int `toml:"destination_concurrency"`
	// How many connections a destination gets at first; more with each message that it
	// takes. Postfix calls this initial_destination_concurrency.
	InitialDestinationConcurrency int `toml:"initial_destination_concurrency"`
	// How many times all connections to a destination may fail in a row before it is left
	// alone for a while. -1: any number. Postfix calls this
	// default_destination_concurrency_failed_cohort_limit.
	FailedCohortLimit int `toml:"destination_concurrency_failed_cohort_limit"`
	// The wait between two messages to the same destination. With one, they go one by one.
	// Postfix calls this default_destination_rate_delay.
	DestinationRateDelay conf.Duration `toml:"destination_rate_delay"`
	// The most recipients of a message in one transaction. Postfix calls this
	// default_destination_recipient_limit.
	DestinationRecipientLimit int `toml:"destination_recipient_limit"`
	// The most deliveries to other machines at a time, to all destinations. Postfix calls
	// this default_process_limit.
	Concurrency int `toml:"concurrency"`
	// What TLS connections have to have where no [[tls_policy]] says it: "none", "may",
	// "encrypt", "dane", "dane-only", "verify" or "secure" (see there). Empty: "dane" with
	// dns.trust_ad, and "may" without. Postfix calls this smtp_tls_security_level.
	TLSSecurityLevel TLSLevel `toml:"tls_security_level"`
	// Files of lines "domain level match=…", and no other tables. What they say comes behind the [[tls_policy]]
	// tables. Postfix calls this smtp_tls_policy_maps.
	TLSPolicyMaps conf.Strings `toml:"tls_policy_maps"`
	// Whether the policies that domains publish by MTA-STS (RFC 8461) are followed, where no
	// [[tls_policy]] stands for them: then their mail goes to the hosts that they name,
	// under TLS with a good certificate, or waits.
	MTASTS bool `toml:"mta_sts"`
	// A file with the authorities, PEM, whose certificates count at other mail servers
	// and at the web servers of MTA-STS. Empty: those of the system. Postfix calls this
	// smtp_tls_CAfile.
	TLSCAFile string `toml:"tls_ca_file"`
	// The least version of TLS: "1.0", "1.1", "1.2" or "1.3". Empty: 1.2, and 1.0 where TLS
	// is not demanded: it is better than none. Postfix calls this smtp_tls_protocols.
	TLSMinVersion TLSVersion `toml:"tls_min_version"`
	// 1 tells in the log of the TLS of each connection ("Trusted TLS connection established
	// to …"), 0 only of hosts that offer it and can't do it. Postfix calls this
	// smtp_tls_loglevel.
	TLSLogLevel int `toml:"tls_loglevel"`
}

func defaultOutbound() Outbound {
	return Outbound{
		Port:                          25,
		InetProtocols:                 InetAll,
		AddressPreference:             "any",
		RequireIPv6Name:               true,
		Chunking:                      true,
		TLSSessionResumption:          true,
		ConnectionReuseCount:          100,
		ConnectionReuseTime:           conf.Duration(5 * time.Minute),
		ConnectionIdleTime:            conf.Duration(2 * time.Second),
		DestinationConcurrency:        20,
		InitialDestinationConcurrency: 5,
		FailedCohortLimit:             1,
		DestinationRecipientLimit:     50,
		Concurrency:                   100,
		MTASTS:                        true,
	}
}

// AddressPreference is which family of addresses is tried first.
type AddressPreference string

// Form says what may be written.
func (AddressPreference) Form() string { return oneOf[AddressPreference]("any", "ipv6", "ipv4") }

// UnmarshalText takes one of the choices.
func (p *AddressPreference) UnmarshalText(text []byte) error {
	return choose(p, text, "any", "ipv6", "ipv4")
}

// HeloName is what is said in EHLO to other servers.
func (c *Config) HeloName() string {
	if c.Outbound.Helo != "" {
		return c.Outbound.Helo
	}
	return c.Hostname
}

// pace is how fast mail goes where nothing else is said.
func (o Outbound) pace() transport.Pace {
	return transport.Pace{
		InitialConcurrency: o.InitialDestinationConcurrency, Concurrency: o.DestinationConcurrency,
		FailedCohort: o.FailedCohortLimit, RateDelay: o.DestinationRateDelay.Std(), Recipients: o.DestinationRecipientLimit,
	}
}

// source is where connections come from where nothing else is said.
func (c *Config) source() transport.Source {
	o := c.Outbound
	s := sourceOf(o.BindAddress, o.InetProtocols, o.AddressPreference)
	s.Helo = c.HeloName()
	return s
}

func sourceOf(bind []conf.Addr, protocols InetProtocols, preference AddressPreference) transport.Source {
	s := transport.Source{IPv4: protocols != InetIPv6, IPv6: protocols != InetIPv4, PreferIPv4: preference == "ipv4", PreferIPv6: preference == "ipv6"}
	if protocols == "" {
		s.IPv4, s.IPv6 = false, false // the house's
	}
	for _, a := range bind {
		s.Bind = append(s.Bind, a.Addr)
	}
	return s
}

func (k *checker) outbound() {
	o := k.c.Outbound
	for i, h := range o.Smarthost {
		if h.Host == "" {
			k.failf(fmt.Sprintf("outbound.smarthost[%d]", i), "the host is missing")
		}
	}
	k.helo("outbound.helo", o.Helo)
	k.bind("outbound.bind_address", o.BindAddress)
	k.atLeast("outbound.port", int64(o.Port), 1)
	k.atLeast("outbound.connection_reuse_count", int64(o.ConnectionReuseCount), 1)
	k.atLeast("outbound.destination_concurrency", int64(o.DestinationConcurrency), 1)
	k.atLeast("outbound.initial_destination_concurrency", int64(o.InitialDestinationConcurrency), 1)
	k.atLeast("outbound.destination_recipient_limit", int64(o.DestinationRecipientLimit), 1)
	k.cohort("outbound.destination_concurrency_failed_cohort_limit", o.FailedCohortLimit, 1)
	k.rateDelay("outbound.destination_rate_delay", o.DestinationRateDelay)
	k.atLeast("outbound.concurrency", int64(o.Concurrency), 1)
	for i, file := range o.PasswordMaps {
		if path, err := k.c.mapPath(file); err == nil {
			k.secretFile(fmt.Sprintf("outbound.password_maps[%d]", i), path)
		}
	}
}

func (k *checker) helo(key, name string) {
	if name == "" {
		return
	}
	if err := checkName(name); err != nil {
		k.failf(key, "%v", err)
	}
}

// bind takes one address of each family.
func (k *checker) bind(key string, addrs []conf.Addr) {
	var v4, v6 int
	for i, a := range addrs {
		if a.Is4() {
			v4++
		} else {
			v6++
		}
		if v4 > 1 || v6 > 1 {
			k.failf(fmt.Sprintf("%s[%d]", key, i), "at most one IPv4 and one IPv6 address can be given")
		}
	}
}

// cohort takes a count, or -1 for any number.
func (k *checker) cohort(key string, n, least int) {
	if n != -1 && n < least {
		k.failf(key, "expected a count, or -1 for any number of failures, found %d", n)
	}
}

// rateDelay holds a wait to what leaves some mail moving.
func (k *checker) rateDelay(key string, d conf.Duration) {
	if d < 0 || d.Std() > time.Hour {
		k.failf(key, "expected at most 1h")
	}
}
