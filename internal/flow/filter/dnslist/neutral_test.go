package dnslist

import (
	"slices"
	"testing"

	"golang.org/x/net/publicsuffix"
)

// Row 182: the domains that no list is asked about are single ones, no country's.
func TestCommonDomainsAreNoCountries(t *testing.T) {
	if !slices.IsSorted(common[:]) {
		t.Error("they are not in order, and some are not found")
	}
	for _, d := range common {
		if suffix, icann := publicsuffix.PublicSuffix(d); icann && suffix == d || !isCommon(d) {
			t.Errorf("%s is no domain that somebody has registered", d)
		}
	}
}
