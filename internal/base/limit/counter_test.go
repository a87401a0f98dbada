package limit

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNetworks(t *testing.T) {
	for _, test := range []struct {
		addr string
		want []string
	}{
		{"192.0.2.7", []string{"192.0.2.7/32 1", "192.0.2.0/24 4"}},
		{"::ffff:192.0.2.7", []string{"192.0.2.7/32 1", "192.0.2.0/24 4"}},
		{"2001:db8:1:2ff:3::4", []string{"2001:db8:1:2ff::/64 1", "2001:db8:1:200::/56 2", "2001:db8:1::/48 4"}},
		{"fe80::1%eth0", []string{"fe80::/64 1", "fe80::/56 2", "fe80::/48 4"}},
	} {
		a := netip.MustParseAddr(test.addr)
		var got []string
		for _, n := range Networks(a) {
			got = append(got, fmt.Sprint(n.Prefix, " ", n.Factor))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s counts under %q, want %q", test.addr, got, test.want)
		}
		if Client(a) != Networks(a)[0].Prefix {
			t.Errorf("%s: the client is %s", test.addr, Client(a))
		}
	}
	if Networks(netip.Addr{}) != nil || Client(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

func TestContains(t *testing.T) {
	for _, test := range []struct {
		net, addr string
		want      bool
	}{
		{"192.0.2.0/24", "192.0.2.1", true},
		{"192.0.2.0/24", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.0/120", "192.0.2.1", true},
		{"::ffff:192.0.2.0/120", "192.0.3.1", false},
		{"::ffff:192.0.2.0/120", "::ffff:192.0.2.1", true},
		{"::1/128", "::1", true},
		{"fe80::/10", "fe80::1%eth0", true},
		{"::/0", "192.0.2.1", false},
	} {
		nets := []netip.Prefix{netip.MustParsePrefix(test.net)}
		if got := Contains(nets, netip.MustParseAddr(test.addr)); got != test.want {
			t.Errorf("REL-017: %s in %s: %v", test.addr, test.net, got)
		}
	}
}

func TestCounterSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCounter[string](time.Minute, 100)
		for want := 1; want <= 10; want++ {
			if got := c.Add("a", 1); got != want {
				t.Fatalf("event %d: sum %d", want, got)
			}
		}
		if c.Sum("b") != 0 {
			t.Error("a stranger has a sum")
		}
		for _, step := range []struct {
			after time.Duration
			want  int
		}{
			{59 * time.Second, 10}, {time.Second, 10}, {30 * time.Second, 5}, {29 * time.Second, 1}, {time.Second, 0},
		} {
			time.Sleep(step.after)
			if got := c.Sum("a"); got != step.want {
				t.Errorf("after another %v: %d, want %d", step.after, got, step.want)
			}
		}
		c.Add("a", math.MaxInt)
		if got := c.Add("a", math.MaxInt); got < math.MaxUint32 {
			t.Errorf("the count ran over: %d", got)
		}
		c.Forget("a")
		if got := c.Sum("a"); got != 0 {
			t.Errorf("after Forget: %d", got)
		}
	})
}

func TestCounterKeepsPenalties(t *testing.T) {
	t.Run("ABU-008 a flood of fresh addresses does not wash a penalty away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := NewCounter[netip.Prefix](time.Hour, 1<<10)
			attacker := netip.MustParsePrefix("2001:db8::/64")
			c.Add(attacker, 200)
			for i := range 1 << 17 { // 128 for each slot, one event each
				c.Add(sixtyFour(i), 1)
			}
			if got := c.Sum(attacker); got < 200 {
				t.Errorf("200 became %d", got)
			}
		})
	})
	t.Run("ABU-008 whoever was pushed out comes back no better", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := NewCounter[netip.Prefix](time.Hour, ways)
			had := map[int]int{}
			for i := range 5000 {
				k := i * i % 97
				before := c.Sum(sixtyFour(k))
				if before < had[k] {
					t.Fatalf("key %d had %d and comes back with %d", k, had[k], before)
				}
				had[k] = c.Add(sixtyFour(k), 1)
				if had[k] <= before {
					t.Fatalf("key %d: %d after %d", k, had[k], before)
				}
			}
		})
	})
	t.Run("ABU-008 a stranger in a full table begins low", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const slots, events = 1 << 10, 1 << 14
			c := NewCounter[netip.Prefix](time.Hour, slots)
			for i := range events {
				c.Add(sixtyFour(i), 1)
			}
			// The sets are not filled evenly: three times the mean is far out.
			if got := c.Sum(netip.MustParsePrefix("192.0.2.1/32")); got == 0 || got > 3*events/slots {
				t.Errorf("begins at %d; the mean is %d", got, events/slots)
			}
		})
	})
}

func sixtyFour(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb9, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), 64)
}

func TestCounterMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table")
	}
	c := NewCounter[netip.Prefix](time.Hour, DefaultSlots)
	before := heap()
	for i := range 1 << 20 {
		c.Add(sixtyFour(i), 1)
	}
	used := heap() - before
	t.Logf("a full table of %d slots holds %d KB", DefaultSlots, used>>10)
	if used > 8<<20 {
		t.Errorf("ABU-008: %d bytes", used)
	}
	runtime.KeepAlive(c)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestCounterFromAllSides(t *testing.T) {
	c := NewCounter[int](time.Hour, 32)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				c.Add(i%10, 1)
			}
		})
	}
	wg.Wait()
	for i := range 10 {
		if got := c.Sum(i); got != 800 {
			t.Errorf("key %d: %d, want 800", i, got)
		}
	}
}

func BenchmarkCounterAdd(b *testing.B) {
	c := NewCounter[netip.Prefix](time.Minute, DefaultSlots)
	i := 0
	for b.Loop() {
		c.Add(sixtyFour(i), 1)
		i++
	}
}
