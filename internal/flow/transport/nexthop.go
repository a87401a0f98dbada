package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"facteur/internal/mail/address"
)

// NextHop is a place to hand mail to, as Postfix writes it: "[gw.example.com]:25" is
// that host, "example.com" whatever hosts take mail for that domain.
type NextHop struct {
	// Domain is the one whose MX hosts are asked; "" with Relays.
	Domain string
	Port   uint16 // of the MX hosts; 0 the usual one
	// Relays are the hosts themselves, tried in this order.
	Relays []Relay
}

// maxHops is how many places one next hop can name.
const maxHops = 16

// ParseNextHop reads "[host]", "[host]:port", "[2001:db8::1]:25", "domain",
// "domain:port", and for mail stores "inet:host:port" and "unix:/path". Several
// stand behind one another, with commas or blanks between; then each is a host.
func ParseNextHop(text string) (NextHop, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	switch {
	case len(words) == 0:
		return NextHop{}, errors.New("the next hop is missing")
	case len(words) > maxHops:
		return NextHop{}, fmt.Errorf("expected at most %d next hops, found %d", maxHops, len(words))
	case len(words) == 1 && !isHost(words[0]):
		domain, port, err := cutPort(words[0])
		if err != nil {
			return NextHop{}, err
		}
		domain, err = address.CanonicalDomain(domain)
		if err != nil {
			return NextHop{}, fmt.Errorf("%q is no next hop (%w); expected one such as \"[gw.example.com]:587\"", words[0], err)
		}
		return NextHop{Domain: domain, Port: port}, nil
	}
	var hop NextHop
	for _, word := range words {
		r, err := ParseRelay(word)
		if err != nil {
			return NextHop{}, err
		}
		hop.Relays = append(hop.Relays, r)
	}
	return hop, nil
}

// isHost tells what is no domain with MX hosts.
func isHost(word string) bool {
	host, _, _ := strings.Cut(word, ":")
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil || strings.HasPrefix(word, "[") || host == "unix" || host == "inet"
}

// ParseRelay reads one host: "smtp.isp.example:587", "[192.0.2.1]", "unix:/path". The
// port is 0 when there is none.
func ParseRelay(word string) (Relay, error) {
	if path, ok := strings.CutPrefix(word, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
			return Relay{}, fmt.Errorf("%q has no absolute path; Postfix counts such a path from its queue directory, /var/spool/postfix", word)
		}
		return Relay{Socket: path}, nil
	}
	rest := strings.TrimPrefix(word, "inet:")
	if _, err := netip.ParseAddr(rest); err == nil && strings.Contains(rest, ":") {
		rest = "[" + rest + "]"
	}
	host, port, err := cutPort(rest)
	if err != nil {
		return Relay{}, err
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if len(bare) == len(host)-1 {
		err = errBracket
	} else {
		host, err = hostName(bare)
	}
	if strings.HasPrefix(word, "/") {
		return Relay{}, fmt.Errorf("%q is no host; a Unix socket is written \"unix:%s\"", word, word)
	}
	if err != nil {
		return Relay{}, fmt.Errorf("%q is no host; expected one such as \"smtp.example.com:587\" or \"[192.0.2.1]:25\"", word)
	}
	return Relay{Host: host, Port: port, Implicit: port == 465}, nil
}

var errBracket = errors.New("a bracket is missing")

// hostName is a name in A-labels, or an address.
func hostName(host string) (string, error) {
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		return a.Unmap().String(), nil
	}
	return address.CanonicalDomain(host)
}

// cutPort cuts ":port" off; 0 without.
func cutPort(s string) (rest string, port uint16, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, 0, nil
	}
	if p := portNamed(s[i+1:]); p != 0 {
		return s[:i], p, nil
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is no port; expected a number from 1 to 65535", s[i+1:])
	}
	return s[:i], uint16(n), nil
}

// portNamed is the port of a mail service by its name in /etc/services.
func portNamed(name string) uint16 {
	switch name {
	case "smtp":
		return 25
	case "lmtp":
		return 24
	case "submission":
		return 587
	case "smtps", "submissions":
		return 465
	}
	return 0
}
