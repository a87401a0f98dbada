package deliver

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
	"facteur/internal/net/dns"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/test/interop"
	"facteur/internal/test/sim"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-48 * time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return &authority{t, cert, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for names; "!expired" makes it one of yesterday, "!self" one
// that it signed itself.
func (a *authority) issue(names ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(time.Hour)}
	parent, signer := a.cert, a.key
	for _, n := range names {
		switch n {
		case "!expired":
			template.NotAfter = time.Now().Add(-time.Hour)
		case "!self":
			parent, signer = template, key
		default:
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	check(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	check(a.t, err)
	chain := [][]byte{der}
	if signer == a.key {
		chain = append(chain, a.cert.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

func serving(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }

// spki is a TLSA record about the key of a certificate.
func spki(usage int, c *x509.Certificate) string {
	return fmt.Sprintf("TLSA %d 1 1 %x", usage, sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// exit is a way out of the house, up to the point where mail can be sent.
type exit struct {
	t      *testing.T
	finder finder
	out    *Outbound
	keeper *tlspolicy.Keeper

	mu      sync.Mutex
	results []tlspolicy.Result
	lines   []string
}

// Emit implements event.Sink.
func (x *exit) Emit(e event.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, line := e.Line()
	x.lines = append(x.lines, line)
}

// newExit asks a name server, trusts it, and knows the rules.
func newExit(t *testing.T, server string, trustAD bool, port uint16, rules *tlspolicy.Rules, policies tlspolicy.Config) *exit {
	t.Helper()
	x := &exit{t: t}
	resolver, err := dns.New(dns.Config{Servers: []string{server}, TrustAD: trustAD, Timeout: 20 * time.Second, Deadline: time.Minute})
	check(t, err)
	policies.Resolver, policies.Events = resolver, x
	policies.Permit = netip.Addr.IsLoopback
	policies.Report = func(r tlspolicy.Result) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.results = append(x.results, r)
	}
	x.keeper = tlspolicy.New(policies)
	x.finder = House{Hostname: "mail.example.org", Resolver: resolver, TLS: x.keeper, Events: x}.finder()
	x.out = &Outbound{IPv4: true, Port: port, Helo: "mail.example.org", AllowPrivate: true, TLS: rules, Roots: rules.Roots, TLSLog: true}
	return x
}

// attempt is what a message to a domain would meet: "verified", "tls", "clear",
// "deferred" or "failed", and the reply.
func (x *exit) attempt(domain string, n need) (how, text string) {
	x.t.Helper()
	s, reply, text := x.finder.site(x.t.Context(), x.out, x.out.Ways.Choose(transport.Mail{Domain: domain}))
	if reply == nil {
		conn, r, said := x.finder.connect(x.t.Context(), x.out, s, n)
		if reply, text = r, said; reply == nil {
			defer conn.Close()
			_, encrypted := conn.TLS()
			switch {
			case conn.Verified():
				return "verified", conn.Peer()
			case encrypted:
				return "tls", conn.Peer()
			}
			return "clear", conn.Peer()
		}
	}
	if reply.Temporary() {
		return "deferred", reply.Error()
	}
	return "failed", reply.Error()
}

// types are the kinds of what was reported, and clears it.
func (x *exit) types() (out []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.results {
		out = append(out, strings.TrimSuffix(string(r.Policy)+":"+string(r.Type), ":"))
	}
	x.results = nil
	return out
}

func peerAt(t *testing.T, address string, p sim.Peer) *sim.Sink {
	t.Helper()
	p.Address = address
	s, err := sim.StartPeer(p)
	check(t, err)
	t.Cleanup(s.Close)
	return s
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	a, err := netip.ParseAddrPort(address)
	check(t, err)
	return a.Port()
}

// stripper is a man in the middle who hides that the host offers STARTTLS.
func stripper(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go strip(c, to)
		}
	}()
	return l.Addr().String()
}

func strip(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, client)
	for r := bufio.NewReader(server); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(client, strings.Replace(line, "STARTTLS", "XXXXXXXX", 1))
	}
}

// website serves a policy of mta-sts.d.test.
type website struct {
	mu     sync.Mutex
	policy string
	asked  int
	port   uint16
	server *http.Server
}

func newWebsite(t *testing.T, ca *authority, policy string) *website {
	t.Helper()
	w := &website{policy: policy}
	l, err := tls.Listen("tcp", "127.0.0.1:0", serving(ca.issue("mta-sts.d.test")))
	check(t, err)
	w.port = portOf(t, l.Addr().String())
	w.server = &http.Server{Handler: w}
	go w.server.Serve(l)
	t.Cleanup(func() { w.server.Close() })
	return w
}

// ServeHTTP implements http.Handler.
func (w *website) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.policy == "" || r.URL.Path != "/.well-known/mta-sts.txt" || r.Host != fmt.Sprintf("mta-sts.d.test:%d", w.port) && r.Host != "mta-sts.d.test" {
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(rw, w.policy)
}

func policyText(mode string) string {
	return "version: STSv1\r\nmode: " + mode + "\r\nmx: mx.d.test\r\nmax_age: 86400\r\n"
}

// TestMatrix: whatever the host does, no level of TLS is silently weaker than it says.
func TestMatrix(t *testing.T) {
	ca := newAuthority(t)
	hosts := map[string]tls.Certificate{
		"self-signed": ca.issue("mx.d.test", "!self"), "wrong name": ca.issue("other.test"),
		"expired": ca.issue("mx.d.test", "!expired"), "valid": ca.issue("mx.d.test"),
	}
	behaviours := []string{"no STARTTLS", "refused", "handshake fails", "stripped", "self-signed", "wrong name", "expired", "valid"}
	levels := []struct {
		name  string
		level tlspolicy.Level // of a rule; Auto: none stands
		tlsa  string          // "right", "wrong", "unusable"
		sts   string          // mode
		want  string          // for each behaviour: c clear, t TLS, v verified, d deferred
	}{
		{"none", tlspolicy.None, "", "", "c c c c c c c c"},
		{"none, whatever is published", tlspolicy.None, "right", "enforce", "c c c c c c c c"},
		{"may", tlspolicy.May, "", "", "c c c c t t t t"},
		{"default", tlspolicy.Auto, "", "", "c c c c t t t t"},
		{"encrypt", tlspolicy.Encrypt, "", "", "d d d d t t t t"},
		{"verify", tlspolicy.Verify, "", "", "d d d d d d d v"},
		{"verify", tlspolicy.Verify, "", "enforce", "d d d d d d d v"},
		{"secure", tlspolicy.Secure, "", "", "d d d d d d d v"},
		{"fingerprint", tlspolicy.Fingerprint, "", "", "d d d d d d d v"},
		{"dane, without records", tlspolicy.Dane, "", "", "c c c c t t t t"},
		{"dane, of its key", tlspolicy.Dane, "right", "", "d d d d v v v v"},
		{"dane, of another key", tlspolicy.Dane, "wrong", "", "d d d d d d d d"},
		{"dane, unusable", tlspolicy.Dane, "unusable", "", "d d d d t t t t"},
		{"dane by default", tlspolicy.Auto, "right", "", "d d d d v v v v"},
		{"dane by default, before MTA-STS", tlspolicy.Auto, "right", "enforce", "d d d d v v v v"},
		{"dane by default, of another key", tlspolicy.Auto, "wrong", "enforce", "d d d d d d d d"},
		{"dane-only", tlspolicy.DaneOnly, "right", "", "d d d d v v v v"},
		{"dane-only, without records", tlspolicy.DaneOnly, "", "", "d d d d d d d d"},
		{"dane-only, unusable", tlspolicy.DaneOnly, "unusable", "", "d d d d d d d d"},
		{"MTA-STS, enforced", tlspolicy.Auto, "", "enforce", "d d d d d d d v"},
		{"MTA-STS, tested", tlspolicy.Auto, "", "testing", "c c c c t t t v"},
		{"MTA-STS, withdrawn", tlspolicy.Auto, "", "none", "c c c c t t t t"},
	}
	words := map[string]string{"c": "clear", "t": "tls", "v": "verified", "d": "deferred"}
	for _, l := range levels {
		t.Run("INV-18 OUT-010 "+l.name, func(t *testing.T) {
			t.Parallel()
			web := newWebsite(t, ca, policyText(l.sts))
			for i, behaviour := range behaviours {
				p := sim.Peer{Address: "127.0.0.1:0"}
				cert, known := hosts[behaviour]
				if !known {
					cert = hosts["valid"]
				}
				if p.TLS = serving(cert); behaviour == "no STARTTLS" {
					p.TLS = nil
				}
				switch behaviour {
				case "refused":
					p.Faults = []sim.Fault{{At: "STARTTLS", Raw: "454 4.7.0 Not now\r\n"}}
				case "handshake fails":
					p.Faults = []sim.Fault{{At: "STARTTLS", Raw: "220 2.0.0 Go\r\n", Extra: "this is not TLS at all\r\n", Then: sim.Drop}}
				}
				address := peerAt(t, "127.0.0.1:0", p).Addr().String()
				if behaviour == "stripped" {
					address = stripper(t, address)
				}
				port := portOf(t, address)
				zone := "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n"
				base := fmt.Sprintf("_%d._tcp.mx.d.test. ", port)
				switch l.tlsa {
				case "right":
					zone += base + spki(3, cert.Leaf) + "\n"
				case "wrong":
					zone += base + spki(3, ca.cert) + "\n"
				case "unusable":
					zone += base + strings.Replace(spki(3, cert.Leaf), "TLSA 3", "TLSA 1", 1) + "\n" + base + "TLSA 3 1 1 00\n"
				}
				if l.sts != "" {
					zone += "_mta-sts.d.test. TXT \"v=STSv1; id=1;\"\n"
				}
				server, err := sim.StartDNS("127.0.0.1:0", zone)
				check(t, err)
				t.Cleanup(server.Close)
				server.Validate(true)
				var list []tlspolicy.Rule
				if l.level != tlspolicy.Auto {
					rule := tlspolicy.Rule{Domain: "d.test", Level: l.level}
					if l.level == tlspolicy.Fingerprint {
						rule.Match = []string{fmt.Sprintf("%X", sha256.Sum256(hosts["valid"].Leaf.Raw))}
					}
					list = append(list, rule)
				}
				rules := tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, list)
				x := newExit(t, server.Addr(), true, port, rules, tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
				want := words[strings.Fields(l.want)[i]]
				for range 2 { // a second attempt is no weaker than the first
					if how, text := x.attempt("d.test", need{}); how != want {
						t.Errorf("%s: %s (%s), want %s", behaviour, how, text, want)
					}
				}
				if l.level != tlspolicy.None && len(x.types()) < 2 {
					t.Errorf("%s: the sessions are not counted", behaviour)
				}
				if behaviour == "handshake fails" && want == "clear" && l.level != tlspolicy.None && !slices.ContainsFunc(x.lines, func(s string) bool { return strings.Contains(s, "the mail goes in clear") }) {
					t.Errorf("a failed handshake is not in the log: %q", x.lines)
				}
			}
		})
	}
}

// What is counted, and what the log and the reply say.
func TestMatrixIsTold(t *testing.T) {
	ca := newAuthority(t)
	for name, x := range map[string]struct {
		cert        []string // nil: no TLS
		types, line string
		reply       string
	}{
		"valid":       {[]string{"mx.d.test"}, "sts", "Verified TLS connection established to mx.d.test[127.0.0.1]", ""},
		"no STARTTLS": {nil, "sts:starttls-not-supported", "", "TLS is required, but was not offered by host mx.d.test[127.0.0.1]"},
		"expired":     {[]string{"mx.d.test", "!expired"}, "sts:certificate-expired", "", "Server certificate not verified: host mx.d.test[127.0.0.1]"},
		"wrong name":  {[]string{"a.test"}, "sts:certificate-host-mismatch", "", "the MTA-STS policy of d.test enforces it"},
		"self-signed": {[]string{"mx.d.test", "!self"}, "sts:certificate-not-trusted", "", "certificate signed by unknown authority"},
	} {
		t.Run("INV-18 "+name, func(t *testing.T) {
			p := sim.Peer{}
			if x.cert != nil {
				p.TLS = serving(ca.issue(x.cert...))
			}
			port := portOf(t, peerAt(t, "127.0.0.1:0", p).Addr().String())
			web := newWebsite(t, ca, policyText("enforce"))
			server, err := sim.StartDNS("127.0.0.1:0", "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n_mta-sts.d.test. TXT \"v=STSv1; id=1;\"\n")
			check(t, err)
			t.Cleanup(server.Close)
			e := newExit(t, server.Addr(), true, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil), tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
			_, text := e.attempt("d.test", need{})
			e.mu.Lock()
			r := e.results[0]
			e.mu.Unlock()
			if got := strings.Join(e.types(), " "); got != x.types {
				t.Errorf("counted as %s, want %s", got, x.types)
			}
			if r.Domain != "d.test" || r.Host != "mx.d.test" || !r.Remote.IsLoopback() || !r.Local.IsLoopback() || len(r.Lines) != 4 || len(r.MX) != 1 {
				t.Errorf("counted as %+v", r)
			}
			if lines := strings.Join(e.lines, "\n"); !strings.Contains(lines, x.line) || x.line == "" && lines != "" {
				t.Errorf("the log says %q", lines)
			}
			if !strings.Contains(text, x.reply) {
				t.Errorf("%s", text)
			}
		})
	}
}

// A policy holds though everything that could tell of it is gone, and the host with it.
func TestDowngradeBetweenAttempts(t *testing.T) {
	ca := newAuthority(t)
	good := peerAt(t, "127.0.0.1:0", sim.Peer{TLS: serving(ca.issue("mx.d.test"))})
	port := portOf(t, good.Addr().String())
	web := newWebsite(t, ca, policyText("enforce"))
	zone := "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n"
	server, err := sim.StartDNS("127.0.0.1:0", zone+"_mta-sts.d.test. TXT \"v=STSv1; id=1;\"\n")
	check(t, err)
	defer server.Close()
	rules := tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil)
	var kept []tlspolicy.Cached
	x := newExit(t, server.Addr(), false, port, rules, tlspolicy.Config{Roots: ca.pool(), WebPort: web.port,
		Save: func(_ context.Context, c tlspolicy.Cached) error { kept = append(kept, c); return nil }})
	if how, text := x.attempt("d.test", need{}); how != "verified" {
		t.Fatal(how, text)
	}
	good.Close()
	web.server.Close()
	peerAt(t, fmt.Sprintf("127.0.0.1:%d", port), sim.Peer{})
	for _, forged := range []string{zone, zone + "_mta-sts.d.test. TXT \"v=STSv1; id=2;\"\n", zone + "!servfail _mta-sts.d.test\n",
		"d.test. MX 10 evil.test.\nevil.test. A 127.0.0.1\n", "d.test. MX 10 a.mx.d.test.\na.mx.d.test. A 127.0.0.1\n"} {
		liar, err := sim.StartDNS("127.0.0.1:0", forged)
		check(t, err)
		defer liar.Close()
		after := newExit(t, liar.Addr(), false, port, rules, tlspolicy.Config{Known: kept, Roots: ca.pool(), WebPort: web.port}) // after a restart
		for range 2 {
			if how, text := after.attempt("d.test", need{}); how != "deferred" {
				t.Errorf("INV-18 OUT-010 OUT-011: %s (%s) with %q", how, text, forged)
			}
		}
	}
}

// Of several hosts, the one that is as the domain demands gets the mail.
func TestHostsThatAreNotGoodEnough(t *testing.T) {
	ca := newAuthority(t)
	first := peerAt(t, "127.0.0.2:0", sim.Peer{})
	port := portOf(t, first.Addr().String())
	second := ca.issue("mx2.d.test")
	peerAt(t, fmt.Sprintf("127.0.0.3:%d", port), sim.Peer{TLS: serving(second)})
	hosts := "d.test. MX 10 mx1.d.test.\nd.test. MX 20 mx2.d.test.\nmx1.d.test. A 127.0.0.2\nmx2.d.test. A 127.0.0.3\nmta-sts.d.test. A 127.0.0.1\n"
	announced := "_mta-sts.d.test. TXT \"v=STSv1; id=1;\"\n"
	for name, c := range map[string]struct{ zone, mx, how, peer string }{
		"MTA-STS names only the second":               {hosts + announced, "mx: mx2.d.test\n", "verified", "mx2.d.test"},
		"MTA-STS names both":                          {hosts + announced, "mx: *.d.test\n", "verified", "mx2.d.test"},
		"MTA-STS names none":                          {hosts + announced, "mx: mx3.d.test\n", "deferred", "does not name the mail host mx"},
		"DANE at the second, nothing at the first":    {hosts + fmt.Sprintf("_%d._tcp.mx2.d.test. %s\n", port, spki(3, second.Leaf)), "", "clear", "mx1.d.test"},
		"DANE at the first, who can't do TLS":         {hosts + fmt.Sprintf("_%d._tcp.mx1.d.test. %s\n", port, spki(3, second.Leaf)), "", "tls", "mx2.d.test"},
		"DANE at both, and only the second is good":   {hosts + fmt.Sprintf("_%[1]d._tcp.mx1.d.test. %[2]s\n_%[1]d._tcp.mx2.d.test. %[2]s\n", port, spki(3, second.Leaf)), "", "verified", "mx2.d.test"},
		"DANE, and nobody can tell about the first":   {hosts + fmt.Sprintf("!servfail _%d._tcp.mx1.d.test\n_%[1]d._tcp.mx2.d.test. %s\n", port, spki(3, second.Leaf)), "", "verified", "mx2.d.test"},
		"DANE, and nobody can tell about any of them": {hosts + fmt.Sprintf("!servfail _%[1]d._tcp.mx1.d.test\n!servfail _%[1]d._tcp.mx2.d.test\n", port), "", "deferred", "TLSA lookup error for mx"},
	} {
		t.Run("INV-18 "+name, func(t *testing.T) {
			web := newWebsite(t, ca, "version: STSv1\nmode: enforce\nmax_age: 86400\n"+c.mx)
			server, err := sim.StartDNS("127.0.0.1:0", c.zone)
			check(t, err)
			defer server.Close()
			server.Validate(true)
			x := newExit(t, server.Addr(), true, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil), tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
			if how, text := x.attempt("d.test", need{}); how != c.how || !strings.Contains(text, c.peer) {
				t.Errorf("%s (%s), want %s (%s)", how, text, c.how, c.peer)
			}
		})
	}
}

// The AD bit counts from a resolver that was declared trusted, and from no other.
func TestADFromAnUntrustedResolver(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{}).Addr().String())
	server, err := sim.StartDNS("127.0.0.1:0", fmt.Sprintf("d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n_%d._tcp.mx.d.test. %s\n", port, spki(3, ca.cert)))
	check(t, err)
	defer server.Close()
	server.Validate(true)
	for trusted, want := range map[bool]string{true: "deferred", false: "clear"} {
		x := newExit(t, server.Addr(), trusted, port, tlspolicy.NewRules(tlspolicy.Rules{}, nil), tlspolicy.Config{})
		if how, text := x.attempt("d.test", need{}); how != want {
			t.Errorf("trusted=%v: %s (%s), want %s", trusted, how, text, want)
		}
	}
	x := newExit(t, server.Addr(), false, port, tlspolicy.NewRules(tlspolicy.Rules{}, nil), tlspolicy.Config{})
	if how, text := x.attempt("d.test", need{tls: true}); how != "failed" || !strings.Contains(text, "neither DNSSEC nor MTA-STS") {
		t.Errorf("REQUIRETLS: %s (%s)", how, text)
	}
}

// RFC 8689 §4.2.1: the name of the host comes by DNSSEC, by MTA-STS or from the admin.
func TestRequireTLSNeedsATrustedName(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{TLS: serving(ca.issue("mx.d.test")), Offer: []string{"REQUIRETLS"}}).Addr().String())
	zone := "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n"
	for name, c := range map[string]struct {
		records, policy string
		secure          bool
		how             string
	}{
		"by DNSSEC":                         {"", "", true, "verified"},
		"by MTA-STS":                        {"_mta-sts.d.test. TXT \"v=STSv1; id=1\"\n", policyText("enforce"), false, "verified"},
		"by MTA-STS that is tested":         {"_mta-sts.d.test. TXT \"v=STSv1; id=1\"\n", policyText("testing"), false, "verified"},
		"by neither":                        {"", "", false, "failed"},
		"by MTA-STS whose web site is down": {"_mta-sts.d.test. TXT \"v=STSv1; id=1\"\n", "", false, "deferred"},
		"nobody knows":                      {"!servfail _mta-sts.d.test\n", "", false, "deferred"},
	} {
		t.Run(name, func(t *testing.T) {
			web := newWebsite(t, ca, c.policy)
			server, err := sim.StartDNS("127.0.0.1:0", zone+c.records)
			check(t, err)
			defer server.Close()
			server.Validate(c.secure)
			x := newExit(t, server.Addr(), true, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil), tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
			if how, text := x.attempt("d.test", need{tls: true}); how != c.how {
				t.Errorf("%s (%s), want %s", how, text, c.how)
			}
		})
	}
}

// OUT-011: what was found while a policy was not waited for counts until it arrives, and
// the mail behind it is sent as the policy wants.
func TestPolicyArrivesLater(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{}).Addr().String()) // without TLS
	web := newWebsite(t, ca, policyText("enforce"))
	server, err := sim.StartDNS("127.0.0.1:0", "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n_mta-sts.d.test. TXT \"v=STSv1; id=1\"\n")
	check(t, err)
	defer server.Close()
	x := newExit(t, server.Addr(), false, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil),
		tlspolicy.Config{Roots: ca.pool(), WebPort: web.port, Patience: 50 * time.Millisecond})
	choice := x.out.Ways.Choose(transport.Mail{Domain: "d.test"})
	web.mu.Lock() // it does not answer
	s, reply, text := x.finder.site(t.Context(), x.out, choice)
	d := &destination{choice: choice, site: s, found: time.Now()}
	if fresh := d.fresh(choice, time.Now()); reply != nil || s.demand.STS != nil || !fresh {
		t.Errorf("%v %v %s", fresh, s.demand.STS, text)
	}
	web.mu.Unlock()
	for end := time.Now().Add(20 * time.Second); d.fresh(choice, time.Now()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("OUT-011: the site counts on without its policy")
		}
	}
	d.site, _, _ = x.finder.site(t.Context(), x.out, choice)
	if d.site.demand.STS == nil || d.site.key() == s.key() || !d.fresh(choice, time.Now()) {
		t.Errorf("OUT-011 %+v", d.site.demand)
	}
}

// With REQUIRETLS, a host that is known to have TLS and offers none may have a man in the
// middle: the message waits. Where nothing says that it has, the message comes back.
func TestRequireTLSStripped(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue("mx.d.test")
	port := portOf(t, stripper(t, peerAt(t, "127.0.0.1:0", sim.Peer{TLS: serving(good), Offer: []string{"REQUIRETLS"}}).Addr().String()))
	zone := "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n"
	announced, tlsa := "_mta-sts.d.test. TXT \"v=STSv1; id=1\"\n", fmt.Sprintf("_%d._tcp.mx.d.test. %s\n", port, spki(3, good.Leaf))
	secure := []tlspolicy.Rule{{Domain: "d.test", Level: tlspolicy.Secure}}
	for name, c := range map[string]struct {
		records, policy string
		dnssec          bool
		rules           []tlspolicy.Rule
		how, text       string
	}{
		"MTA-STS":                   {announced, policyText("enforce"), false, nil, "deferred", "4.7.4"},
		"MTA-STS that is tested":    {announced, policyText("testing"), false, nil, "deferred", "4.7.4"},
		"DANE":                      {tlsa, "", true, nil, "deferred", "4.7.4"},
		"the settings":              {"", "", false, secure, "deferred", "4.7.4"},
		"DNSSEC says the name only": {"", "", true, nil, "failed", "5.7.30"},
	} {
		t.Run("INV-18 "+name, func(t *testing.T) {
			web := newWebsite(t, ca, c.policy)
			server, err := sim.StartDNS("127.0.0.1:0", zone+c.records)
			check(t, err)
			defer server.Close()
			server.Validate(c.dnssec)
			x := newExit(t, server.Addr(), true, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, c.rules), tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
			if how, text := x.attempt("d.test", need{tls: true}); how != c.how || !strings.Contains(text, c.text) || strings.Contains(text, "password") {
				t.Errorf("%s (%s), want %s (%s)", how, text, c.how, c.text)
			}
		})
	}
}

// A connection whose host was named by an answer that could have been forged is none for
// REQUIRETLS, though its certificate is good for that name.
func TestRequireTLSOnAConnectionOfAnother(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{TLS: serving(ca.issue("mx.d.test")), Offer: []string{"REQUIRETLS"}}).Addr().String())
	server, err := sim.StartDNS("127.0.0.1:0", "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\n")
	check(t, err)
	defer server.Close()
	for level, want := range map[tlspolicy.Level]bool{tlspolicy.Verify: false, tlspolicy.Secure: true} {
		rules := tlspolicy.NewRules(tlspolicy.Rules{Roots: ca.pool()}, []tlspolicy.Rule{{Domain: "d.test", Level: level}})
		x := newExit(t, server.Addr(), false, port, rules, tlspolicy.Config{})
		s, _, _ := x.finder.site(t.Context(), x.out, x.out.Ways.Choose(transport.Mail{Domain: "d.test"}))
		conn, _, text := x.finder.connect(t.Context(), x.out, s, need{})
		if conn == nil {
			t.Fatal(text)
		}
		if got := (need{tls: true}).metBy(conn); got != want || !conn.Verified() {
			t.Errorf("RFC 8689, level %s: %v", level, got)
		}
		conn.Close()
	}
}

// TestRelays: a relay that gets a password has to prove who it is, unless it is this
// machine or the admin says otherwise; never does the password go in clear.
func TestRelays(t *testing.T) {
	ca := newAuthority(t)
	good, wrong := serving(ca.issue("relay.test")), serving(ca.issue("other.test"))
	server, err := sim.StartDNS("127.0.0.1:0", "relay.test. A 127.0.0.1\n")
	check(t, err)
	defer server.Close()
	for name, c := range map[string]struct {
		relay transport.Relay
		tls   *tls.Config
		want  string
	}{
		"no password":                             {transport.Relay{Host: "relay.test"}, nil, "clear"},
		"no password, TLS":                        {transport.Relay{Host: "relay.test"}, wrong, "tls"},
		"no password, verify":                     {transport.Relay{Host: "relay.test", Verify: true}, wrong, "deferred"},
		"a password":                              {transport.Relay{Host: "relay.test", User: "u"}, good, "verified"},
		"a password, and no TLS":                  {transport.Relay{Host: "relay.test", User: "u"}, nil, "deferred"},
		"a password, and another's name":          {transport.Relay{Host: "relay.test", User: "u"}, wrong, "deferred"},
		"a password, and the admin does not mind": {transport.Relay{Host: "relay.test", User: "u", Encrypt: true}, wrong, "tls"},
		"a password, for this machine":            {transport.Relay{Host: "127.0.0.1", User: "u"}, wrong, "tls"},
		"a password, for this machine in clear":   {transport.Relay{Host: "127.0.0.1", User: "u"}, nil, "deferred"},
	} {
		t.Run("INV-18 "+name, func(t *testing.T) {
			c.relay.Port = portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{TLS: c.tls, Offer: []string{"AUTH PLAIN"}}).Addr().String())
			c.relay.Password = conf.NewSecret("geheim")
			x := newExit(t, server.Addr(), false, 1, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true, Roots: ca.pool()}, nil), tlspolicy.Config{})
			choice := x.out.Ways.Choose(transport.Mail{Domain: "d.test"})
			choice.Relays = []transport.Relay{c.relay}
			s, _, _ := x.finder.site(t.Context(), x.out, choice)
			addrs, reply := x.finder.addrs(t.Context(), x.out, s.hosts[0])
			if reply != nil {
				t.Fatal(reply)
			}
			b, _ := x.finder.bond(t.Context(), x.out, s, s.hosts[0], addrs, need{})
			conn, reply, text := x.finder.connect(t.Context(), x.out, s, need{})
			got := "deferred"
			if conn != nil {
				_, encrypted := conn.TLS()
				got = map[bool]string{true: "tls", false: "clear"}[encrypted]
				if conn.Verified() {
					got = "verified"
				}
				conn.Close()
			} else if !reply.Temporary() || strings.Contains(text, "geheim") {
				t.Error(reply, text)
			}
			if got != c.want {
				t.Errorf("%s (%s; %s), want %s", got, text, b.terms.Why, c.want)
			}
		})
	}
}

// TestDANE: a real validating resolver, signed zones, and hosts of all kinds (RFC 7672).
func TestDANE(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	right, expired, rolled, elsewhere := ca.issue("mx.other.test"), ca.issue("x.test", "!expired"), ca.issue("rolled.signed.test"), stranger.issue("*.signed.test")
	byTA, noName := ca.issue("*.signed.test"), ca.issue("not.other.test")
	late := ca.issue("*.signed.test", "!expired")
	first := peerAt(t, "127.0.0.2:0", sim.Peer{})
	port := portOf(t, first.Addr().String())
	var zone strings.Builder
	n := 2
	cases := []struct {
		name string
		cert *tls.Certificate // nil: no TLS
		tlsa []string
		how  string
		text string
	}{
		{"no TLSA, no TLS", nil, nil, "clear", ""},
		{"no TLSA, TLS", &right, nil, "tls", ""},
		{"the right key", &right, []string{spki(3, right.Leaf)}, "verified", ""},
		{"the right certificate", &right, []string{fmt.Sprintf("TLSA 3 0 2 %x", sha512.Sum512(right.Leaf.Raw))}, "verified", ""},
		{"the whole key", &right, []string{fmt.Sprintf("TLSA 3 1 0 %x", right.Leaf.RawSubjectPublicKeyInfo)}, "verified", ""},
		{"a wrong key", &right, []string{spki(3, rolled.Leaf)}, "deferred", "does not match any TLSA record"},
		{"before a roll-over", &rolled, []string{spki(3, rolled.Leaf), spki(3, right.Leaf)}, "verified", ""},
		{"after a roll-over", &right, []string{spki(3, rolled.Leaf), spki(3, right.Leaf)}, "verified", ""},
		{"an expired certificate, by its key", &expired, []string{spki(3, expired.Leaf)}, "verified", ""},
		{"TLSA, and no TLS", nil, []string{spki(3, right.Leaf)}, "deferred", "TLS is required, but was not offered"},
		{"an authority", &byTA, []string{spki(2, ca.cert)}, "verified", ""},
		{"an authority, in full", &byTA, []string{fmt.Sprintf("TLSA 2 0 0 %x", ca.cert.Raw)}, "verified", ""},
		{"an authority, and another's name", &noName, []string{spki(2, ca.cert)}, "deferred", "not.other.test"},
		{"an authority, expired", &late, []string{spki(2, ca.cert)}, "deferred", "expired"},
		{"another authority", &elsewhere, []string{spki(2, ca.cert)}, "deferred", "does not match any TLSA record"},
		{"only PKIX-EE", &right, []string{spki(1, right.Leaf)}, "tls", ""},
		{"only PKIX-EE, and no TLS", nil, []string{spki(1, right.Leaf)}, "deferred", "was not offered"},
		{"AUT-025 nonsense", &right, []string{"TLSA 255 0 1 00", "TLSA 3 0 1 0011", "TLSA 3 9 9 00"}, "tls", ""},
		{"AUT-025 nonsense beside the right key", &right, []string{"TLSA 3 1 1 001122", spki(3, right.Leaf)}, "verified", ""},
		{"the stronger digest is wrong", &right, []string{spki(3, right.Leaf), fmt.Sprintf("TLSA 3 1 2 %x", sha512.Sum512([]byte("x")))}, "deferred", ""},
	}
	for i := range cases {
		c := &cases[i]
		host := fmt.Sprintf("mx%d.signed.test", i)
		n++
		p := sim.Peer{}
		if c.cert != nil {
			p.TLS = serving(*c.cert)
		}
		peerAt(t, fmt.Sprintf("127.0.0.%d:%d", n, port), p)
		fmt.Fprintf(&zone, "d%d.signed.test. MX 10 %s.\n%s. A 127.0.0.%d\n", i, host, host, n)
		for _, r := range c.tlsa {
			fmt.Fprintf(&zone, "_%d._tcp.%s. %s\n", port, host, r)
		}
	}
	plain := func(ip string) string { return "A " + ip }
	wrong := fmt.Sprintf("_%d._tcp.", port)
	fmt.Fprintf(&zone, "bogusmx.signed.test. MX 10 mx2.signed.test.\n")
	fmt.Fprintf(&zone, "bogushost.signed.test. MX 10 bogusa.signed.test.\nbogusa.signed.test. %s\n", plain("127.0.0.2"))
	fmt.Fprintf(&zone, "bogustlsa.signed.test. MX 10 sound.signed.test.\nsound.signed.test. %s\n%ssound.signed.test. %s\n", plain("127.0.0.2"), wrong, spki(3, right.Leaf))
	// A signed domain whose host is in a zone that is not, and the other way round.
	fmt.Fprintf(&zone, "away.signed.test. MX 10 mx.plain.test.\n")
	// Aliases: to a name in the zone, and out of it, with and without records of their own.
	fmt.Fprintf(&zone, "alias.signed.test. MX 10 cname.signed.test.\ncname.signed.test. CNAME mx2.signed.test.\n")
	fmt.Fprintf(&zone, "out.signed.test. MX 10 leads.signed.test.\nleads.signed.test. CNAME mx.plain.test.\n%sleads.signed.test. %s\n", wrong, spki(3, right.Leaf))
	fmt.Fprintf(&zone, "out2.signed.test. MX 10 leads2.signed.test.\nleads2.signed.test. CNAME mx.plain.test.\n")
	// No MX record at all.
	fmt.Fprintf(&zone, "implicit.signed.test. %s\n%simplicit.signed.test. %s\n", plain("127.0.0.2"), wrong, spki(3, right.Leaf))
	u := interop.StartUnbound(t,
		interop.Zone{Name: "signed.test", Signed: true, Records: zone.String(),
			Bogus: []string{"bogusmx.signed.test", "bogusa.signed.test", fmt.Sprintf("_%d._tcp.sound.signed.test", port)}},
		interop.Zone{Name: "plain.test", Records: fmt.Sprintf("plain.test. MX 10 mx.plain.test.\nmx.plain.test. A 127.0.0.2\n%smx.plain.test. %s\nto.plain.test. MX 10 mx5.signed.test.\n", wrong, spki(3, right.Leaf))})
	x := newExit(t, u.Addr(), true, port, tlspolicy.NewRules(tlspolicy.Rules{MTASTS: true}, nil), tlspolicy.Config{})
	expect := func(name, domain, want, reply string) {
		t.Run("INV-18 "+name, func(t *testing.T) {
			for range 2 {
				if how, text := x.attempt(domain, need{}); how != want || !strings.Contains(text, reply) {
					t.Errorf("%s (%s), want %s (%s)", how, text, want, reply)
				}
			}
		})
	}
	for i, c := range cases {
		expect(c.name, fmt.Sprintf("d%d.signed.test", i), c.how, c.text)
	}
	expect("a bogus MX record", "bogusmx.signed.test", "deferred", "SERVFAIL")
	expect("a bogus address", "bogushost.signed.test", "deferred", "SERVFAIL")
	expect("a bogus TLSA record", "bogustlsa.signed.test", "deferred", "TLSA lookup error for sound.signed.test")
	expect("a zone without signatures", "plain.test", "clear", "")
	expect("a signed domain, a host without signatures", "away.signed.test", "clear", "")
	expect("a domain without signatures, a signed host", "to.plain.test", "tls", "")
	expect("an alias within the zone", "alias.signed.test", "verified", "")
	expect("an alias out of the zone, with records", "out.signed.test", "deferred", "was not offered")
	expect("an alias out of the zone, without", "out2.signed.test", "clear", "")
	expect("a domain without MX records", "implicit.signed.test", "deferred", "was not offered")
	keys := make(map[string]string)
	for _, domain := range []string{"to.plain.test", "d5.signed.test"} { // both go to mx5.signed.test
		s, _, text := x.finder.site(t.Context(), x.out, x.out.Ways.Choose(transport.Mail{Domain: domain}))
		if other := keys[s.key()]; other != "" || len(s.hosts) != 1 || s.hosts[0].name != "mx5.signed.test" {
			t.Errorf("INV-18: %s shares connections with %q (%s)", domain, other, text)
		}
		keys[s.key()] = domain
	}
	for _, want := range []string{"Verified TLS connection established to mx2.signed.test[127.0.0.", "Untrusted TLS connection established to mx1.signed.test[127.0.0."} {
		if !slices.ContainsFunc(x.lines, func(s string) bool {
			return strings.HasPrefix(s, want) && strings.Contains(s, "TLSv1.3 with cipher TLS_")
		}) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

// TestTLSRequiredNo: RFC 8689 §5. What the domain publishes does not stop such a message,
// what the admin demands does.
func TestTLSRequiredNo(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{}).Addr().String()) // without TLS
	zone := "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n"
	sts := "_mta-sts.d.test. TXT \"v=STSv1; id=1;\"\n"
	dane := fmt.Sprintf("_%d._tcp.mx.d.test. %s\n", port, spki(3, ca.cert))
	for name, c := range map[string]struct {
		zone, policy string
		rules        tlspolicy.Rules
		list         []tlspolicy.Rule
		how          string
	}{
		"MTA-STS":             {zone + sts, policyText("enforce"), tlspolicy.Rules{MTASTS: true}, nil, "clear"},
		"DANE":                {zone + dane, "", tlspolicy.Rules{}, nil, "clear"},
		"a default":           {zone + sts, policyText("enforce"), tlspolicy.Rules{MTASTS: true, Default: tlspolicy.Rule{Level: tlspolicy.Encrypt}}, nil, "deferred"},
		"dane-only":           {zone + dane, "", tlspolicy.Rules{Default: tlspolicy.Rule{Level: tlspolicy.DaneOnly}}, nil, "deferred"},
		"an entry":            {zone, "", tlspolicy.Rules{}, []tlspolicy.Rule{{Domain: "d.test", Level: tlspolicy.Encrypt}}, "deferred"},
		"an entry for DANE":   {zone + dane, "", tlspolicy.Rules{}, []tlspolicy.Rule{{Domain: "d.test", Level: tlspolicy.Dane}}, "deferred"},
		"nothing is demanded": {zone, "", tlspolicy.Rules{}, nil, "clear"},
	} {
		t.Run("RFC 8689 §5 "+name, func(t *testing.T) {
			web := newWebsite(t, ca, c.policy)
			server, err := sim.StartDNS("127.0.0.1:0", c.zone)
			check(t, err)
			defer server.Close()
			server.Validate(true)
			c.rules.Roots = ca.pool()
			x := newExit(t, server.Addr(), true, port, tlspolicy.NewRules(c.rules, c.list), tlspolicy.Config{Roots: ca.pool(), WebPort: web.port})
			s, reply, text := x.finder.site(t.Context(), x.out, x.out.Ways.Choose(transport.Mail{Domain: "d.test"}))
			if reply != nil {
				t.Fatal(text)
			}
			how := "clear"
			conn, _, text := x.finder.connect(t.Context(), x.out, s.relaxed(), need{})
			if conn == nil {
				how = "deferred"
			} else {
				conn.Close()
			}
			if how != c.how {
				t.Errorf("%s (%s), want %s", how, text, c.how)
			}
			if strict, _, _ := x.finder.connect(t.Context(), x.out, s, need{}); strict != nil && name != "nothing is demanded" {
				t.Error("INV-18: other mail went in clear")
			}
			if shared := s.key() == s.relaxed().key(); shared && (name == "MTA-STS" || name == "DANE") {
				t.Errorf("INV-18: connections in clear are shared: %q", s.key())
			}
		})
	}
}

// TestTheLevelOfATransport: its own, unless an entry for the destination stands.
func TestTheLevelOfATransport(t *testing.T) {
	ca := newAuthority(t)
	port := portOf(t, peerAt(t, "127.0.0.1:0", sim.Peer{}).Addr().String()) // without TLS
	server, err := sim.StartDNS("127.0.0.1:0", "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\ne.test. MX 10 mx.d.test.\n")
	check(t, err)
	defer server.Close()
	x := newExit(t, server.Addr(), false, port, tlspolicy.NewRules(tlspolicy.Rules{Roots: ca.pool()}, []tlspolicy.Rule{{Domain: "e.test", Level: tlspolicy.May}}), tlspolicy.Config{})
	careful := &transport.Transport{Name: "careful", TLS: tlspolicy.Encrypt}
	usual := &transport.Transport{Name: "smtp", TLS: tlspolicy.Encrypt}
	preset := transport.Preset{Transport: &transport.Transport{Name: "provider"}, MX: []string{"mx.d.test"}}
	for name, c := range map[string]struct {
		rules  transport.Rules
		domain string
		how    string
	}{
		"by an entry":                  {transport.Rules{Transports: []*transport.Transport{careful}, Entries: []transport.Entry{{Recipients: []string{"d.test"}, To: "careful:"}}}, "d.test", "deferred"},
		"of the usual one":             {transport.Rules{Usual: usual}, "d.test", "deferred"},
		"of the usual one by a preset": {transport.Rules{Usual: usual, Presets: []transport.Preset{preset}}, "d.test", "deferred"},
		"a rule stands":                {transport.Rules{Usual: usual}, "e.test", "clear"},
		"of another":                   {transport.Rules{Transports: []*transport.Transport{careful}}, "d.test", "clear"},
	} {
		t.Run("OUT-010 "+name, func(t *testing.T) {
			table, wrong := transport.NewTable(c.rules)
			if wrong != nil {
				t.Fatal(wrong)
			}
			x.out.Ways = table
			choice := table.ForMX(table.Choose(transport.Mail{Domain: c.domain, Recipient: mustParse(t, "x@"+c.domain)}), []string{"mx.d.test"})
			s, reply, text := x.finder.site(t.Context(), x.out, choice)
			if reply != nil {
				t.Fatal(text)
			}
			how := "clear"
			conn, _, text := x.finder.connect(t.Context(), x.out, s, need{})
			if conn == nil {
				how = "deferred"
			} else {
				conn.Close()
			}
			if how != c.how {
				t.Errorf("%s by %s (%s), want %s", how, choice.Transport.Name, text, c.how)
			}
		})
	}
}
