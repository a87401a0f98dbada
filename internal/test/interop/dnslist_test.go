package interop

import (
	"net/netip"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/net/dns"
)

// TestDNSListsOfUnbound: row 158, lists as a real name server has them, asked through
// Debian's resolver: by IPv4 and IPv6, one that has lapsed beside them.
func TestDNSListsOfUnbound(t *testing.T) {
	u := StartUnbound(t,
		Zone{Name: "bl.example", Records: `
			2.0.0.127.bl.example. A 127.0.0.2
			9.2.0.192.bl.example. A 127.0.0.4
			9.2.0.192.bl.example. TXT "https://bl.example/9"
			2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example. A 127.0.0.2
			9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example. A 127.0.0.4`},
		Zone{Name: "lapsed.example", Records: "*.lapsed.example. A 127.0.0.2"})
	resolver, err := dns.New(dns.Config{Servers: []string{u.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	code, err := dnslist.ParseCode("any = 3")
	if err != nil {
		t.Fatal(err)
	}
	lists := dnslist.New(resolver, event.Discard)
	lists.Configure(dnslist.Rules{Lists: []dnslist.List{
		{Name: "bl", Zone: "bl.example", Kind: dnslist.Client, IPv4: true, IPv6: true, Codes: []dnslist.Code{code}, Daily: 100},
		{Name: "lapsed", Zone: "lapsed.example", Kind: dnslist.Client, IPv4: true, Codes: []dnslist.Code{code}, Daily: 100},
	}})
	lists.Test(t.Context())
	for addr, want := range map[string]int{"192.0.2.9": 1, "192.0.2.8": 0, "2001:db8::9": 1, "2001:db8::8": 0} {
		got := lists.Clients().Examine(t.Context(), &filter.Letter{Client: filter.Client{Addr: netip.MustParseAddr(addr)}})
		if len(got) != want || want == 1 && got[0].Name != "dnsbl_bl" {
			t.Errorf("%s: %+v", addr, got)
		}
	}
	if s := lists.Status(); s[0].State != dnslist.Working || !s[0].IPv6 || s[1].State != dnslist.Resting {
		t.Errorf("%+v", s)
	}
}
