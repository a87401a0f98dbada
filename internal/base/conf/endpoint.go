package conf

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// Endpoint is where another program listens, as mail programs write it:
// "inet:host:port", "inet6:[::1]:port", "inet:port@host" (Sendmail), "unix:/path",
// "local:/path". An absolute path alone is a Unix socket, "host:port" alone TCP.
type Endpoint struct {
	// Network is "tcp", "tcp4", "tcp6" or "unix", and Address what net.Dial wants;
	// both are "" for none.
	Network, Address string
	text             string
}

// Form implements Form.
func (Endpoint) Form() string {
	return `a socket such as "inet:127.0.0.1:8891", "inet6:[::1]:8891" or "unix:/run/x.sock"`
}

// UnmarshalText reads one of the forms. A Unix socket has an absolute path.
func (e *Endpoint) UnmarshalText(text []byte) error {
	network, address := cutNetwork(string(text))
	if network == "unix" {
		if !filepath.IsAbs(address) || strings.ContainsRune(address, 0) {
			return fmt.Errorf("%q has no absolute path; expected %s", clip(string(text)), e.Form())
		}
		*e = Endpoint{Network: network, Address: address, text: string(text)}
		return nil
	}
	if port, host, found := strings.Cut(address, "@"); found {
		address = net.JoinHostPort(unbracket(host), port)
	}
	hp, err := parseHostPort(address)
	if err != nil || hp.Port == 0 || hp.Host == "" {
		return fmt.Errorf("%q is not %s", clip(string(text)), e.Form())
	}
	*e = Endpoint{Network: network, Address: hp.String(), text: string(text)}
	return nil
}

func cutNetwork(s string) (network, address string) {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "inet":
		return "tcp", rest
	case "inet4":
		return "tcp4", rest
	case "inet6":
		return "tcp6", rest
	case "unix", "local":
		return "unix", rest
	}
	if filepath.IsAbs(s) {
		return "unix", s
	}
	return "tcp", s
}

// String is the endpoint as it was written.
func (e Endpoint) String() string { return e.text }

// MarshalText writes what UnmarshalText reads.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.text), nil }
