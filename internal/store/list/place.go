package list

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// maxHosts is how many servers one list can name.
const maxHosts = 8

// splitHosts reads "one.example.org,two.example.org:1389" into addresses with ports.
// A host that is a path, percent-encoded, is a Unix socket and stays as it is.
func splitHosts(s, port string) (hosts []string, err error) {
	if strings.Contains(s, "@") {
		return nil, errors.New("no user belongs before the host; bind_dn and password_file say who we are")
	}
	for host := range strings.SplitSeq(s, ",") {
		host, err := url.PathUnescape(strings.TrimSpace(host))
		switch {
		case err != nil:
			return nil, err
		case host == "" || strings.ContainsAny(host, " \x00"):
			return nil, errors.New("a host is missing or has a blank in it; expected one such as \"ldap.example.org\", several with commas between")
		case strings.HasPrefix(host, "/"):
		default:
			if host, err = withPort(host, port); err != nil {
				return nil, err
			}
		}
		hosts = append(hosts, host)
	}
	if len(hosts) > maxHosts {
		return nil, fmt.Errorf("expected at most %d hosts", maxHosts)
	}
	return hosts, nil
}

func withPort(host, port string) (string, error) {
	if name, p, err := net.SplitHostPort(host); err == nil && name != "" {
		if n, err := net.LookupPort("tcp", p); err != nil || n == 0 {
			return "", fmt.Errorf("%q is no port", p)
		}
		return host, nil
	}
	name := strings.Trim(host, "[]")
	if strings.Contains(name, ":") {
		if _, err := netip.ParseAddr(name); err != nil || name == host {
			return "", fmt.Errorf("expected a host, or one with a port, found %q; an IPv6 address stands in brackets", host)
		}
	}
	return net.JoinHostPort(name, port), nil
}

// network is how an address is reached.
func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}

// isHere tells whether an address is on this machine, so that nobody can listen in.
func isHere(address string) bool {
	if network(address) == "unix" {
		return true
	}
	host, _, _ := net.SplitHostPort(address)
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func allHere(hosts []string) bool {
	for _, h := range hosts {
		if !isHere(h) {
			return false
		}
	}
	return true
}

// The values of Source.TLS.
const (
	// TLSNone: nothing is encrypted.
	TLSNone = "none"
	// TLSStart: TLS begins within the protocol, before anything is said in it.
	TLSStart = "starttls"
)

// wantsTLS decides about TLS within the protocol: unless the settings say
// otherwise, everything that leaves this machine is encrypted.
func wantsTLS(setting string, hosts []string) bool {
	return setting == TLSStart || setting == "" && !allHere(hosts)
}

// trust is the TLS configuration for servers whose certificates the file signs, or
// the system's authorities where there is none. They are always verified.
func trust(caFile string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return c, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it; expected PEM", caFile)
	}
	return c, nil
}

// forHost is the configuration for one host, whose name has to be in its certificate.
func forHost(c *tls.Config, address string) *tls.Config {
	c = c.Clone()
	c.ServerName, _, _ = net.SplitHostPort(address)
	return c
}

// secret is the first line of a file; "" without a file.
func secret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty; expected the password", file)
	}
	return line, nil
}
