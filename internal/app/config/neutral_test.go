package config

import (
	"bytes"
	"net/netip"
	"regexp"
	"testing"
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
