package dns_test

import (
	"context"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/test/sim"
)

func TestExists(t *testing.T) {
	t.Parallel()
	r := sim.Zone(t, `
		text.example.org.      TXT "x"
		address.example.org.   A 192.0.2.1
		!servfail down.example.org
	`)
	for name, want := range map[string]lookup.State{
		"text.example.org": lookup.Found, "address.example.org": lookup.Found, "nothing.example.org": lookup.NotFound, "down.example.org": lookup.TryAgain, "a b": lookup.NotFound,
	} {
		if got := r.Exists(context.Background(), name).State(); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
