package dns_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

func TestLookupTLSA(t *testing.T) {
	ctx := context.Background()
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "_25._tcp.many.example.net. TLSA 3 1 1 %064x\n", i)
	}
	d := server(t, `
mx.example.net. A 192.0.2.1
_25._tcp.mx.example.net. TLSA 3 1 1 00ff
_25._tcp.mx.example.net. TLSA 255 9 9 ab
_25._tcp.alias.example.net. CNAME _25._tcp.mx.example.net.
!servfail _25._tcp.down.example.net
`+many.String())
	trusting := resolver(t, dns.Config{Servers: []string{d.Addr()}, TrustAD: true})
	d.Validate(true)
	for name, want := range map[string]struct {
		state lookup.State
		n     int
	}{
		"mx.example.net": {lookup.Found, 2}, "alias.example.net": {lookup.Found, 2}, "none.example.net": {lookup.NotFound, 0},
		"down.example.net": {lookup.TryAgain, 0}, "many.example.net": {lookup.Found, 32}, "a b.example.net": {lookup.NotFound, 0},
	} {
		a := trusting.LookupTLSA(ctx, name, 25)
		if a.State() != want.state || len(a.Value().Records) != want.n || a.State() == lookup.Found && !a.Value().Secure {
			t.Errorf("AUT-025 %s: %v, %d records, secure %v (%v)", name, a.State(), len(a.Value().Records), a.Value().Secure, a.Err())
		}
	}
	if r := trusting.LookupTLSA(ctx, "mx.example.net", 25).Value().Records; len(r[0].Data)+len(r[1].Data) != 3 {
		t.Errorf("%v", r)
	}
	if a := resolver(t, dns.Config{Servers: []string{d.Addr()}}).LookupTLSA(ctx, "mx.example.net", 25); a.Value().Secure {
		t.Error("INV-18: the AD bit of a resolver that nobody trusts")
	}
}

// TestLookupHost: what is secure, and where aliases lead.
func TestLookupHost(t *testing.T) {
	ctx := context.Background()
	zone := "a.example.net. A 192.0.2.1\na.example.net. AAAA 2001:db8::1\nc.example.net. CNAME a.example.net.\n!servfail half.example.net\n"
	for _, secure := range []bool{true, false} {
		d := server(t, zone)
		d.Validate(secure)
		for _, trust := range []bool{true, false} {
			r := resolver(t, dns.Config{Servers: []string{d.Addr()}, TrustAD: trust})
			for _, host := range []string{"a.example.net", "C.example.net."} {
				h := r.LookupHost(ctx, host).Value()
				if h.Secure != (secure && trust) || h.Name != "a.example.net" || len(h.Addrs) != 2 {
					t.Errorf("INV-18 %s, AD %v, trusted %v: %+v", host, secure, trust, h)
				}
				if got := r.IsAlias(ctx, host).Value(); got != (secure && trust && strings.HasPrefix(host, "C")) {
					t.Errorf("%s is an alias: %v", host, got)
				}
			}
			if a := r.LookupHost(ctx, "half.example.net"); a.State() != lookup.TryAgain {
				t.Errorf("%v", a.State())
			}
			if h := r.LookupHost(ctx, "192.0.2.9").Value(); h.Secure || h.Name != "192.0.2.9" {
				t.Errorf("%+v", h)
			}
			if r.TrustsAD() != trust {
				t.Error("TrustsAD")
			}
		}
	}
}
