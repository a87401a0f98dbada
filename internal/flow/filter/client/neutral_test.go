package client

import (
	"net/netip"
	"testing"

	"golang.org/x/net/publicsuffix"
)

// Row 182: what a name looks like does not depend on the country or the provider that it is
// in.
func TestNoCountryLooksWorse(t *testing.T) {
	a := netip.MustParseAddr("203.0.113.7")
	countries := 0
	for _, labels := range []string{"mail", "203-0-113-7", "static-203-0-113-7", "203-0-113-7.pool", "203-0-113-7.dyn"} {
		want := lookOf(labels+".example.com", a)
		for c := range 26 * 26 {
			domain := "example." + string([]byte{'a' + byte(c/26), 'a' + byte(c%26)})
			suffix, known := publicsuffix.PublicSuffix(domain)
			if !known {
				continue
			}
			if suffix == domain { // nobody can have it
				domain = "own." + domain
			}
			countries++
			if got := lookOf(labels+"."+domain, a); got != want {
				t.Errorf("%s.%s looks like %d, and below example.com like %d", labels, domain, got, want)
			}
		}
	}
	if countries < 5*200 {
		t.Errorf("only %d names were looked at", countries)
	}
}
