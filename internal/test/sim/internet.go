package sim

import (
	"fmt"
	"net/netip"
	"strings"
)

// nameServer is where the name server of an Internet listens.
const nameServer = "192.0.2.53:53"

// Internet is a Net with a name server and mail hosts.
type Internet struct {
	*Net
	DNS   *DNS
	hosts []*Sink
	next  netip.Addr
}

// NewInternet makes one without mail hosts.
func NewInternet(seed uint64) (*Internet, error) {
	i := &Internet{Net: NewNet(seed), next: netip.MustParseAddr("198.18.0.1")}
	l, err := i.Listen(netip.MustParseAddrPort(nameServer))
	if err != nil {
		return nil, err
	}
	i.DNS, err = ServeDNS(l, "")
	return i, err
}

// Close stops all servers.
func (i *Internet) Close() {
	for _, h := range i.hosts {
		h.Close()
	}
	i.DNS.Close()
}

// Servers are the name servers, for dns.Config.
func (i *Internet) Servers() []string { return []string{nameServer} }

// Free gives an address that nobody has.
func (i *Internet) Free() netip.Addr {
	a := i.next
	i.next = a.Next()
	return a
}

// Host starts a mail host at an address, port 25.
func (i *Internet) Host(addr netip.Addr, p Peer) (s *Sink, err error) {
	if p.Listener, err = i.Listen(netip.AddrPortFrom(addr, 25)); err != nil {
		return nil, err
	}
	if s, err = StartPeer(p); err == nil {
		i.hosts = append(i.hosts, s)
	}
	return s, err
}

// Mail gives a domain one mail host, mx.DOMAIN, at an address of its own.
func (i *Internet) Mail(domain string, p Peer) (*Sink, netip.Addr, error) {
	addr := i.Free()
	s, err := i.Host(addr, p)
	if err != nil {
		return nil, addr, err
	}
	return s, addr, i.MX(domain, "mx."+domain, addr)
}

// MX lets a domain be served by a host with addresses.
func (i *Internet) MX(domain, host string, addrs ...netip.Addr) error {
	var zone strings.Builder
	fmt.Fprintf(&zone, "%s. MX 10 %s.\n", domain, host)
	for _, a := range addrs {
		kind := "AAAA"
		if a.Is4() {
			kind = "A"
		}
		fmt.Fprintf(&zone, "%s. %s %s\n", host, kind, a)
	}
	return i.DNS.Load(zone.String())
}

// Fault is Sink.Fault for all hosts.
func (i *Internet) Fault() {
	for _, h := range i.hosts {
		h.Fault()
	}
}
