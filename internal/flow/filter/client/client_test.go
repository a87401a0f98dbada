package client

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/test/doubling"
	"facteur/internal/test/sim"
)

const world = `
	1.2.0.192.in-addr.arpa.      PTR mx.example.org.
	mx.example.org.              A   192.0.2.1
	2.2.0.192.in-addr.arpa.      PTR 2.2.0.192.dsl.provider.example.
	2.2.0.192.dsl.provider.example. A 192.0.2.2
	nas.family.example.          A   192.0.2.2
	3.2.0.192.in-addr.arpa.      PTR elsewhere.example.org.
	elsewhere.example.org.       A   198.51.100.99
	4.2.0.192.in-addr.arpa.      PTR static.4.2.0.192.clients.provider.example.
	static.4.2.0.192.clients.provider.example. A 192.0.2.4
	mx.six.example.              AAAA 2001:db8::6
	mx.six.example.              A   192.0.2.6
	farm.example.                A   198.51.100.50
	!servfail 7.2.0.192.in-addr.arpa
	!servfail broken.example
	www.ours.example.            A   192.0.2.8
`

// self is our server in these tests.
func self() Self {
	return Self{Hostname: "mail.ours.example", Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.25"), netip.MustParseAddr("2001:db8:ffff::25")},
		Ours: func(d string) bool { return d == "ours.example" || strings.HasSuffix(d, ".ours.example") }}
}

func total(remarks []filter.Remark) (sum float64) {
	for _, r := range remarks {
		sum += r.Score
	}
	return sum
}

func names(remarks []filter.Remark) string {
	out := make([]string, len(remarks))
	for i, r := range remarks {
		out[i] = r.Name
	}
	return strings.Join(out, " ")
}

// TestNames: row 162, tests of HELO and reverse, with care for Synology and Windows senders
// and for IPv6 without reverse.
func TestNames(t *testing.T) {
	check := NewName(sim.Zone(t, world), self)
	for _, c := range []struct {
		name, addr, helo string
		want             string
		most             float64
	}{
		{"a good server", "192.0.2.1", "mx.example.org", "helo_good", -0.1},
		{"the same in capitals", "192.0.2.1", "MX.Example.ORG.", "helo_good", -0.1},
		{"by IPv4 in IPv6", "::ffff:192.0.2.1", "mx.example.org", "helo_good", -0.1},
		{"a Synology without IPv6 reverse", "2001:db8::9", "DISKSTATION", "rdns_none_ipv6 helo_not_fqdn", 1},
		{"IPv6 without reverse, else well", "2001:db8::6", "mx.six.example", "rdns_none_ipv6", 0.3},
		{"its HELO leads to its IPv4", "2001:db8::77", "mx.example.org", "rdns_none_ipv6", 0.3},
		{"Windows as it comes", "192.0.2.1", "WIN-8KJ2H3XQ1ZT", "helo_not_fqdn", 0.7},
		{"Windows with a made-up domain", "192.0.2.1", "EXCH01.firma.local", "helo_private_name", 0.5},
		{"a router's name for it", "192.0.2.1", "nas.fritz.box", "helo_private_name", 0.5},
		{"an underscore", "192.0.2.1", "MAIL_01.firma.local", "helo_private_name", 0.5},
		{"a container", "192.0.2.1", "3f2a9b1c0d4e", "helo_not_fqdn", 0.7},
		{"behind a router", "192.0.2.1", "[192.168.1.5]", "helo_private_address", 0.7},
		{"an address as it should be", "192.0.2.1", "[192.0.2.1]", "helo_address", 0.4},
		{"the same, IPv6", "2001:db8::9", "[IPv6:2001:db8::9]", "rdns_none_ipv6 helo_address", 0.7},
		{"a large sender's pool", "192.0.2.1", "farm.example", "helo_elsewhere", 0.2},
		{"a server at home with a name of its own", "192.0.2.2", "nas.family.example", "rdns_dynamic_own_name", 0.5},
		{"a rented server with its provider's name", "192.0.2.4", "mx.example.org", "rdns_generic", 0.6},
		{"no reverse, no good HELO", "192.0.2.5", "nas", "rdns_none helo_not_fqdn", 1.6},
		{"nothing right at all", "192.0.2.3", "not a name", "rdns_mismatch helo_invalid", 1.6},
		{"the DNS can not tell", "192.0.2.7", "broken.example", "", 0},
		{"our own web server, elsewhere", "192.0.2.8", "www.ours.example", "rdns_none", 1},

		{"a line at home", "192.0.2.2", "2.2.0.192.dsl.provider.example", "rdns_dynamic helo_dynamic", 2.6},
		{"our name", "198.51.100.1", "mail.ours.example", "helo_ours", 3.5},
		{"our domain", "198.51.100.1", "ours.example", "helo_ours", 3.5},
		{"our address", "198.51.100.1", "[203.0.113.25]", "helo_ours", 3.5},
		{"our address, bare", "198.51.100.1", "203.0.113.25", "helo_ours", 3.5},
		{"our address, IPv6", "198.51.100.1", "[IPv6:2001:db8:ffff::25]", "helo_ours", 3.5},
		{"localhost", "192.0.2.1", "localhost", "helo_localhost", 2},
		{"localhost of Unix", "192.0.2.1", "localhost.localdomain", "helo_localhost", 2},
		{"this very machine", "192.0.2.1", "127.0.0.1", "helo_localhost", 2},
		{"a bare address", "192.0.2.1", "192.0.2.1", "helo_bare_address", 2},
		{"somebody else's address", "192.0.2.1", "[198.51.100.3]", "helo_other_address", 2},
		{"letters thrown together", "192.0.2.1", "x7k2m9q4", "helo_not_fqdn helo_random", 2.5},
		{"the same with an ending", "192.0.2.1", "xkqjzrwvpt.example", "helo_unknown helo_random", 2.5},
	} {
		t.Run("row 162 "+c.name, func(t *testing.T) {
			remarks := check.Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr(c.addr), Name: "unknown", Helo: c.helo}})
			if got := names(remarks); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := total(remarks); got > c.most+1e-9 || got < c.most-0.31 {
				t.Errorf("it costs %g, want about %g", got, c.most)
			}
			for _, r := range remarks {
				if r.Sentence == "" || r.Check != "client" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestAmateur: whatever an amateur gets wrong, all of it together stays far from junk.
func TestAmateur(t *testing.T) {
	check := NewName(sim.Zone(t, world), self)
	for _, addr := range []string{"192.0.2.5", "192.0.2.3", "192.0.2.4", "2001:db8::9"} {
		for _, helo := range []string{"", "nas", "DISKSTATION", "WIN-ABC123", "exch.firma.local", "[10.0.0.5]", "a b", "mail.unregistered.example", "farm.example", "ünïcode.example", strings.Repeat("x", 300)} {
			remarks := check.Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr(addr), Helo: helo}})
			if got := total(remarks); got > amateurMost {
				t.Errorf("%s %q costs %g: %s", addr, helo, got, names(remarks))
			}
		}
	}
}

// TestPrivate: the names of machines in our own networks are nobody's business.
func TestPrivate(t *testing.T) {
	check := NewName(sim.Zone(t, world), self)
	for _, addr := range []string{"127.0.0.1", "10.0.0.1", "::1", "fd00::1"} {
		if r := check.Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr(addr), Helo: "localhost"}}); r != nil {
			t.Errorf("%s: %v", addr, r)
		}
	}
	if r := check.Examine(t.Context(), &filter.Letter{}); r != nil {
		t.Error(r)
	}
}

// TestHostileHelo: AUT-027, what a stranger writes stays what it is in our sentences.
func TestHostileHelo(t *testing.T) {
	t.Run("AUT-027", func(t *testing.T) {
		check := NewName(sim.Zone(t, world), self)
		for _, helo := range []string{"x\r\nX-Spam: no", "\x1b[31mred", `" says "`, "<script>", strings.Repeat("ü", 5000), "[IPv6:", "[IPv6:::1%eth0]", "fe80::1%x", "\u202e"} {
			for _, r := range check.Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.1"), Helo: helo}}) {
				if strings.ContainsAny(r.Sentence, "\r\n\x1b\u202e") || strings.Count(r.Sentence, `"`) > 2 || len(r.Sentence) > 400 {
					t.Errorf("%q", r.Sentence)
				}
			}
		}
	})
}

// TestLooks: dynamic names by their form, in the words of many languages, and none of a
// provider or a country.
func TestLooks(t *testing.T) {
	four, six := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:1:2:3456:78ff:fe9a:bcde")
	for _, c := range []struct {
		name string
		addr netip.Addr
		want look
	}{
		{"mx.example.org", four, own},
		{"dsl-experts.example", four, own},
		{"pool.example.org", four, own},
		{"mail.cable.example.org", four, own},
		{"home.example.org", four, own},
		{"client.example.org", four, own},
		{"mx7.example.org", four, own},
		{"198-51-100-7.dsl.provider.example", four, dynamic},
		{"7.100.51.198.dyn.provider.example", four, dynamic},
		{"100-7.pool.provider.example", four, own}, // two numbers are no address
		{"p5b3c-51-100-7.dip.provider.example", four, generic},
		{"cpe-51-100-7.provider.example", four, dynamic},
		{"host198-51-100-7.provider.example", four, dynamic},
		{"198.51.100.007.provider.example", four, generic},
		{"c6336407.cable.provider.example", four, dynamic},
		{"198051100007.users.provider.example", four, dynamic},
		{"dynamic-pool.provider.example", four, dynamic},
		{"dhcp-17.campus.example.edu", four, dynamic},
		{"static-198-51-100-7.provider.example", four, generic},
		{"ec2-198-51-100-7.compute.provider.example", four, generic},
		{"198-51-100-7.mail.provider.example", four, generic},
		{"static.dsl.provider.example", four, own},
		{"198-51-100-7.abo.provider.example", four, dynamic},        // French
		{"198-51-100-7.kunden.provider.example", four, dynamic},     // German
		{"198-51-100-7.clientes.provider.example", four, dynamic},   // Spanish, Portuguese
		{"198-51-100-7.utenti.provider.example", four, dynamic},     // Italian
		{"198-51-100-7.klanten.provider.example", four, dynamic},    // Dutch
		{"198-51-100-7.bredband.provider.example", four, dynamic},   // Swedish
		{"198-51-100-7.asiakas.provider.example", four, dynamic},    // Finnish
		{"abonent-198-51-100-7.provider.example", four, dynamic},    // Polish, Russian
		{"198-51-100-7.dinamik.provider.example", four, dynamic},    // Turkish
		{"198-51-100-7.dynamiczny.provider.example", four, dynamic}, // Polish
		{"203-0-113-9.dsl.provider.example", four, own},             // somebody else's address
		{"345678fffe9abcde.dyn.provider.example", six, dynamic},
		{"2001-0db8-0001-0002-3456-78ff-fe9a-bcde.cust.provider.example", six, dynamic},
		{"3456-78ff-fe9a-bcde.provider.example", six, generic},
		{"mx.example.org", six, own},
		{"", four, own}, {".", four, own}, {"example", four, own},
	} {
		if got := lookOf(c.name, c.addr); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestRandom: what people and their programs call machines is not random.
func TestRandom(t *testing.T) {
	for _, word := range []string{
		"diskstation", "synology", "qnapserver", "raspberrypi", "mailserver", "postfix", "exchange2019", "srv-dc01", "win-8kj2h3xq1zt", "desktop-4t6g2kp", "ip-10-0-0-12",
		"3f2a9b1c0d4e", "localhost", "vps123456", "vmi1234567", "rechtsschutz", "angstschweiss", "szczebrzeszyn", "mx01prod", "smtp2go", "mailgun7", "zimbra8", "ns3012345", "kundenserver42",
		"ubuntu2204", "debian12", "h2g2", "rhythms", "strychnos", "prod1mx2", "borschtsch", "schwarzschild", "cvrchovec", "hrvatska",
	} {
		if isRandom(word) {
			t.Errorf("%s is taken for random", word)
		}
	}
	for _, word := range []string{"x7k2m9q4", "xkqjzrwvpt", "q1w2e3r4t5", "bdfghjklmn", "zxcvbnmqwrt", "a9b8c7d6k5"} {
		if !isRandom(word) {
			t.Errorf("%s is not taken for random", word)
		}
	}
}

// TestDoor: row 174, what the light tests at the door found, as postscreen's users know
// them, reaches the filter as evidence; and so does what the client did before.
func TestDoor(t *testing.T) {
	before := map[string]int{}
	d := NewDoor(func(netip.Addr) map[string]int { return before })
	for _, c := range []struct {
		now    []string
		before map[string]int
		want   string
	}{
		{nil, nil, ""},
		{[]string{"pregreet"}, nil, "door_pregreet"},
		{[]string{"pregreet", "pipelining"}, map[string]int{"pregreet": 9}, "door_pregreet door_pipelining"},
		{[]string{"bare_newline"}, map[string]int{"non_smtp_command": 1}, "door_bare_newline door_before"},
		{[]string{"non_smtp_command"}, nil, "door_non_smtp_command"},
		{[]string{"something new"}, map[string]int{"guessing": 3}, ""},
	} {
		before = c.before
		t.Run("row 174 "+c.want, func(t *testing.T) {
			if got := names(d.Examine(t.Context(), &filter.Letter{Door: c.now})); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestBotnet: row 162, what is told of a botnet's machine adds up; that of an honest
// amateur does not.
func TestBotnet(t *testing.T) {
	name, door := NewName(sim.Zone(t, world), self), NewDoor(nil)
	bot := &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.2"), Helo: "x7k2m9q4"}, Door: []string{"pregreet", "pipelining"}}
	if got := total(name.Examine(t.Context(), bot)) + total(door.Examine(t.Context(), bot)); got < 7 {
		t.Errorf("a botnet's machine: %g", got)
	}
	amateur := &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("2001:db8::9"), Helo: "DISKSTATION"}}
	if got := total(name.Examine(t.Context(), amateur)) + total(door.Examine(t.Context(), amateur)); got > 1.01 {
		t.Errorf("an amateur: %g", got)
	}
}

// TestSymbols: names are words, each once; what amateurs do costs less than a point and a bit.
func TestSymbols(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Symbols() {
		if seen[s.Name] || s.About == "" || strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%+v", s)
		}
		if s.Amateur && s.Score > 1 {
			t.Errorf("%s costs an amateur %g", s.Name, s.Score)
		}
		seen[s.Name] = true
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"mx.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]", "127.0.0.1", "DISKSTATION", "a b", "xn--e1afmkfd.example", "7.2.0.192.dsl.provider.example", "[", "x7k2m9q4"} {
		f.Add(seed)
	}
	a4, a6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1")
	f.Fuzz(func(t *testing.T, text string) {
		h := readHello(text)
		lookOf(h.name, a4)
		lookOf(text, a4)
		lookOf(text, a6)
		isRandom(text)
		if q := quoted(text); len(q) > 80 || strings.ContainsAny(q[1:len(q)-1], "\"\n") {
			t.Errorf("%q", q)
		}
	})
}

func TestDoubles(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.7")
	for _, unit := range []string{"7.", "a-", "dsl7", "x"} {
		doubling.Check(t, unit, 1<<12, func(n int) func() {
			text := strings.Repeat(unit, n/len(unit))
			return func() { readHello(text); lookOf(text+".example.org", a); isRandom(text) }
		})
	}
}

// BenchmarkName is a client whom the cache knows.
func BenchmarkName(b *testing.B) {
	check := NewName(sim.Zone(b, world), self)
	l := &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.1"), Name: "mx.example.org", Helo: "mx.example.org"}, Now: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		check.Examine(b.Context(), l)
	}
}
