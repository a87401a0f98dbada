package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"facteur/internal/base/conf"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
)

// shadowedTold is how many entries that never count are told one by one.
const shadowedTold = 10

// shadowWarnings tell of entries of [[transport_map]] and the tables that an earlier one
// takes all mail from.
func shadowWarnings(ways *transport.Table) (out []string) {
	all := ways.Shadowed()
	for i, s := range all {
		if i == shadowedTold {
			return append(out, fmt.Sprintf("and %d more entries for recipients and senders that stand elsewhere before", len(all)-i))
		}
		out = append(out, fmt.Sprintf("%s: the entry for %q never counts: %s has one for it, and the first counts", s.Where, s.Key, s.By))
	}
	return out
}

// selfWarnings tell of relays that are this server, so that mail would go round.
func (c *Config) selfWarnings() (out []string) {
	tell := func(key, host string, port uint16) {
		if c.isSelf(host, port) {
			out = append(out, fmt.Sprintf("%s: %s is this server itself; mail would go round, and be refused or come back as a loop", key, net.JoinHostPort(host, fmt.Sprint(port))))
		}
	}
	for i, h := range c.Outbound.Smarthost {
		tell(fmt.Sprintf("outbound.smarthost[%d]", i), h.Host, h.Port)
	}
	for i, t := range c.Transports {
		if kinds[t.Kind] != transport.SMTP {
			continue
		}
		for j, text := range t.Relays {
			if r, err := transport.ParseRelay(text); err == nil && r.Socket == "" {
				tell(fmt.Sprintf("transport[%d].relays[%d]", i, j), r.Host, r.Port)
			}
		}
	}
	return out
}

// mailPort is where mail servers listen.
const mailPort = 25

// mailServices are those that take mail over TCP.
var mailServices = []Service{SMTP, Submission, Submissions, LMTP}

// isSelf tells whether a host and port lead to one of our own listeners for mail, as far
// as that can be seen without the DNS.
func (c *Config) isSelf(host string, port uint16) bool {
	named := strings.EqualFold(strings.TrimSuffix(host, "."), c.Hostname)
	if port == 0 {
		port = mailPort
	}
	if named && port == mailPort {
		return true
	}
	ip, err := netip.ParseAddr(host)
	loopback := strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
	for _, l := range c.Listen {
		if !slices.Contains(mailServices, l.Service) || l.Address.Path != "" || l.Address.Port != port {
			continue
		}
		at, err := netip.ParseAddr(l.Address.Host)
		everywhere := err != nil || at.IsUnspecified()
		if named && !at.IsLoopback() || loopback && everywhere || err == nil && at == ip {
			return true
		}
	}
	return false
}

// bindWarnings tell of addresses to send from that this machine does not have now. That is
// no mistake: a network may come up later.
func (c *Config) bindWarnings() (out []string) {
	check := func(key string, addrs []conf.Addr) {
		for i, a := range addrs {
			if lacks(a.Addr) {
				out = append(out, fmt.Sprintf("%s[%d]: this machine has no address %s; mail that is to leave from it waits", key, i, a))
			}
		}
	}
	check("outbound.bind_address", c.Outbound.BindAddress)
	for i, t := range c.Transports {
		check(fmt.Sprintf("transport[%d].bind_address", i), t.BindAddress)
	}
	return out
}

// lacks tells that nothing can be sent from an address. The system is asked, as an address
// may be on no interface and be ours all the same (a local route). Nothing leaves.
func lacks(a netip.Addr) bool {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL)
}

// NoticeReader is somebody whom the postmaster's letters go to, and the setting that says
// so.
type NoticeReader struct {
	Key     string
	Address address.Address
}

// NoticeReaders are those whom [notices] names. That they have a mailbox is known only
// where accounts are.
func (c *Config) NoticeReaders() (out []NoticeReader) {
	n := c.Notices
	for _, class := range n.Classes {
		_, key, text, ok := n.topic(class)
		a, err := address.Parse(text)
		if r := (NoticeReader{"notices." + key, a}); ok && err == nil && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
