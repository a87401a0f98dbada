package provider

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"facteur/internal/mail/spf"
	"facteur/internal/test/sim"
)

// Row 168: the large providers are known by their own records.
func TestKnown(t *testing.T) {
	d, err := sim.NewDNS(`
		big.example.        TXT "v=spf1 include:_spf.big.example ip4:10.0.0.0/8 ?ip4:198.51.100.1 ~all"
		_spf.big.example.   TXT "v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.128/25 ip6:2001:db8::/32 a:mx.big.example -all"
		mx.big.example.     A 203.0.113.7
		wrong.example.      TXT "v=spf1 ip5:192.0.2.1 -all"
	`)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() spf.Resolver {
		r, err := d.Resolver() // a fresh cache
		if err != nil {
			t.Fatal(err)
		}
		return r.SPF()
	}
	domains := []string{"big.example"}
	k := New(ask, func() []string { return domains })
	if k.Has(netip.MustParseAddr("192.0.2.1")) {
		t.Error("somebody is known before anything was read")
	}
	if err := k.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	known := func() (out string) {
		for _, a := range []string{"192.0.2.0", "192.0.2.255", "::ffff:192.0.2.200", "2001:db8:1::9", "203.0.113.7", "192.0.3.0", "203.0.113.8", "2001:db9::", "10.1.1.1", "198.51.100.1"} {
			if k.Has(netip.MustParseAddr(a)) {
				out += "+"
			} else {
				out += "-"
			}
		}
		return out
	}
	if got := known(); got != "+++++-----" {
		t.Errorf("row 168: %s", got)
	}
	d.Fail("_spf.big.example", sim.ServFail)
	domains = append(domains, "wrong.example")
	if err := k.Refresh(context.Background()); err == nil {
		t.Error("records that can not be read are no error")
	}
	if got := known(); got != "+++++-----" {
		t.Errorf("after an outage: %s", got)
	}
	domains = nil
	if err := k.Refresh(context.Background()); err != nil || known() != "----------" {
		t.Errorf("without domains: %v %s", err, known())
	}
}

// However much a provider says, the list is bounded.
func TestBounded(t *testing.T) {
	var z strings.Builder
	for i := range 30 {
		fmt.Fprintf(&z, "p%d.example. TXT \"v=spf1\" ", i)
		for j := range 200 {
			fmt.Fprintf(&z, `" ip4:%d.%d.0.0/16"`, 20+i, j)
		}
		z.WriteString("\n")
	}
	r := sim.Zone(t, z.String())
	var domains []string
	for i := range 30 {
		domains = append(domains, fmt.Sprintf("p%d.example", i))
	}
	k := New(r.SPF, func() []string { return domains })
	if err := k.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(k.now.Load().networks); n != maxNetworks {
		t.Errorf("%d networks", n)
	}
}
