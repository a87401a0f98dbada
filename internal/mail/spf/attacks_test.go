package spf_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
	"facteur/internal/test/doubling"
	"facteur/internal/test/sim"
)

// The records that people write to hurt those who read them.
func TestAttacks(t *testing.T) {
	var zone strings.Builder
	for i := range 12 {
		fmt.Fprintf(&zone, "chain%d.example. TXT \"v=spf1 include:chain%d.example ~all\"\n", i, i+1)
		fmt.Fprintf(&zone, "many.example. MX %d mx%d.many.example.\n1.1.113.0.203.in-addr.arpa. PTR h%d.ptr.example.\nmx%d.many.example. A 192.0.2.%d\n", i, i, i, i, i)
	}
	for i := range 1000 {
		fmt.Fprintf(&zone, "9.113.0.203.in-addr.arpa. PTR h%d.ptr.example.\n", i)
	}
	fmt.Fprintf(&zone, "huge.example. TXT \"v=spf1%s -all\"\n", strings.Repeat(`" " ip4:198.51.100.1`, 3000))
	fmt.Fprintf(&zone, "long.example. TXT \"v=spf1%s\" \" ip4:192.0.2.9 -all\"\n", strings.Repeat(`" " ip4:198.51.100.1`, 450))
	zone.WriteString(`
		self.example.       TXT "v=spf1 include:self.example -all"
		ping.example.       TXT "v=spf1 include:pong.example -all"
		pong.example.       TXT "v=spf1 include:ping.example -all"
		circle.example.     TXT "v=spf1 redirect=circle.example"
		ten.example.        TXT "v=spf1 a a a a a a a a a a ip4:192.0.2.9 -all"
		ten.example.        A 198.51.100.1
		eleven.example.     TXT "v=spf1 a a a a a a a a a a a ip4:192.0.2.9 -all"
		eleven.example.     A 198.51.100.1
		voids.example.      TXT "v=spf1 a:a.gone.example a:b.gone.example a:c.gone.example ip4:192.0.2.9 -all"
		voids2.example.     TXT "v=spf1 a:a.gone.example a:b.gone.example ip4:192.0.2.9 -all"
		many.example.       TXT "v=spf1 mx ip4:192.0.2.9 -all"
		ptr.example.        TXT "v=spf1 ptr -all"
		exists.example.     TXT "v=spf1 exists:%{i}.%{l}.evil.example exists:%{s}.evil.example exists:%{h}.%{o}.evil.example -all"
		deep.example.       TXT "v=spf1 exists:%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.deep.example -all"
		two.example.        TXT "v=spf1 ip4:192.0.2.9 -all"
		two.example.        TXT "v=spf1 -all"
		utf8.example.       TXT "v=spf1 \255\254 ip4:192.0.2.9 -all"
		broken.example.     TXT "v=spf1 a:servfail.example ip4:192.0.2.9 -all"
		mail.example.       TXT "v=spf1 ip4:192.0.2.9 -all exp=why.example"
		why.example.        TXT "%{i} is not %{h}\007"
		!servfail servfail.example
	`)
	for _, c := range []struct {
		id, domain string
		want       spf.Status
	}{
		{"AUT-001 twelve includes", "chain0.example", spf.PermError},
		{"AUT-001 an include of itself", "self.example", spf.PermError},
		{"AUT-001 two that include each other", "ping.example", spf.PermError},
		{"AUT-001 a redirect to itself", "circle.example", spf.PermError},
		{"AUT-001 ten terms", "ten.example", spf.Pass},
		{"AUT-001 eleven terms", "eleven.example", spf.PermError},
		{"AUT-002 three void look-ups", "voids.example", spf.PermError},
		{"AUT-002 two void look-ups", "voids2.example", spf.Pass},
		{"AUT-002 twelve mail hosts", "many.example", spf.PermError},
		{"AUT-002 random names by macros", "exists.example", spf.PermError},
		{"AUT-002 a name of 300 octets", "deep.example", spf.Fail},
		{"AUT-003 two records", "two.example", spf.PermError},
		{"AUT-003 60 KiB", "huge.example", spf.PermError},
		{"AUT-003 450 mechanisms", "long.example", spf.Pass},
		{"AUT-003 no ASCII", "utf8.example", spf.PermError},
		{"AUT-004 SERVFAIL of the record", "servfail.example", spf.TempError},
		{"AUT-004 SERVFAIL of a term", "broken.example", spf.TempError},
		{"AUT-006 the address inside of IPv6", "mail.example", spf.Pass},
	} {
		t.Run(c.id, func(t *testing.T) {
			d, err := sim.NewDNS(zone.String())
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Resolver()
			if err != nil {
				t.Fatal(err)
			}
			q := spf.Question{IP: netip.MustParseAddr("::ffff:192.0.2.9"), Helo: "mail.example", Sender: "x.y+z@" + c.domain}
			ctx := dns.WithBudget(context.Background(), dns.DefaultBudget)
			for range 2 { // from the cache, too
				got := spf.Check(ctx, r.SPF(), q)
				if got.Status != c.want || got.Lookups > spf.MaxLookups || (got.Problem == "") != (c.want == spf.Pass || c.want == spf.Fail) {
					t.Errorf("%+v, want %s", got, c.want)
				}
			}
		})
	}
	r := sim.Zone(t, zone.String())
	t.Run("AUT-002 a thousand names of the client", func(t *testing.T) {
		ctx := dns.WithBudget(context.Background(), 13) // the record, the names, ten addresses
		q := spf.Question{IP: netip.MustParseAddr("203.0.113.9"), Sender: "a@ptr.example"}
		if got := spf.Check(ctx, r.SPF(), q); got.Status != spf.Fail || got.Voids != 0 {
			t.Errorf("%+v", got)
		}
		if a := r.LookupTXT(ctx, "two.example"); a.State() != lookup.Found {
			t.Error("more than twelve questions were asked")
		}
	})
	t.Run("AUT-002 look-ups count to the budget of the message", func(t *testing.T) {
		ctx := dns.WithBudget(context.Background(), 5)
		q := spf.Question{IP: netip.MustParseAddr("203.0.113.9"), Sender: "a@chain0.example"}
		if got := spf.Check(ctx, sim.Zone(t, zone.String()).SPF(), q); got.Status != spf.TempError {
			t.Errorf("%+v", got)
		}
	})
	t.Run("AUT-006 the HELO name for the null sender", func(t *testing.T) {
		for _, sender := range []string{"", "postmaster@"} {
			q := spf.Question{IP: netip.MustParseAddr("192.0.2.9"), Helo: "Mail.Example", Sender: sender}
			if got := spf.Check(context.Background(), r.SPF(), q); got.Status != spf.Pass || got.Identity != spf.Helo || got.Domain != "mail.example" {
				t.Errorf("%+v", got)
			}
		}
	})
	t.Run("an explanation that rings the bell is none", func(t *testing.T) {
		q := spf.Question{IP: netip.MustParseAddr("192.0.2.8"), Sender: "a@mail.example"}
		if got := spf.Check(context.Background(), r.SPF(), q); got.Status != spf.Fail || got.Explanation != "" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("RFC 8616 a local part that is not ASCII matches nothing", func(t *testing.T) {
		r := sim.Zone(t, "é.example. TXT x\nxn--9ca.example. TXT \"v=spf1 exists:%{l}.example ip4:192.0.2.9 -all\"")
		q := spf.Question{IP: netip.MustParseAddr("192.0.2.9"), Sender: "é@é.example"}
		if got := spf.Check(context.Background(), r.SPF(), q); got.Status != spf.Pass || got.Domain != "xn--9ca.example" || got.Voids != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTimeLimit(t *testing.T) {
	t.Run("AUT-005 a check ends after twenty seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var zone strings.Builder
			zone.WriteString("slow.example. TXT \"v=spf1")
			for i := range 10 {
				fmt.Fprintf(&zone, `" " a:h%d.slow.example`, i)
			}
			zone.WriteString(" -all\"\n")
			r := sim.Zone(t, zone.String()).SPF()
			r.A = func(ctx context.Context, name string) lookup.Answer[[]netip.Addr] {
				select {
				case <-time.After(3 * time.Second):
					return lookup.Yes([]netip.Addr{netip.MustParseAddr("198.51.100.1")})
				case <-ctx.Done():
					return lookup.Later[[]netip.Addr](ctx.Err())
				}
			}
			began := time.Now()
			q := spf.Question{IP: netip.MustParseAddr("192.0.2.9"), Sender: "a@slow.example"}
			got := spf.Check(context.Background(), r, q)
			if got.Status != spf.TempError || time.Since(began) != spf.Timeout {
				t.Errorf("%+v after %v", got, time.Since(began))
			}
		})
	})
}

func TestDoubling(t *testing.T) {
	units := map[string]string{"terms": " ip4:192.0.2.1", "macros": " exists:%{l1r+}.%{d2}.example", "percent": "%%", "slashes": " a:a.example////", "spaces": "          "}
	for name, unit := range units {
		doubling.Check(t, name, 1<<12, func(n int) func() {
			record := ("v=spf1 " + strings.Repeat(unit, n/len(unit)))
			return func() {
				for range 20 {
					spf.Parse(record)
				}
			}
		})
	}
	doubling.Check(t, "explanation", 1<<11, func(n int) func() {
		zone := fmt.Sprintf("e.example. TXT \"v=spf1 -all exp=x.example\"\nx.example. TXT \"%s\"", strings.Repeat(`%{l}" "`, n/4))
		r := sim.Zone(t, zone).SPF()
		q := spf.Question{IP: netip.MustParseAddr("192.0.2.9"), Sender: "aaaaaaaaaaaaaaaaaaaa@e.example"}
		return func() { spf.Check(context.Background(), r, q) }
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"v=spf1 -all", "v=spf1 a/24//64 mx:%{d2}/0 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?exists:%{ir}.%{v}._spf.%{d} redirect=%{o1r+-}.example exp=why.example foo=bar", "v=spf1 %{p}", "V=SPF1 \x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rec, err := spf.Parse(s)
		if err != nil {
			return
		}
		for _, term := range rec.Terms {
			if !strings.Contains(s, term.Text) || term.Text == "" {
				t.Errorf("%q is not in the record", term.Text)
			}
			if again, err := spf.Parse("v=spf1 " + term.Text); err != nil || len(again.Terms) != 1 || again.Terms[0].Mechanism != term.Mechanism {
				t.Errorf("%q alone: %v", term.Text, err)
			}
		}
	})
}

// FuzzCheck puts a stranger's record, explanation, sender and HELO together.
func FuzzCheck(f *testing.F) {
	f.Add("v=spf1 exists:%{l}.%{h} -all exp=x.example", "%{s} from %{c} %{h} %{p} %{t}", "a@e.example", "helo.example")
	f.Add("v=spf1 mx ptr include:e.example redirect=%{d}", "", "\"a b\"@e.example", "[192.0.2.1]")
	f.Fuzz(func(t *testing.T, record, explanation, sender, helo string) {
		texts := func(_ context.Context, name string) lookup.Answer[[]string] {
			if name == "x.example" {
				return lookup.Yes([]string{explanation})
			}
			return lookup.Yes([]string{record})
		}
		asked := 0
		host := func(_ context.Context, name string) lookup.Answer[[]netip.Addr] {
			if asked++; len(name) > 253 || strings.Contains("."+name+".", "..") {
				t.Errorf("asks for %q", name)
			}
			return lookup.Yes([]netip.Addr{netip.MustParseAddr("198.51.100.1")})
		}
		names := func(context.Context, string) lookup.Answer[[]string] { return lookup.Yes([]string{"m.example"}) }
		r := spf.Resolver{TXT: texts, A: host, AAAA: host, MX: names, PTR: func(context.Context, netip.Addr) lookup.Answer[[]string] { return lookup.Yes([]string{"p.example"}) }}
		q := spf.Question{IP: netip.MustParseAddr("192.0.2.9"), Helo: helo, Sender: sender}
		got := spf.Check(context.Background(), r, q)
		for _, s := range []string{got.Explanation, got.Problem, got.Mechanism, got.Domain, spf.Header(got, q), spf.Policy{MailFrom: spf.OnNotPass, Helo: spf.OnNotPass}.Decide(q, nil, &got).Text} {
			if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("not printable: %q", s)
			}
		}
		if asked > 30 {
			t.Errorf("%d look-ups", asked)
		}
	})
}
