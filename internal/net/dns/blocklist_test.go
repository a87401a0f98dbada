package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
	"facteur/internal/test/sim"
)

// AUT-026: whatever answers in the place of a list, no mail suffers from it.
func TestListed(t *testing.T) {
	r := sim.Zone(t, `
		2.2.0.192.list.example.    A 127.0.0.4
		2.2.0.192.list.example.    A 127.0.0.2
		2.2.0.192.list.example.    TXT "see\010http://list.example/?192.0.2.2"
		3.2.0.192.list.example.    A 127.0.0.10
		4.2.0.192.list.example.    A 127.255.255.254
		5.2.0.192.list.example.    A 198.51.100.1
		6.2.0.192.list.example.    A 127.0.0.1
		7.2.0.192.list.example.    A 0.0.0.0
		8.2.0.192.list.example.    AAAA 2001:db8::1
		9.2.0.192.list.example.    A 127.0.0.2
		9.2.0.192.list.example.    A 198.51.100.1
		!servfail 10.2.0.192.list.example
		a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.example. A 127.0.0.2
		spam.example.list.example. A 127.0.1.2
	`)
	narrow := dns.BlockList{Zone: "list.example", Codes: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/31"), netip.MustParsePrefix("127.0.0.4/32")}}
	ctx := context.Background()
	for addr, want := range map[string]string{
		"192.0.2.1":        "not found",
		"192.0.2.2":        "[127.0.0.2 127.0.0.4] see?http://list.example/?192.0.2.2",
		"::ffff:192.0.2.2": "[127.0.0.2 127.0.0.4] see?http://list.example/?192.0.2.2",
		"192.0.2.3":        "not found", // not one of the codes
		"192.0.2.4":        "unusable",  // over quota
		"192.0.2.5":        "unusable",  // hijacked
		"192.0.2.6":        "unusable",
		"192.0.2.7":        "unusable",
		"192.0.2.8":        "not found", // AAAA is no answer
		"192.0.2.9":        "unusable",
		"192.0.2.10":       "try again",
		"2001:db8::a":      "[127.0.0.2] ",
	} {
		t.Run("AUT-026 "+addr, func(t *testing.T) {
			if got := said(r.Listed(ctx, narrow, netip.MustParseAddr(addr))); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	if got := said(r.ListedDomain(ctx, dns.BlockList{Zone: "list.example"}, "spam.example.")); got != "[127.0.1.2] " {
		t.Errorf("a domain: %q", got)
	}
}

func said(a lookup.Answer[dns.Listing]) string {
	switch {
	case errors.Is(a.Err(), dns.ErrBlockList):
		return "unusable"
	case a.State() == lookup.Found:
		return fmt.Sprintf("%v %s", a.Value().Codes, a.Value().Reason)
	}
	return a.State().String()
}

// RFC 5782 §5: a list that works can be told from one that has ended.
func TestBlockListHealth(t *testing.T) {
	r := sim.Zone(t, `
		2.0.0.127.good.example.    A 127.0.0.2
		2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.good.example. A 127.0.0.2
		test.names.example.        A 127.0.1.2
		*.everybody.example.       A 127.0.0.2
		*.parked.example.          A 198.51.100.1
		*.refuses.example.         A 127.255.255.254
		empty.example.             A 192.0.2.1
		!servfail 2.0.0.127.down.example
		2.0.0.127.half.example.    A 127.0.0.2
		!servfail 1.0.0.127.half.example
	`)
	ctx := context.Background()
	for zone, want := range map[string]lookup.State{
		"good.example": lookup.Found, "everybody.example": lookup.NotFound, "parked.example": lookup.NotFound,
		"refuses.example": lookup.NotFound, "empty.example": lookup.NotFound, "down.example": lookup.TryAgain,
		"half.example": lookup.TryAgain,
	} {
		t.Run("AUT-026 "+zone, func(t *testing.T) {
			if a := r.Health(ctx, dns.BlockList{Zone: zone}, false); a.State() != want {
				t.Errorf("%v (%v), want %v", a.State(), a.Err(), want)
			}
		})
	}
	if a := r.Health(ctx, dns.BlockList{Zone: "good.example"}, true); a.State() != lookup.Found {
		t.Errorf("IPv6: %v", a.Err())
	}
	if a := r.HealthOfDomains(ctx, dns.BlockList{Zone: "names.example"}); a.State() != lookup.Found {
		t.Errorf("domains: %v", a.Err())
	}
}
