package stress

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

func TestMain(m *testing.M) { interop.Main(m) }

const user = "alice@example.org"

// IMAP-017, IMAP-025, IMAP-018 without crashes: a few seconds every day, FACTEUR_STRESS
// minutes with make stress; FACTEUR_SEED repeats the dice.
func TestStress(t *testing.T) {
	t.Parallel()
	minutes, _ := strconv.ParseFloat(os.Getenv("FACTEUR_STRESS"), 64)
	setup := interop.Setup{Accounts: []string{user}, Quiet: true}
	t.Run("IMAP-017 INV-09 INV-10 INV-12 facteur", func(t *testing.T) {
		rampage(t, interop.NewFacteur(t, setup), minutes, false)
	})
	t.Run("debian", func(t *testing.T) {
		if minutes == 0 {
			t.Skip("with make stress: it asks whether the checks are right")
		}
		// A file that is renamed while Dovecot reads the directory may be lost to it for
		// a moment, and comes back with another UID.
		rampage(t, interop.NewDebian(t, setup), minutes/5, true)
	})
}

// IMAP-018, INV-09, INV-10, INV-13: the server is killed in the midst of everything; what
// it said before holds afterwards. FACTEUR_KILLS times with make crash.
func TestCrashes(t *testing.T) {
	t.Parallel()
	kills, err := strconv.Atoi(os.Getenv("FACTEUR_KILLS"))
	if err != nil {
		kills = 2
	}
	f := interop.NewFacteur(t, interop.Setup{Accounts: []string{user}})
	cfg := prepare(t, f)
	cfg.Rounds, cfg.Rename = kills, true
	cfg.Crash = func() {
		f.Kill()
		f.Start()
	}
	judge(t, cfg)
}

// rampage stresses a server for so many minutes, or for some seconds.
func rampage(t *testing.T, post interop.Post, minutes float64, dovecot bool) {
	cfg := prepare(t, post)
	cfg.Rename, cfg.Hazy = !dovecot, dovecot
	if minutes > 0 {
		cfg.Rounds = max(1, int(minutes*60/cfg.Round.Seconds()))
	}
	judge(t, cfg)
}

// prepare starts a server for a run.
func prepare(t *testing.T, post interop.Post) Config {
	t.Helper()
	cfg := Config{
		User: user, Password: interop.Password, Mailboxes: []string{"INBOX", "Other", "Deep/er"}, Clients: 20, Room: 120,
		Seed: seed(t), Round: 3 * time.Second, Rounds: 2, Log: t.Logf,
	}
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(post.Maildir(user), sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	post.Handover(user)
	post.Start()
	cfg.Addr, cfg.SMTP, cfg.Maildir = post.Addr("imap"), post.Addr("smtp"), post.Maildir(user)
	cfg.Handover = func(path string) error { return chownLike(filepath.Dir(path), path) }
	cfg.Drained = func() error { return drained(post) }
	return cfg
}

func judge(t *testing.T, cfg Config) {
	t.Helper()
	violations, err := Run(cfg)
	if err != nil {
		t.Errorf("seed %d: %v", cfg.Seed, err)
	}
	for _, v := range violations {
		t.Errorf("seed %d: %s", cfg.Seed, v)
	}
	if len(violations) > 0 {
		keep(t, filepath.Dir(cfg.Maildir))
	}
}

// keep copies what is on the disk to FACTEUR_KEEP, where one is named, to be looked at.
func keep(t *testing.T, home string) {
	if dir := os.Getenv("FACTEUR_KEEP"); dir != "" {
		t.Logf("%s is in %s: %v", home, dir, os.CopyFS(dir, os.DirFS(home)))
	}
}

func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(os.Getenv("FACTEUR_SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Logf("FACTEUR_SEED=%d", n)
	return n
}

// drained waits until nothing is in the queue.
func drained(post interop.Post) error {
	deadline := time.Now().Add(time.Minute)
	for {
		n, err := post.Queued()
		if err == nil && n == 0 || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// chownLike gives a file to the owner of its directory.
func chownLike(dir, path string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, _ := info.Sys().(*syscall.Stat_t)
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}
