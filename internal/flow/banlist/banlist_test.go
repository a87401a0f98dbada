package banlist

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/reputation"
)

func bans(now time.Time) []reputation.Ban {
	addr := netip.MustParseAddr
	return []reputation.Ban{
		{Subject: reputation.Network(addr("198.51.100.0")), Until: now.Add(time.Hour), Why: reputation.ByHand, Times: 1},
		{Subject: reputation.Client(addr("192.0.2.7")), Until: now.Add(10 * time.Minute), Why: reputation.Trap, Times: 2},
		{Subject: reputation.Client(addr("2001:db8::1")), Until: now.Add(time.Minute), Why: reputation.Guess, Times: 1},
		{Subject: reputation.Client(addr("198.51.100.9")), Until: now.Add(time.Minute), Why: reputation.Decoy, Times: 1},
		{Subject: reputation.Client(addr("203.0.113.1")), Until: now, Why: reputation.Trap, Times: 1},
	}
}

func TestFormats(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for f, want := range map[Format][]string{
		Plain:      {"198.51.100.0/24\n192.0.2.7\n2001:db8::/64\n198.51.100.9\n"},
		Postscreen: {"192.0.2.7/32 reject\n", "2001:db8::/64 reject\n"},
		Fail2ban:   {"2026-11-22T12:00:00Z facteur/reputation: ban 192.0.2.7 for 600 s: letters to addresses that no human has (2 times lately)\n"},
		IPSet:      {"add facteur-banned4 192.0.2.7/32 timeout 600 -exist\n", "add facteur-banned6 2001:db8::/64 timeout 60 -exist\n"},
		NFT:        {"\t192.0.2.7/32 timeout 600s,\n", "\t198.51.100.0/24 timeout 3600s,\n", "\t2001:db8::/64 timeout 60s,\n", "flush set inet facteur banned4\n"},
	} {
		var b bytes.Buffer
		if err := Write(&b, f, bans(now), now); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s lacks %q:\n%s", f, w, b.String())
			}
		}
		if strings.Contains(b.String(), "203.0.113.1") {
			t.Errorf("%s has what is over", f)
		}
		if (f == NFT || f == IPSet) && strings.Contains(b.String(), "198.51.100.9") {
			t.Errorf("%s has an address beside its network", f)
		}
	}
	if err := Write(&bytes.Buffer{}, "csv", nil, now); err == nil {
		t.Error("any format is taken")
	}
}

// The kernel's own program takes the list, in a network namespace of the test, twice: the
// second time in the place of the first.
func TestNFTTakesIt(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	if _, nft := exec.LookPath("nft"); err != nil || nft != nil {
		missing(t, "nft and unshare are not here")
	}
	now, path := time.Now(), filepath.Join(t.TempDir(), "bans.nft")
	all := bans(now)
	for i := range 1200 {
		all = append(all, reputation.Ban{Subject: reputation.Client(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})), Until: now.Add(time.Hour)})
	}
	if err := WriteFile(Target{NFT, path}, all, now); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(unshare, "-Urn", "sh", "-c", fmt.Sprintf("nft -f %[1]s && nft -f %[1]s && nft list set inet facteur banned4", path)).CombinedOutput()
	switch text := string(out); {
	case err != nil && (strings.Contains(text, "unshare") || strings.Contains(text, "Operation not permitted") || strings.Contains(text, "not supported")):
		missing(t, "no network namespace is to be had here: "+text)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case !strings.Contains(text, "192.0.2.7 timeout 10m") && !strings.Contains(text, "192.0.2.7 timeout 9m"):
		t.Errorf("%s", text)
	}
}

// missing skips a test whose program is not there; where all have to be, it fails.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FACTEUR_TEST_REQUIRE") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// A file follows the bans, and is whole at each moment.
func TestWriter(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path, changed := filepath.Join(dir, "banned"), make(chan struct{}, 1)
		now := bans(time.Now())
		w := Writer{Bans: func() []reputation.Ban { return now }, Changed: changed, Events: event.Discard,
			Targets: func() []Target { return []Target{{Plain, path}, {Plain, filepath.Join(dir, "no", "such", "dir")}} }}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.Run(ctx)
		time.Sleep(time.Second)
		if text, _ := os.ReadFile(path); !strings.Contains(string(text), "192.0.2.7\n") {
			t.Errorf("%q", text)
		}
		now = nil
		changed <- struct{}{}
		time.Sleep(gather + time.Second)
		if text, err := os.ReadFile(path); err != nil || len(text) != 0 {
			t.Errorf("%q, %v", text, err)
		}
		stop()
		synctest.Wait()
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("files beside the list: %v", left)
		}
	})
}
