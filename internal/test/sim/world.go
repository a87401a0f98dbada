package sim

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// World is a name server and a mail host together: the internet of the demo.
type World struct {
	DNS  *DNS
	Sink *Sink
}

// StartWorld starts both. Each domain of behaviours has an MX that leads to
// mailAddress; extra is more lines for the zone (see StartDNS).
func StartWorld(dnsAddress, mailAddress string, behaviours map[string]Behaviour, extra string, config *tls.Config) (*World, error) {
	sink, err := StartSink(mailAddress, behaviours, config)
	if err != nil {
		return nil, err
	}
	dns, err := StartDNS(dnsAddress, zoneOf(behaviours, sink.Addr().IP)+extra)
	if err != nil {
		sink.Close()
		return nil, err
	}
	return &World{DNS: dns, Sink: sink}, nil
}

// DemoBehaviours are domains that behave as they are called.
func DemoBehaviours() map[string]Behaviour {
	return map[string]Behaviour{
		"accept.example": Accept(),
		"reject.example": Reject(),
		"defer.example":  Defer(),
		"slow.example":   Slow(10 * time.Second),
	}
}

// DemoZone is more names that behave as they are called: one that takes no mail,
// and two whose name server fails.
func DemoZone() string {
	return "nomail.example. MX 0 .\n!servfail servfail.example\n!timeout timeout.example\n"
}

func zoneOf(behaviours map[string]Behaviour, ip net.IP) string {
	kind := "A"
	if ip.To4() == nil {
		kind = "AAAA"
	}
	var b strings.Builder
	for domain := range behaviours {
		fmt.Fprintf(&b, "%s. MX 10 mx.%s.\nmx.%s. %s %s\n", domain, domain, domain, kind, ip)
	}
	return b.String()
}

// Port is where the mail host listens, for the sender's configuration.
func (w *World) Port() uint16 { return w.Sink.Addr().AddrPort().Port() }

// Close stops both.
func (w *World) Close() {
	w.DNS.Close()
	w.Sink.Close()

}
