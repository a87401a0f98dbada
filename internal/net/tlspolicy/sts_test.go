package tlspolicy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

// place is the web server of d.test, with a name server beside it.
type place struct {
	t       *testing.T
	dns     *sim.DNS
	roots   *x509.CertPool
	port    uint16
	keeper  *Keeper
	clock   atomic.Int64 // seconds from now
	asked   atomic.Int32
	answer  atomic.Pointer[http.HandlerFunc]
	mu      sync.Mutex
	results []Result
	saved   []Cached
	server  *http.Server
}

const zone = "d.test. MX 10 mx.d.test.\nmx.d.test. A 127.0.0.1\nmta-sts.d.test. A 127.0.0.1\n"

func newPlace(t *testing.T, names ...string) *place {
	t.Helper()
	p := &place{t: t, roots: x509.NewCertPool()}
	if len(names) == 0 {
		names = []string{"mta-sts.d.test"}
	}
	template := &x509.Certificate{DNSNames: names}
	if names[0] == "expired" {
		template.DNSNames, template.NotBefore, template.NotAfter = []string{"mta-sts.d.test"}, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	cert, key := issued(t, template, nil, nil)
	if names[0] != "self" {
		p.roots.AddCert(cert)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	p.port = l.Addr().(*net.TCPAddr).AddrPort().Port()
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.answer.Load())(w, r)
	}), ErrorLog: log.New(io.Discard, "", 0)}
	go p.server.Serve(l)
	t.Cleanup(func() { p.server.Close() })
	p.serve(minimal)
	if p.dns, err = sim.StartDNS("127.0.0.1:0", zone); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.dns.Close)
	p.keeper = p.open(nil)
	return p
}

// open makes a keeper, as after a restart.
func (p *place) open(known []Cached) *Keeper {
	p.t.Helper()
	resolver, err := dns.New(dns.Config{Servers: []string{p.dns.Addr()}, Timeout: 20 * time.Second, Deadline: time.Minute, NegativeTTL: time.Nanosecond, MaxTTL: time.Nanosecond})
	if err != nil {
		p.t.Fatal(err)
	}
	return New(Config{Resolver: resolver, Known: known, Roots: p.roots, WebPort: p.port, Permit: netip.Addr.IsLoopback, FetchTime: 20 * time.Second, Patience: 20 * time.Second,
		Now: func() time.Time { return time.Now().Add(time.Duration(p.clock.Load()) * time.Second) },
		Report: func(r Result) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.results = append(p.results, r)
		},
		Save: func(_ context.Context, c Cached) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.saved = append(p.saved, c)
			return nil
		}})
}

func (p *place) handle(f http.HandlerFunc) { p.answer.Store(&f) }

// serve answers with a policy.
func (p *place) serve(text string) {
	p.handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, text)
	})
}

// announce makes the record of d.test one with this id; "" takes it away.
func (p *place) announce(id string) {
	p.t.Helper()
	p.dns.Close()
	text := zone
	if id != "" && id != "servfail" {
		text += fmt.Sprintf("_mta-sts.d.test. TXT \"v=STSv1; id=%s;\"\n", id)
	}
	if id == "servfail" {
		text += "!servfail _mta-sts.d.test\n"
	}
	d, err := sim.StartDNS(p.dns.Addr(), text)
	if err != nil {
		p.t.Fatal(err)
	}
	p.dns = d
	p.t.Cleanup(d.Close)
}

// policy is what counts for d.test now, as "mode mx,mx", or "".
func (p *place) policy() (string, published) {
	found := p.keeper.policyOf(p.t.Context(), "d.test")
	if found.policy == nil {
		return "", found
	}
	return string(found.policy.Mode) + " " + strings.Join(found.policy.MX, ","), found
}

func (p *place) later(d time.Duration) { p.clock.Add(int64(d / time.Second)) }

func (p *place) want(when, policy string, asked int32) {
	p.t.Helper()
	if got, found := p.policy(); got != policy || p.asked.Load() != asked {
		p.t.Errorf("OUT-011 %s: %q after %d fetches (%v, %v), want %q after %d", when, got, p.asked.Load(), found.trouble, found.doubt, policy, asked)
	}
}

// TestPolicyLife: RFC 8461 §3.3 and §5.1, from the first sight of a policy to its end.
func TestPolicyLife(t *testing.T) {
	p := newPlace(t)
	p.want("no record", "", 0)
	p.announce("1")
	p.want("a record", "enforce mx.example.com", 1)
	p.want("again", "enforce mx.example.com", 1)
	p.serve(strings.Replace(minimal, "mx.example.com", "mx2.example.com", 1))
	p.announce("2")
	p.want("another id at once", "enforce mx.example.com", 1)
	p.later(6 * time.Minute)
	p.want("another id after a while", "enforce mx2.example.com", 2)
	p.announce("3")
	p.want("flapping", "enforce mx2.example.com", 2)
	p.handle(http.NotFound)
	p.later(6 * time.Minute)
	p.want("the fetch fails", "enforce mx2.example.com", 3)
	p.announce("")
	p.want("the record is gone", "enforce mx2.example.com", 3)
	p.announce("servfail")
	p.want("the name server is down", "enforce mx2.example.com", 3)
	p.keeper = p.open(p.saved[1:])
	p.want("after a restart", "enforce mx2.example.com", 3)
	p.later(10 * time.Minute)
	p.want("max_age is over", "", 3)
	p.announce("3")
	p.want("the fetch still fails", "", 4)
	p.want("and is not tried again at once", "", 4)
	if _, found := p.policy(); found.trouble == nil {
		t.Error("nobody knows why there is no policy")
	}
	p.serve("version: STSv1\nmode: none\nmax_age: 86400\n")
	p.later(6 * time.Minute)
	p.want("withdrawn", "", 5)
	if len(p.saved) != 3 || p.saved[2].Policy.Mode != NoMode {
		t.Errorf("%+v", p.saved)
	}
}

// TestFetchFails: whatever the web server does, there is no policy, and a reason.
func TestFetchFails(t *testing.T) {
	text := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		names  []string
		answer http.HandlerFunc
		want   ResultType
		reason string
	}{
		"302 to itself": {nil, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, STSFetchError, "answers 302"},
		"301 to elsewhere": {nil, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1/", http.StatusMovedPermanently)
		}, STSFetchError, "answers 301"},
		"404":         {nil, http.NotFound, STSFetchError, "answers 404"},
		"500":         {nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, STSFetchError, "answers 500"},
		"203":         {nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(203); io.WriteString(w, minimal) }, STSFetchError, "answers 203"},
		"HTML":        {nil, text("text/html", minimal), STSFetchError, "text/plain"},
		"no kind":     {nil, text("", minimal), STSFetchError, "text/plain"},
		"an odd kind": {nil, text("text/plain; charset", minimal), STSFetchError, "text/plain"},
		"1 GB": {nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for chunk := []byte(strings.Repeat("mx: a.example.com\n", 1000)); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, STSFetchError, "more than 65536 bytes"},
		"a header without end": {nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 64<<10))
			io.WriteString(w, minimal)
		}, STSFetchError, "header"},
		"an invalid policy":      {nil, text("text/plain", "hello"), STSInvalid, "not of the form"},
		"a pattern for all":      {nil, text("text/plain", minimal+"mx: *.com\n"), STSInvalid, "does not name a mail host"},
		"hanging up":             {nil, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, STSFetchError, "EOF"},
		"another's certificate":  {[]string{"mta-sts.e.test"}, text("text/plain", minimal), STSWebPKIInvalid, "not mta-sts.d.test"},
		"the domain's":           {[]string{"d.test"}, text("text/plain", minimal), STSWebPKIInvalid, "not mta-sts.d.test"},
		"an unknown authority's": {[]string{"self", "mta-sts.d.test"}, text("text/plain", minimal), STSWebPKIInvalid, "unknown authority"},
		"an expired certificate": {[]string{"expired"}, text("text/plain", minimal), STSWebPKIInvalid, "expired"},
	} {
		t.Run("OUT-011 "+name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, c.names...)
			p.handle(c.answer)
			p.announce("1")
			got, found := p.policy()
			if got != "" || found.trouble == nil || !strings.Contains(found.trouble.Error(), c.reason) {
				t.Fatalf("%q (%v)", got, found.trouble)
			}
			if len(p.results) != 1 || p.results[0].Type != c.want || p.results[0].Policy != PolicySTS || p.results[0].Domain != "d.test" {
				t.Errorf("counted as %+v", p.results)
			}
			if p.asked.Load() > 1 {
				t.Errorf("asked %d times", p.asked.Load())
			}
		})
	}
}

// TestSlowWebsite: a web server that sends a byte now and then does not hold us up.
func TestSlowWebsite(t *testing.T) {
	p := newPlace(t)
	p.keeper.config.FetchTime = 200 * time.Millisecond
	p.handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for r.Context().Err() == nil {
			io.WriteString(w, "\n")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	})
	p.announce("1")
	if got, found := p.policy(); got != "" || found.trouble == nil {
		t.Errorf("OUT-011 %q", got)
	}
}

// TestPatience: mail does not wait for a web server that takes its time; what that brings
// in the end counts from then on.
func TestPatience(t *testing.T) {
	p := newPlace(t)
	p.keeper.config.Patience = 50 * time.Millisecond
	release := make(chan struct{})
	p.handle(func(w http.ResponseWriter, r *http.Request) {
		<-release
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, minimal)
	})
	p.announce("1")
	for range 2 {
		if got, found := p.policy(); got != "" || found.trouble == nil || !strings.Contains(found.trouble.Error(), "not waited for") {
			t.Errorf("OUT-011 %q (%v, %v)", got, found.trouble, found.doubt)
		}
	}
	close(release)
	deadline := time.Now().Add(20 * time.Second)
	for got := ""; got != "enforce mx.example.com"; got, _ = p.policy() {
		if time.Now().After(deadline) {
			t.Fatalf("OUT-011 %q", got)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("OUT-011 %d fetches", n)
	}
}

// TestPrivateWebsite: the web server of a stranger is not looked for in our own network,
// whatever name or form its address comes in.
func TestPrivateWebsite(t *testing.T) {
	for _, records := range []string{"A 127.0.0.1", "A 10.0.0.1", "A 169.254.169.254", "A 192.168.1.1", "AAAA ::1", "AAAA ::ffff:127.0.0.1", "AAAA 64:ff9b::7f00:1",
		"AAAA fe80::1", "AAAA fd00::1", "A 0.0.0.0", "A 100.64.0.1"} {
		t.Run("OUT-012 "+records, func(t *testing.T) {
			p := newPlace(t)
			p.dns.Close()
			d, err := sim.StartDNS(p.dns.Addr(), "_mta-sts.d.test. TXT \"v=STSv1; id=1\"\nmta-sts.d.test. "+records+"\n")
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			p.keeper = New(Config{Resolver: p.keeper.config.Resolver, Roots: p.roots, WebPort: p.port, FetchTime: 20 * time.Second, Patience: 20 * time.Second})
			if got, found := p.policy(); got != "" || found.trouble == nil || !strings.Contains(found.trouble.Error(), "not a public one") || p.asked.Load() != 0 {
				t.Errorf("%q (%v), asked %d times", got, found.trouble, p.asked.Load())
			}
		})
	}
	t.Run("OUT-012 the address counts that is connected to", func(t *testing.T) {
		w := web{Config{}.withDefaults()}
		for address, ok := range map[string]bool{"127.0.0.1:443": false, "[::1]:443": false, "[::ffff:10.0.0.1]:443": false, "192.0.2.1:443": true, "x:443": false, "[fe80::1%lo]:443": false} {
			if err := w.control("tcp", address, nil); (err == nil) != ok && !strings.HasPrefix(address, "192.0.2.") {
				t.Errorf("%s: %v", address, err)
			}
		}
		if err := w.control("tcp", "8.8.8.8:443", nil); err != nil {
			t.Error(err)
		}
	})
}

// TestOneFetch: those who want the same policy at the same time share one fetch.
func TestOneFetch(t *testing.T) {
	p := newPlace(t)
	release := make(chan struct{})
	p.handle(func(w http.ResponseWriter, r *http.Request) {
		<-release
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, minimal)
	})
	p.announce("1")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, _ := p.policy(); got == "" {
				t.Error("no policy")
			}
		})
	}
	for p.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("OUT-011 %d fetches", n)
	}
}

// TestRefresh: what is in use is fetched again before it is over, what is not is not.
func TestRefresh(t *testing.T) {
	p := newPlace(t)
	p.serve(strings.Replace(minimal, "600", "2592000", 1))
	p.announce("1")
	p.want("at first", "enforce mx.example.com", 1)
	p.keeper.refresh(t.Context())
	p.want("too early", "enforce mx.example.com", 1)
	p.announce("")
	p.later(25 * time.Hour)
	p.keeper.refresh(t.Context())
	p.want("after a day, without its record", "enforce mx.example.com", 2)
	p.handle(http.NotFound)
	p.later(25 * time.Hour)
	p.keeper.refresh(t.Context())
	p.want("the web server is down", "enforce mx.example.com", 3)
	p.later(28 * 24 * time.Hour)
	p.keeper.refresh(t.Context())
	p.want("the second month, by the second fetch", "enforce mx.example.com", 4)
	p.later(48 * time.Hour)
	p.keeper.refresh(t.Context())
	p.keeper.mu.Lock()
	left := len(p.keeper.entries)
	p.keeper.mu.Unlock()
	if p.want("at last", "", 4); left != 0 {
		t.Errorf("%d are remembered", left)
	}
}

func TestPoliciesAreBounded(t *testing.T) {
	p := newPlace(t)
	p.keeper.config.most = 50
	now := time.Now()
	for i := range 500 {
		p.keeper.keep(t.Context(), fmt.Sprintf("d%d.test", i), "1", Policy{Enforce, []string{"mx.d.test"}, time.Hour}, nil)
	}
	if n := len(p.keeper.entries); n != 50 {
		t.Errorf("OUT-011 %d policies", n)
	}
	var known []Cached
	for i := range MaxPolicies + 10 {
		known = append(known, Cached{Domain: fmt.Sprint(i), Fetched: now, Policy: Policy{MaxAge: time.Hour}})
	}
	if k := New(Config{Resolver: p.keeper.config.Resolver, Known: known}); len(k.entries) != MaxPolicies {
		t.Errorf("%d policies after a restart", len(k.entries))
	}
}

// Keys tell demands apart that must not share a connection.
func TestKeys(t *testing.T) {
	p := newPlace(t)
	p.announce("1")
	rules := NewRules(Rules{MTASTS: true}, []Rule{{Domain: "a.test", Level: Verify}, {Domain: ".b.test", Level: Encrypt}})
	keys := make(map[string]string)
	for _, domain := range []string{"d.test", "a.test", "x.b.test", "y.b.test", "plain.test"} {
		d := p.keeper.Demand(t.Context(), rules, Destination{Domain: domain})
		if other := keys[d.Key()]; other != "" {
			t.Errorf("INV-18: %s and %s share connections", domain, other)
		}
		keys[d.Key()] = domain
	}
	if keys[""] != "plain.test" {
		t.Errorf("%v", keys)
	}
}

// A relay that gets a password has to prove its name, unless it is told otherwise.
func TestNamedDestinations(t *testing.T) {
	p := newPlace(t)
	p.announce("1")
	rules := NewRules(Rules{MTASTS: true}, []Rule{{Domain: "relay.test", Level: Encrypt}})
	for _, c := range []struct {
		to   Destination
		want Level
	}{
		{Destination{Domain: "d.test", Named: true}, May}, // no MTA-STS for relays
		{Destination{Domain: "d.test", Named: true, Least: Verify}, Verify},
		{Destination{Domain: "d.test", Named: true, Least: Encrypt}, Encrypt},
		{Destination{Domain: "relay.test", Named: true, Least: Verify}, Encrypt},
		{Destination{Domain: "192.0.2.1", Named: true}, May},
	} {
		if d := p.keeper.Demand(t.Context(), rules, c.to); d.Level != c.want || d.STS != nil {
			t.Errorf("%+v: %v %v", c.to, d.Level, d.STS)
		}
	}
	strict := NewRules(Rules{Default: Rule{Level: Secure}}, nil)
	if d := p.keeper.Demand(t.Context(), strict, Destination{Domain: "x.test", Named: true, Least: Encrypt}); d.Level != Secure {
		t.Errorf("INV-18: %v", d.Level)
	}
	if p.asked.Load() != 0 {
		t.Error("a web server was asked for a relay")
	}
}
