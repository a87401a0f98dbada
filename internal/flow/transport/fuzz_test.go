package transport

import (
	"fmt"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

// FuzzEntry: whatever stands in a map, it is read or refused, and what was read can be
// chosen and names hosts that can be dialled.
func FuzzEntry(f *testing.F) {
	for _, seed := range [][2]string{
		{"outlook.com", "smtp:[gw.example.com]"}, {".example.org", ":[10.0.0.1]:2525"}, {"user@x", "error:5.1.1 text"},
		{"*", "relay:a.example:587"}, {"x", "lmtp:unix:/run/lmtp"}, {"a", ":[2001:db8::1]:25, [b]"}, {"a", "inet:[::1]:24"},
		{"a", "smtp:::"}, {"[192.0.2.1]", "retry:"}, {"a", "error:4"}, {`"a b"@x.example`, "hold:why"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, to string) {
		ways, wrong := NewTable(Rules{Entries: []Entry{{Recipients: []string{key}, To: to}}})
		if len(wrong) > 0 {
			return
		}
		m := mail("user@sub.x.example")
		for _, here := range []bool{true, false} {
			m.Here = here
			c := ways.Choose(m)
			if c.Transport == nil || len(c.Relays) > maxHops {
				t.Fatalf("%+v", c)
			}
			for _, r := range c.Relays {
				if r.Host == "" && r.Socket == "" || r.Socket == "" && r.Port == 0 {
					t.Fatalf("%+v", r)
				}
			}
			if c.Transport.Kind == Error && (len(c.Text) < 10 || c.Text[0] != '4' && c.Text[0] != '5') {
				t.Fatalf("%q", c.Text)
			}
		}
	})
}

func TestDoubling(t *testing.T) {
	doubling.Check(t, "next hops", 1_000, func(n int) func() {
		text := strings.Repeat("[a.example]:25,", n)
		return func() { ParseNextHop(text) }
	})
	doubling.Check(t, "a table", 500, func(n int) func() {
		var r Rules
		for i := range n {
			r.Entries = append(r.Entries, Entry{Recipients: []string{fmt.Sprintf("d%d.example", i)}, To: "slow:[gw.example]:25"})
		}
		return func() { NewTable(r) }
	})
}
