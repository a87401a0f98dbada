package dnslist

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/test/sim"
)

// told keeps what is told.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (e *told) Emit(ev event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, line := ev.Line()
	msg, attrs := ev.Record()
	e.lines = append(e.lines, line, fmt.Sprint(msg, attrs))
}

// all are the lines that admins read.
func (e *told) all() (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := 0; i < len(e.lines); i += 2 {
		out = append(out, e.lines[i])
	}
	return out
}

// fixture is Lists in a small world.
type fixture struct {
	*Lists
	dns  *sim.DNS
	told *told
}

func newFixture(t testing.TB, zone string, r Rules) fixture {
	t.Helper()
	d, err := sim.NewDNS(zone)
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := d.Resolver()
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{dns: d, told: new(told)}
	f.Lists = New(resolver, f.told)
	for i := range r.Lists {
		if r.Lists[i].Daily == 0 {
			r.Lists[i].Daily = 1000
		}
	}
	f.Configure(r)
	return f
}

// client asks about an address, as the door does.
func (f fixture) client(ctx context.Context, addr string) string {
	return said(f.Clients().Examine(ctx, &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr(addr)}}))
}

func said(remarks []filter.Remark) string {
	out := make([]string, len(remarks))
	for i, r := range remarks {
		out[i] = fmt.Sprintf("%s %g", r.Name, r.Score)
		if r.Test {
			out[i] += " test"
		}
	}
	return strings.Join(out, ", ")
}

// alive are the entries that every list has.
const alive = `
	2.0.0.127.ZONE.    A 127.0.0.2
	2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ZONE. A 127.0.0.2
	test.ZONE.         A 127.0.1.2
`

func living(zones ...string) (out string) {
	for _, z := range zones {
		out += strings.ReplaceAll(alive, "ZONE", z)
	}
	return out
}

// TestClients: row 158, block lists as a score rather than a block, of IPv6 addresses too,
// and lists of those who send good mail.
func TestClients(t *testing.T) {
	f := newFixture(t, living("bl.example", "second.example", "white.example", "six.example", "trial.example")+`
		9.2.0.192.bl.example.      A 127.0.0.2
		9.2.0.192.bl.example.      A 127.0.0.10
		9.2.0.192.bl.example.      TXT "see\010http://bl.example/?192.0.2.9."
		9.2.0.192.second.example.  A 127.0.0.3
		9.2.0.192.trial.example.   A 127.0.0.2
		10.2.0.192.white.example.  A 127.0.7.2
		a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.six.example. A 127.0.0.2
	`, Rules{Lists: []List{
		{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "127.0.0.2=3.5", "127.0.0.10=1")},
		{Name: "second", Zone: "second.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "any=2")},
		{Name: "trial", Zone: "trial.example", Kind: Client, IPv4: true, TestOnly: true, Codes: mustCodes(t, "any=9")},
		{Name: "white", Zone: "white.example", Kind: Allow, IPv4: true, IPv6: true, Codes: mustCodes(t, "127.0.[2..20].2=-2")},
		{Name: "six", Zone: "six.example", Kind: Client, IPv6: true, Codes: mustCodes(t, "127.0.0.2=3")},
	}})
	f.Test(t.Context())
	for addr, want := range map[string]string{
		"192.0.2.9":        "dnsbl_bl 3.5, dnsbl_second 2, dnsbl_trial 9 test",
		"::ffff:192.0.2.9": "dnsbl_bl 3.5, dnsbl_second 2, dnsbl_trial 9 test",
		"192.0.2.10":       "dnswl_white -2",
		"192.0.2.11":       "",
		"2001:db8::a":      "dnsbl_six 3",
		"2001:db8::b":      "",
	} {
		t.Run("row 158 "+addr, func(t *testing.T) {
			if got := f.client(t.Context(), addr); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	if n := f.dns.Asked("9.2.0.192.six.example", "A"); n > 0 {
		t.Error("a list of IPv6 addresses was asked about IPv4")
	}
	r := f.Clients().Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.9")}})
	if got := r[0].Sentence; got != "The client is on the block list bl.example (127.0.0.2, 127.0.0.10): see?http://bl.example/?192.0.2.9." {
		t.Error(got)
	}
	if s := f.Status()[0]; s.State != Working || s.Asked != 3 || s.Hits != 3 || s.Cached != 2 || s.Today != 3 {
		t.Errorf("%+v", s)
	}
}

// TestNobodysBusiness: addresses of our own networks and names of our own domains go to no
// stranger, nor those that no list can have.
func TestNobodysBusiness(t *testing.T) {
	own := netip.MustParsePrefix("192.0.2.0/24")
	f := newFixture(t, living("bl.example", "names.example"), Rules{
		Lists: []List{
			{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, IPv6: true, Codes: mustCodes(t, "any=1")},
			{Name: "names", Zone: "names.example", Kind: Domain, Codes: mustCodes(t, "any=1")},
		},
		Spared: own.Contains, Ours: func(d string) bool { return d == "ours.example" || strings.HasSuffix(d, ".ours.example") },
	})
	f.Test(t.Context())
	before := f.dns.Total()
	for _, addr := range []string{"127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "169.254.1.1", "fe80::1", "fd00::1", "100.64.0.1", "192.0.2.9", "::ffff:192.0.2.9"} {
		f.client(t.Context(), addr)
	}
	f.Clients().Examine(t.Context(), &filter.Letter{})
	l := &filter.Letter{Header: message.Header("From: a@gmail.com\r\n\r\n"), Sender: address.Address{Local: "b", Domain: "mail.ours.example"},
		Client: filter.Client{Name: "unknown", Helo: "DISKSTATION"}}
	for _, helo := range []string{"", "[192.0.2.1]", "192.0.2.1", "nas.local", "com", "a b.example", "x.co.uk.", "ours.example", strings.Repeat("a.", 200)} {
		l.Client.Helo = helo
		f.Domains().Examine(t.Context(), l)
	}
	if asked := f.dns.Total() - before; asked != 1 { // x.co.uk
		t.Errorf("%d questions", asked)
	}
}

// letterFrom is a letter that is about many domains.
func letterFrom(from, envelope string, hosts ...string) *filter.Letter {
	sender, _ := address.Parse(envelope)
	c := &content.Letter{}
	for _, h := range hosts {
		c.Links = append(c.Links, content.Link{Host: h})
	}
	return &filter.Letter{Header: message.Header("From: " + from + "\r\n\r\n"), Sender: sender, Content: func() *content.Letter { return c },
		Evidence: &filter.Evidence{DKIM: []dkim.Result{{Status: dkim.Pass, Domain: "signer.example"}, {Status: dkim.Fail, Domain: "forged.example"}}},
		Client:   filter.Client{Name: "mx.machine.example", Helo: "helo.words.example"}}
}

// TestDomains: lists of domains, of the sender's and of those that links lead to.
func TestDomains(t *testing.T) {
	f := newFixture(t, living("both.example", "links.example", "senders.example")+`
		evil.example.both.example.       A 127.0.1.2
		worse.example.both.example.      A 127.0.1.4
		evil.example.links.example.      A 127.0.0.8
		signer.example.senders.example.  A 127.0.0.2
		machine.example.senders.example. A 127.0.0.2
		words.example.senders.example.   A 127.0.0.2
		forged.example.senders.example.  A 127.0.0.2
	`, Rules{Lists: []List{
		{Name: "both", Zone: "both.example", Kind: Domain, Codes: mustCodes(t, "127.0.1.2=2", "127.0.1.4=3")},
		{Name: "links", Zone: "links.example", Kind: Link, Codes: mustCodes(t, "127.0.0.&8=2.5")},
		{Name: "senders", Zone: "senders.example", Kind: Sender, Codes: mustCodes(t, "any=1")},
	}})
	f.Test(t.Context())
	remarks := f.Domains().Examine(t.Context(), letterFrom("x@evil.example", "y@fine.example", "a.evil.example", "www.worse.example", "b.evil.example", "192.0.2.1", ""))
	if got, want := said(remarks), "rhsbl_both 2, rhsbl_senders 1, uribl_both 3, uribl_links 2.5"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for i, want := range []string{
		"The sender uses evil.example, on the list both.example (127.0.1.2).",
		"The sender uses signer.example, machine.example, words.example, on the list senders.example (127.0.0.2).",
		"It links to evil.example, worse.example, on the list both.example (127.0.1.4).",
		"It links to evil.example, on the list links.example (127.0.0.8).",
	} {
		if i < len(remarks) && remarks[i].Sentence != want {
			t.Errorf("%q, want %q", remarks[i].Sentence, want)
		}
	}
}

// TestManyLinks: a letter with hundreds of links costs a bounded number of questions, and
// hides nothing at its end.
func TestManyLinks(t *testing.T) {
	f := newFixture(t, living("a.example", "b.example", "c.example", "d.example")+"evil.example.a.example. A 127.0.0.2", Rules{Lists: []List{
		{Name: "a", Zone: "a.example", Kind: Domain, Codes: mustCodes(t, "any=2")}, {Name: "b", Zone: "b.example", Kind: Domain, Codes: mustCodes(t, "any=2")},
		{Name: "c", Zone: "c.example", Kind: Domain, Codes: mustCodes(t, "any=2")}, {Name: "d", Zone: "d.example", Kind: Domain, Codes: mustCodes(t, "any=2")},
	}})
	f.Test(t.Context())
	before := f.dns.Total()
	var hosts []string
	for i := range 500 {
		hosts = append(hosts, fmt.Sprintf("h%d.example", i))
	}
	if got := said(f.Domains().Examine(t.Context(), letterFrom("x@fine.example", "x@fine.example", append(hosts, "evil.example")...))); got != "uribl_a 2" {
		t.Errorf("%q", got)
	}
	if asked := f.dns.Total() - before; asked > questionsMost+textsMost {
		t.Errorf("%d questions", asked)
	}
}

// TestLapsed: AUT-026, whatever answers in the place of a list, no mail suffers from it: the
// domain of a list lapses, and its new owner answers everything.
func TestLapsed(t *testing.T) {
	lists := Rules{Lists: []List{{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "any=4")}}}
	for name, c := range map[string]struct{ zone, reason string }{
		"AUT-026 it lists everybody":        {"*.bl.example. A 127.0.0.2", "it lists everybody"},
		"AUT-026 somebody else answers":     {"*.bl.example. A 198.51.100.7", "its name may have got into other hands"},
		"AUT-026 it refuses public servers": {"*.bl.example. A 127.255.255.254", "it answers 127.255.255.254, and so does not serve us"},
		"AUT-026 0.0.0.0":                   {"*.bl.example. A 0.0.0.0", "no answer of a list"},
		"AUT-026 it is empty":               {"bl.example. A 192.0.2.1", "it lacks the entry that every list has"},
		"AUT-026 it fails":                  {"!servfail 2.0.0.127.bl.example", "it does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, c.zone, lists)
				if got := f.client(t.Context(), "192.0.2.9"); got != "" {
					t.Errorf("before it was tested: %q", got)
				}
				ctx, cancel := context.WithCancel(t.Context())
				go f.Run(ctx)
				time.Sleep(3 * time.Hour)
				if got := f.client(t.Context(), "192.0.2.9"); got != "" {
					t.Errorf("%q", got)
				}
				if lines := f.told.all(); len(lines) != 1 || !strings.Contains(lines[0], c.reason) {
					t.Errorf("told %d times: %q", len(lines), lines)
				}
				if s := f.Status()[0]; s.State != Resting || !strings.Contains(s.Reason, c.reason) || s.Asked != 0 {
					t.Errorf("%+v", s)
				}
				cancel()
			})
		})
	}
}

// TestMidday: a list dies in the middle of the day, and comes back.
func TestMidday(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, living("bl.example")+"9.2.0.192.bl.example. A 127.0.0.2", Rules{Lists: []List{{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "127.0.0.2=4")}}})
		ctx, cancel := context.WithCancel(t.Context())
		go f.Run(ctx)
		time.Sleep(90 * time.Minute)
		if got := f.client(t.Context(), "192.0.2.9"); got != "dnsbl_bl 4" {
			t.Fatalf("%q", got)
		}
		for i := range 40 {
			f.dns.Fail(fmt.Sprintf("%d.113.0.203.bl.example", i), sim.ServFail)
		}
		f.dns.Fail("2.0.0.127.bl.example", sim.ServFail)
		asked := func() (n int) {
			for i := range 40 {
				f.client(t.Context(), fmt.Sprintf("203.0.113.%d", i))
				n += f.dns.Asked(fmt.Sprintf("%d.113.0.203.bl.example", i), "A")
			}
			return n
		}
		if n := asked(); n > 4*missesMost { // the resolver asks more than once
			t.Errorf("%d questions to a dead list", n)
		}
		time.Sleep(12 * time.Hour) // records are forgotten
		if got := f.client(t.Context(), "192.0.2.9"); got != "" {
			t.Errorf("%q of a list that rests", got)
		}
		f.dns.Fail("2.0.0.127.bl.example", sim.None)
		time.Sleep(retestDead + time.Second)
		if got := f.client(t.Context(), "192.0.2.9"); got != "dnsbl_bl 4" {
			t.Errorf("%q after it came back", got)
		}
		if lines := f.told.all(); len(lines) != 2 || !strings.Contains(lines[0], "does not answer, or too slowly") || !strings.Contains(lines[1], "works again") {
			t.Errorf("%q", lines)
		}
		cancel()
	})
}

// TestRefusedMidday: AUT-026, we asked too much, and the list says so.
func TestRefusedMidday(t *testing.T) {
	t.Run("AUT-026", func(t *testing.T) {
		f := newFixture(t, living("bl.example")+"9.2.0.192.bl.example. A 127.255.255.255\n8.2.0.192.bl.example. A 127.0.0.2", Rules{Lists: []List{{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "any=4")}}})
		f.Test(t.Context())
		for _, addr := range []string{"192.0.2.9", "192.0.2.8", "192.0.2.9"} {
			if got := f.client(t.Context(), addr); got != "" {
				t.Errorf("%s: %q", addr, got)
			}
		}
		if lines := f.told.all(); len(lines) != 1 || !strings.Contains(lines[0], "127.255.255.255") {
			t.Errorf("%q", lines)
		}
	})
}

// TestSurprise: AUT-026, a code that the settings do not know counts nothing, is told of
// once a day, and makes us test the list.
func TestSurprise(t *testing.T) {
	t.Run("AUT-026", func(t *testing.T) {
		f := newFixture(t, living("bl.example")+"9.2.0.192.bl.example. A 127.0.0.255\n8.2.0.192.bl.example. A 127.0.0.2\n8.2.0.192.bl.example. A 127.0.0.77", Rules{Lists: []List{{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "127.0.0.2=4")}}})
		f.Test(t.Context())
		for addr, want := range map[string]string{"192.0.2.9": "", "192.0.2.8": "dnsbl_bl 4"} {
			if got := f.client(t.Context(), addr); got != want {
				t.Errorf("%s: %q", addr, got)
			}
		}
		if lines := f.told.all(); len(lines) != 1 || !strings.Contains(lines[0], "which the settings do not know") {
			t.Errorf("%q", lines)
		}
		if !f.rules.Load().lists[0].isDue(f.now()) {
			t.Error("it is not tested")
		}
		if s := f.Status()[0]; s.State != Working || s.LastError == "" {
			t.Errorf("%+v", s)
		}
	})
}

// TestSlow: a resolver that says nothing is no evidence, and nobody waits for it for longer
// than the lists' patience.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, living("bl.example", "slow.example")+"9.2.0.192.bl.example. A 127.0.0.2\n!timeout 9.2.0.192.slow.example", Rules{Lists: []List{
			{Name: "slow", Zone: "slow.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "any=4")},
			{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "any=4")},
		}})
		f.Test(t.Context())
		began := time.Now()
		if got := f.client(t.Context(), "192.0.2.9"); got != "dnsbl_bl 4" {
			t.Errorf("%q", got)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("it took %v", took)
		}
		if s := f.Status()[0]; s.Failed != 1 || s.State != Working {
			t.Errorf("%+v", s)
		}
		// A client that has gone says nothing about the list.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.client(ctx, "192.0.2.9")
		if s := f.Status()[0]; s.Failed != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
	})
}

// TestDaily: a list gets no more questions in a day than it was promised, and 0 is not
// without end.
func TestDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, living("bl.example"), Rules{Lists: []List{{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Daily: 3, Codes: mustCodes(t, "any=4")}}})
		f.Test(t.Context())
		ask := func() {
			before := f.dns.Total()
			for i := range 10 {
				f.client(t.Context(), fmt.Sprintf("192.0.2.%d", i))
			}
			if n := f.dns.Total() - before; n != 3 {
				t.Errorf("%d questions", n)
			}
		}
		ask()
		if s := f.Status()[0]; s.Today != 3 || s.Spared != 7 || !strings.Contains(s.LastError, "limit of 3") {
			t.Errorf("%+v", s)
		}
		time.Sleep(24 * time.Hour)
		ask()
	})
}

// TestKey: INV-21, the key of a subscriber stands in questions, and nowhere else.
func TestKey(t *testing.T) {
	t.Run("INV-21", func(t *testing.T) {
		const key = "c4narykeyc4narykey"
		paid := func(kind Kind, zone string) List {
			return List{Name: NameOf(zone), Zone: zone, Key: key, Kind: kind, IPv4: true, IPv6: true, Codes: mustCodes(t, "any=2")}
		}
		zone := living(key+".good.example", key+".names.example") + `
			9.2.0.192.` + key + `.good.example. A 127.0.0.2
			9.2.0.192.` + key + `.good.example. TXT "asked with ` + key + `"
			8.2.0.192.` + key + `.good.example. A 127.0.0.1
			evil.example.` + key + `.names.example. A 127.0.0.2
			!servfail 2.0.0.127.` + key + `.down.example
			*.` + key + `.parked.example. A 198.51.100.1
			*.` + key + `.all.example. A 127.0.0.2`
		f := newFixture(t, zone, Rules{Lists: []List{paid(Client, "good.example"), paid(Domain, "names.example"), paid(Client, "down.example"), paid(Client, "parked.example"), paid(Client, "all.example"), paid(Client, "empty.example")}})
		f.Test(t.Context())
		remarks := f.Clients().Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.9")}})
		remarks = append(remarks, f.Domains().Examine(t.Context(), letterFrom("x@evil.example", "x@evil.example"))...)
		if got := said(remarks); got != "dnsbl_good_example 2, rhsbl_names_example 2" {
			t.Fatalf("%q", got)
		}
		f.client(t.Context(), "192.0.2.8")
		status, err := json.Marshal(f.Status())
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%+v %s %s", remarks, status, f.told.lines)
		for _, one := range f.rules.Load().lists {
			for _, a := range []string{"192.0.2.9", "192.0.2.8", "192.0.2.7"} {
				all += fmt.Sprintf(" %+v", f.put(t.Context(), question{list: one, addr: netip.MustParseAddr(a), domain: "x.example"}).Err())
			}
		}
		if strings.Contains(strings.ToLower(all), key) {
			t.Errorf("the key is in %s", all)
		}
	})
}

// TestConfigure: a reload keeps what is known of the lists that stay, and tests the others.
func TestConfigure(t *testing.T) {
	bl := List{Name: "bl", Zone: "bl.example", Kind: Client, IPv4: true, Codes: mustCodes(t, "any=4"), Daily: 10}
	f := newFixture(t, living("bl.example", "new.example")+"9.2.0.192.bl.example. A 127.0.0.2", Rules{Lists: []List{bl}})
	f.Test(t.Context())
	f.client(t.Context(), "192.0.2.9")
	fresh := bl
	fresh.Name, fresh.Zone = "fresh", "new.example"
	bl.Codes = mustCodes(t, "any=1")
	f.Configure(Rules{Lists: []List{fresh, bl}})
	if got := f.client(t.Context(), "192.0.2.9"); got != "dnsbl_bl 1" {
		t.Errorf("%q", got)
	}
	if s := f.Status(); s[0].State != Untested || s[1].State != Working || s[1].Asked != 1 || s[1].Cached != 1 {
		t.Errorf("%+v", s)
	}
	f.Configure(Rules{})
	if got := f.client(t.Context(), "192.0.2.9"); got != "" || len(f.Status()) != 0 {
		t.Errorf("%q", got)
	}
}

// BenchmarkClients is a client whom the cache knows.
func BenchmarkClients(b *testing.B) {
	var lists []List
	var zones []string
	for i := range 4 {
		z := fmt.Sprintf("bl%d.example", i)
		zones = append(zones, z)
		lists = append(lists, List{Name: NameOf(z), Zone: z, Kind: Client, IPv4: true, Codes: mustCodes(b, "any=4")})
	}
	f := newFixture(b, living(zones...)+"9.2.0.192.bl1.example. A 127.0.0.2", Rules{Lists: lists})
	f.Test(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		f.client(b.Context(), "192.0.2.9")
	}
}

// BenchmarkDomains is a letter with ten links that the cache knows.
func BenchmarkDomains(b *testing.B) {
	f := newFixture(b, living("a.example", "b.example"), Rules{Lists: []List{{Name: "a", Zone: "a.example", Kind: Domain, Codes: mustCodes(b, "any=2")}, {Name: "b", Zone: "b.example", Kind: Link, Codes: mustCodes(b, "any=2")}}})
	f.Test(b.Context())
	var hosts []string
	for i := range 10 {
		hosts = append(hosts, fmt.Sprintf("www.h%d.example", i))
	}
	l := letterFrom("x@from.example", "x@from.example", hosts...)
	b.ReportAllocs()
	for b.Loop() {
		f.Domains().Examine(b.Context(), l)
	}
}
