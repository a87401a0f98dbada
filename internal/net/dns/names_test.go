package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/lookup"
)

func TestPublic(t *testing.T) {
	cases := map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "192.0.2.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "fd00::1": false, "fec0::1": false,
		"169.254.169.254": false, "fe80::1": false, "100.64.0.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true,
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": true, "2002:7f00:1::": false, "2002:a00:1::1": false, "::127.0.0.1": false,
	}
	for s, want := range cases {
		t.Run("AUT-022 "+s, func(t *testing.T) {
			if got := Public(netip.MustParseAddr(s)); got != want {
				t.Errorf("Public(%s) = %v", s, got)
			}
		})
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestSelf(t *testing.T) {
	self := Self{Names: []string{"Mail.Example.ORG."}, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	mx := func(hosts ...string) (list []MX) {
		for i, h := range hosts {
			list = append(list, MX{Host: h, Preference: uint16(i / 2)})
		}
		return list
	}
	cases := []struct {
		hosts  []MX
		better int
		loop   bool
	}{
		{mx("a.example", "b.example"), 2, false},
		{mx("mail.example.org"), 0, true},
		{mx("a.example", "mail.example.org"), 0, true}, // equals are no better
		{mx("a.example", "b.example", "mail.example.org", "c.example", "d.example"), 2, false},
	}
	for i, tc := range cases {
		t.Run(fmt.Sprintf("LOOP-003 %d", i), func(t *testing.T) {
			better, loop := self.Before(tc.hosts)
			if len(better) != tc.better || loop != tc.loop {
				t.Errorf("%v, %v", better, loop)
			}
		})
	}
	if !self.IsAddr(netip.MustParseAddr("::ffff:192.0.2.1")) || self.IsAddr(netip.MustParseAddr("192.0.2.2")) {
		t.Error("IsAddr")
	}
}

func TestHostName(t *testing.T) {
	good := []string{"a", "mx.example.net", "MX.example.net.", "a-b.example", "_dmarc.example", "1.example", "xn--bcher-kva.example"}
	bad := []string{"", ".", "a..b", "-a.example", "a-.example", "192.0.2.1", "a b.example", `a\032b.example`, "a<b>.example", "a\x00b", "é.example",
		"%s.example", strings.Repeat("a", 64) + ".example", strings.Repeat("abcdefg.", 32) + "example", "1.2.3.4."}
	for _, s := range good {
		if _, ok := hostName(s); !ok {
			t.Errorf("AUT-027 %q was refused", s)
		}
	}
	for _, s := range bad {
		if h, ok := hostName(s); ok {
			t.Errorf("AUT-027 %q was taken as %q", s, h)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"mx.example.net.", `a\032b`, `\200\"`, "a..", "é", `\`, `\25`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		unescape(s)
		host, ok := hostName(s)
		if !ok {
			return
		}
		if again, ok := hostName(host); !ok || again != host || len(host) > 253 || strings.ContainsAny(host, " \r\n\t<>\\%") {
			t.Errorf("%q became %q, %q", s, host, again)
		}
	})
}

func answer() lookup.Answer[records] { return lookup.Yes(records{}) }

func TestCache(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	later := now.Add(time.Hour)
	t.Run("TTL", func(t *testing.T) {
		c := newCache(1 << 20)
		key := question{"a.example", 1}
		c.put(key, answer(), 100, now.Add(time.Minute), now)
		if _, ok := c.get(key, now.Add(59*time.Second)); !ok {
			t.Error("forgotten too early")
		}
		if _, ok := c.get(key, now.Add(time.Minute)); ok {
			t.Error("kept too long")
		}
		if c.size != 0 || len(c.owners) != 0 || c.recent.Len() != 0 {
			t.Errorf("what expired is still there: %d bytes", c.size)
		}
	})
	t.Run("FLT-016 TryAgain is not kept", func(t *testing.T) {
		c := newCache(1 << 20)
		c.put(question{"a.example", 1}, lookup.Later[records](ErrBudget), 100, later, now)
		c.put(question{"b.example", 1}, answer(), 100, now, now) // TTL 0
		if c.size != 0 {
			t.Error("it was")
		}
	})
	t.Run("AUT-028 bounded, the least used goes first", func(t *testing.T) {
		c := newCache(64 << 10)
		first := question{"first.example", 1}
		c.put(first, answer(), 100, later, now)
		for i := range 10_000 {
			c.put(question{fmt.Sprintf("d%d.example", i), 1}, answer(), 100, later, now)
			if _, ok := c.get(first, now); !ok {
				t.Fatalf("what is used was forgotten after %d", i)
			}
			if c.size > c.limit {
				t.Fatalf("%d bytes", c.size)
			}
		}
		if len(c.entries) != c.recent.Len() || len(c.owners) != len(c.entries) {
			t.Errorf("%d entries, %d in order, %d owners", len(c.entries), c.recent.Len(), len(c.owners))
		}
	})
	t.Run("AUT-028 one domain can not evict the others", func(t *testing.T) {
		c := newCache(64 << 10)
		for i := range 20 {
			c.put(question{fmt.Sprintf("d%d.example", i), 1}, answer(), 100, later, now)
		}
		for i := range 10_000 {
			c.put(question{fmt.Sprintf("n%d.evil.example", i), 1}, answer(), 100, later, now)
		}
		for i := range 20 {
			if _, ok := c.get(question{fmt.Sprintf("d%d.example", i), 1}, now); !ok {
				t.Errorf("d%d was evicted", i)
			}
		}
		if got := c.owners["evil.example"].size; got > c.limit/shares {
			t.Errorf("it holds %d bytes", got)
		}
	})
	t.Run("AUT-028 nothing huge", func(t *testing.T) {
		c := newCache(64 << 10)
		c.put(question{"a.example", 1}, answer(), 60_000, later, now)
		if c.size != 0 {
			t.Error("kept")
		}
	})
}
