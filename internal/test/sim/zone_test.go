package sim_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/test/sim"
)

// A test's whole world, and all that can be wrong with it.
func TestZone(t *testing.T) {
	big := strings.Repeat("x", 250)
	zone := `
		example.org.        TXT "v=spf1 -all"
		long.example.org.   TXT "` + strings.Repeat(big+`" "`, 8) + `"
		alias.example.org.  CNAME example.org.
		!servfail broken.example.org
		!timeout slow.example.org
		!garbage odd.example.org
	`
	ctx := context.Background()
	text := func(t *testing.T, name string) string {
		a := sim.Zone(t, zone).LookupTXT(ctx, name)
		if a.State() == lookup.Found {
			return a.Value()[0]
		}
		return a.State().String()
	}
	for name, want := range map[string]string{
		"example.org":        "v=spf1 -all",
		"ALIAS.example.org.": "v=spf1 -all",
		"long.example.org":   strings.Repeat(big, 8), // by TCP
		"broken.example.org": "try again",
		"none.example.org":   "not found",
	} {
		if got := text(t, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, name := range []string{"slow.example.org", "odd.example.org"} {
			if got := text(t, name); got != "try again" || time.Since(began) < time.Second {
				t.Errorf("%s: %q after %v", name, got, time.Since(began))
			}
		}
		if got := text(t, "example.org"); got != "v=spf1 -all" {
			t.Error(got)
		}
	})
}
