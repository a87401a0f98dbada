package sim

import (
	"context"
	"net"
	"time"

	wire "github.com/miekg/dns"

	"facteur/internal/net/dns"
)

// Tester is what Zone needs of a *testing.T, *testing.F or *testing.B; this package is
// also built into the demo, which has no use for a test framework.
type Tester interface {
	Helper()
	Fatal(args ...any)
}

// Zone is a resolver whose whole world are the lines of zone (see StartDNS for their
// form), for a test that wants to show on which records it stands:
//
//	txt := sim.Zone(t, `
//		example.org.                  TXT "v=spf1 ip4:192.0.2.1 -all"
//		s1._domainkey.example.org.    TXT "v=DKIM1; k=ed25519; p=…"
//		!servfail broken.example.org
//	`).LookupTXT
//
// It needs no socket and leaves nothing behind, so it works in a bubble of
// testing/synctest as well as outside. Outside, "!timeout NAME" costs two seconds; in a
// bubble, who gives up on a look-up has to sleep until it has ended.
func Zone(t Tester, zone string) *dns.Resolver {
	t.Helper()
	d, err := NewDNS(zone)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Resolver()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// NewDNS is a name server without an address of its own: only its Dial leads to it. It
// need not be closed.
func NewDNS(zone string) (*DNS, error) {
	d := &DNS{trouble: map[string]Trouble{}, asked: map[string]int{}, records: map[string][]wire.RR{}, addr: nameServer}
	return d, d.Load(zone)
}

// Resolver asks the server and nobody else, and believes its AD bit (see Validate).
func (d *DNS) Resolver() (*dns.Resolver, error) {
	return dns.New(dns.Config{Servers: []string{d.addr}, Dial: d.Dial, TrustAD: true, Timeout: zoneTimeout, Rounds: 1})
}

// zoneTimeout is long enough for a machine that is busy.
const zoneTimeout = 2 * time.Second

// Dial connects to the server in memory, whatever the address; it is for dns.Config.
func (d *DNS) Dial(_ context.Context, network, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go d.converse(ours, network)
	return theirs, nil
}

// converse answers questions until the other side hangs up.
func (d *DNS) converse(c net.Conn, network string) {
	w := pipeWriter{conn: &wire.Conn{Conn: c}, network: network}
	defer c.Close()
	for {
		q, err := w.conn.ReadMsg()
		if err != nil {
			return
		}
		d.ServeDNS(w, q)
	}
}

// pipeWriter answers over a stream in memory, and says that it is what the client
// asked for.
type pipeWriter struct {
	conn    *wire.Conn
	network string
}

func (w pipeWriter) RemoteAddr() net.Addr {
	if w.network == "tcp" {
		return &net.TCPAddr{}
	}
	return &net.UDPAddr{}
}

func (w pipeWriter) LocalAddr() net.Addr         { return w.RemoteAddr() }
func (w pipeWriter) WriteMsg(m *wire.Msg) error  { return w.conn.WriteMsg(m) }
func (w pipeWriter) Write(b []byte) (int, error) { return w.conn.Write(b) }
func (w pipeWriter) Close() error                { return w.conn.Close() }
func (pipeWriter) TsigStatus() error             { return nil }
func (pipeWriter) TsigTimersOnly(bool)           {}
func (pipeWriter) Hijack()                       {}
