package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/doctor"
	"facteur/internal/base/event"
	"facteur/internal/test/sim"
)

// houseOf runs a house in a small world, with a line more in its settings.
func houseOf(t *testing.T, line, zone string) *App {
	t.Helper()
	world, err := sim.StartDNS("127.0.0.1:0", zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	dir := t.TempDir()
	text := fmt.Sprintf(`hostname = "mail.example.org"
data_dir = "data"
%s
[dns]
servers = [%q]
[doctor]
daily = false
block_lists = []
domain_block_lists = []
probe = "127.0.0.1:9"
[pregreet]
greet_wait = "0s"
[[domain]]
name = "example.org"
[[listen]]
service = "smtp"
address = "127.0.0.1:%d"
`, line, world.Addr(), freePorts(t, 1)[0])
	path := filepath.Join(dir, "facteur.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	house, err := New(c, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); house.Run(ctx) }() //nolint:errcheck // it is stopped
	t.Cleanup(func() { stop(); <-over })
	if err := house.stores.AddAccount(ctx, control.NewAccount{Address: "postmaster@example.org", Password: "a long secret"}); err != nil {
		t.Fatal(err)
	}
	return house
}

func findings(t *testing.T, a *App, check string) (list []doctor.Finding) {
	t.Helper()
	all, err := a.examine(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Check == check {
			list = append(list, f)
		}
	}
	return list
}

// REL-001 REL-003 REL-004 REL-005 the real door refuses all the ways through it, and lets in
// who writes to postmaster; a house that is open by its settings is found out.
func TestRelayTest(t *testing.T) {
	t.Parallel()
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		a := houseOf(t, "", "mail.example.org. A 192.0.2.1")
		if got := findings(t, a, "relay"); len(got) != 1 || got[0].Level != doctor.OK || !strings.Contains(got[0].What, "22 tries were refused") {
			t.Errorf("%+v", got)
		}
		if got := findings(t, a, "roles"); len(got) != 1 || got[0].Level != doctor.OK {
			t.Errorf("%+v", got)
		}
	})
	t.Run("open by trusted_networks", func(t *testing.T) {
		t.Parallel()
		a := houseOf(t, `trusted_networks = ["203.0.0.0/8"]`, "mail.example.org. A 192.0.2.1")
		got := findings(t, a, "relay")
		if len(got) != 1 || got[0].Level != doctor.Failure || !strings.Contains(fmt.Sprint(got[0].Do), "RCPT TO:<relay-test@example.com>") {
			t.Errorf("%+v", got)
		}
		if got := findings(t, a, "trusted"); got[0].Level != doctor.Failure {
			t.Errorf("REL-017: %+v", got)
		}
	})
	t.Run("a catch-all is no relay", func(t *testing.T) {
		t.Parallel()
		a := houseOf(t, "[[domain]]\nname = \"catch.example\"\ncatch_all = \"postmaster@example.org\"", "mail.example.org. A 192.0.2.1")
		replies, err := a.knock(context.Background(), []control.Envelope{{From: "x@example.net", To: "relay-test%example.com@catch.example"}})
		if err != nil || replies[0].Code != 250 {
			t.Fatalf("%+v %v", replies, err)
		}
		for _, f := range findings(t, a, "relay") {
			if f.Level == doctor.Failure {
				t.Errorf("%+v", f)
			}
		}
	})
}

// The daily look writes a letter to the postmaster, which is delivered as any other.
func TestDailyLetter(t *testing.T) {
	t.Parallel()
	a := houseOf(t, "", "mail.example.org. A 192.0.2.1")
	if err := a.lookAfter().Once(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(a.settings.Load().config.DataDir, "doctor.json")); err != nil {
		t.Error(err)
	}
	text := waitForLetter(t, a, "postmaster@example.org")
	for _, want := range []string{"mail.example.org: something fails, as others see it", "example.org has no SPF record.", `example.org. IN TXT "v=spf1 mx -all"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	waiting := func() int {
		n, err := a.stores.CountQueue(context.Background(), control.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		return n.Items
	}
	for range 600 { // the letter is there before its item is gone
		if waiting() == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := a.lookAfter().Once(context.Background()); err != nil { // nothing new
		t.Fatal(err)
	}
	if n := waiting(); n > 0 {
		t.Errorf("%d items: the same is told twice", n)
	}
}

// waitForLetter waits for the one letter in INBOX.
func waitForLetter(t *testing.T, a *App, account string) string {
	t.Helper()
	local, domain, _ := strings.Cut(account, "@")
	pattern := filepath.Join(a.settings.Load().config.DataDir, "mail", domain, local, "Maildir", "new", "*")
	for range 600 {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { //nolint:errcheck // the pattern is good
			text, err := os.ReadFile(found[0])
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no letter came")
	return ""
}
