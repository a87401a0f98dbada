package config

import (
	"bytes"
	"net/netip"
	"regexp"
	"testing"

	"golang.org/x/net/publicsuffix"
)

// row 182: no default refuses a country or a whole provider: none names a network wider
// than a site, a top-level domain, a country's zone of a block list, or bans anybody.
func TestDefaultsNameNoCountryAndNoProvider(t *testing.T) {
	c := Default()
	if len(c.Rules) != 0 || len(c.Reputation.Traps) != 0 || len(c.BanFiles) != 0 || len(c.DMARC.IgnoreHosts) != 0 {
		t.Error("a default rule, trap or ban file is there")
	}
	var b bytes.Buffer
	if err := WriteDefaults(&b); err != nil {
		t.Fatal(err)
	}
	settings := regexp.MustCompile(`(?m)^[^#\n].*$`).FindAll(b.Bytes(), -1)
	for _, line := range settings {
		for _, text := range regexp.MustCompile(`[0-9a-fA-F.:]+/[0-9]+`).FindAll(line, -1) {
			if p, err := netip.ParsePrefix(string(text)); err == nil && !p.Addr().IsLoopback() && !p.Addr().IsPrivate() {
				t.Errorf("a default names the network %s: %s", p, line)
			}
		}
		if regexp.MustCompile(`(?i)"\.?[a-z]{2}"|countries|geoip|country`).Match(line) && !regexp.MustCompile(`^language`).Match(line) {
			t.Errorf("a default names a country: %s", line)
		}
	}
	if len(settings) < 100 {
		t.Errorf("only %d settings were looked at", len(settings))
	}
}

// row 182: the operators of [greylist] are favoured by it, each a domain of its own and not
// a country's; and no list that is asked by default is one of countries or networks of
// providers.
func TestShippedListsNameNoCountryAndNoProvider(t *testing.T) {
	c := Default()
	for _, d := range append(c.Greylist.Names, c.Greylist.Domains...) {
		if suffix, icann := publicsuffix.PublicSuffix(d); icann && suffix == d {
			t.Errorf("[greylist] favours all of %s", d)
		}
	}
	for _, l := range c.DNSLists {
		if regexp.MustCompile(`(?i)countr|geo|asn|nerd\.dk|uceprotect|(^|\.)[a-z]{2}\.[a-z]+\.blackholes`).MatchString(l.Zone) {
			t.Errorf("a list of countries or providers is asked by default: %s", l.Zone)
		}
		for _, code := range l.Codes {
			if code.Score >= 5 {
				t.Errorf("%s condemns by itself: %+v", l.Zone, code)
			}
		}
	}
	if len(c.Greylist.Names) == 0 || len(c.DNSLists) == 0 {
		t.Error("nothing was looked at")
	}
}
