package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Prefix is a network in a settings file: "192.0.2.0/24", "2001:db8::/32", or a
// single address. Brackets around an IPv6 address are taken as Postfix takes them.
type Prefix struct{ netip.Prefix }

// Form implements Form.
func (Prefix) Form() string { return `a network such as "192.0.2.0/24" or "::1/128"` }

// UnmarshalText reads a network; bits set beyond its length are an error.
func (p *Prefix) UnmarshalText(text []byte) error {
	s := strings.NewReplacer("[", "", "]", "").Replace(string(text))
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		p.Prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		return nil
	}
	net, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not %s", clip(string(text)), p.Form())
	}
	if net != net.Masked() {
		return fmt.Errorf("%q has bits beyond its length; did you mean %q?", string(text), net.Masked())
	}
	if net.Addr().Is4In6() && net.Bits() >= 96 { // the same network in IPv6's clothes
		net = netip.PrefixFrom(net.Addr().Unmap(), net.Bits()-96)
	}
	p.Prefix = net
	return nil
}

// Addr is one IP address in a settings file.
type Addr struct{ netip.Addr }

// Form implements Form.
func (Addr) Form() string { return `an IP address such as "192.0.2.1"` }

// UnmarshalText reads an address without a port.
func (a *Addr) UnmarshalText(text []byte) error {
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		return fmt.Errorf("%q is not %s", clip(string(text)), a.Form())
	}
	a.Addr = addr.Unmap()
	return nil
}

// HostPort is a machine and a port in a settings file: "mail.example.org:587",
// "192.0.2.1:25", "[2001:db8::1]:25", ":25" for all addresses of this machine.
type HostPort struct {
	// Host is a name or an address without brackets; "" for all addresses.
	Host string
	// Port is 0 when the file gives none.
	Port uint16
}

// Form implements Form.
func (HostPort) Form() string { return `a host and port such as "192.0.2.1:25" or "[::1]:25"` }

// UnmarshalText reads a host with or without a port.
func (hp *HostPort) UnmarshalText(text []byte) error {
	got, err := parseHostPort(string(text))
	if err != nil {
		return fmt.Errorf("%q is not %s", clip(string(text)), hp.Form())
	}
	*hp = got
	return nil
}

func parseHostPort(s string) (HostPort, error) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return HostPort{Host: addr.String()}, nil
	}
	host, port, found := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port, found = s[:i], s[i+1:], true
	}
	host = unbracket(host)
	if !validHost(host) || (host == "" && !found) {
		return HostPort{}, errHostPort
	}
	if !found {
		return HostPort{Host: host}, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return HostPort{}, err
	}
	return HostPort{Host: host, Port: uint16(n)}, nil
}

var errHostPort = errors.New("no host and port")

func unbracket(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1]
	}
	return host
}

// validHost takes names and addresses; IPv6 addresses hold colons.
func validHost(host string) bool {
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return !(r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127)
	})
}

// String is host:port with brackets where an address needs them; the port is
// left out when there is none.
func (hp HostPort) String() string {
	if hp.Port == 0 && hp.Host != "" {
		return hp.Host
	}
	return net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port)))
}

// MarshalText writes what UnmarshalText reads.
func (hp HostPort) MarshalText() ([]byte, error) { return []byte(hp.String()), nil }

// HostPorts is a list of machines; a single one needs no brackets.
type HostPorts []HostPort

// Form implements Form.
func (HostPorts) Form() string {
	return `a host and port such as "192.0.2.1:25", or a list of such in brackets`
}

// WithPort is hp with a port if it has none.
func (hp HostPort) WithPort(port uint16) HostPort {
	if hp.Port == 0 {
		hp.Port = port
	}
	return hp
}
