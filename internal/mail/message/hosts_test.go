package message

import (
	"slices"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"a@bank.example <x@evil.example>":                  "bank.example evil.example",
		`"a@bank.example" <x@evil.example> (b@c.example)`:  "evil.example",
		`"a@bank.example"@evil.example, y @ (c) z.example`: "evil.example z.example",
		"<@a.example,@b.example:x@c.example>":              "a.example b.example c.example",
		"x@[192.0.2.1], y@, @@z":                           "z",
		`"never ends @x`:                                   "",
	} {
		if got := Hosts(value); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q", value, got)
		}
	}
	if n := len(Hosts(strings.Repeat("@a ", 5000))); n != maxHosts {
		t.Errorf("%d hosts", n)
	}
}
