package dkimkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/mail/dkim"
)

var (
	begin = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ed    = Plan{Selectors: [2]string{"f1", "f2"}, Algorithms: []Algorithm{Ed25519}}
	times = Times{Settle: time.Hour, Retire: 7 * 24 * time.Hour}
)

func states(r Ring) string {
	var all []string
	for _, k := range r {
		all = append(all, k.Selector+"="+string(k.State))
	}
	return strings.Join(all, " ")
}

// row 223: the life of the keys of a domain, day by day.
func TestLifeOfKeys(t *testing.T) {
	s := New(vfs.NewMem(), "/data/dkim")
	seen := func(selectors ...string) map[string]Sight {
		m := map[string]Sight{}
		for _, name := range selectors {
			m[name] = Seen
		}
		return m
	}
	for _, step := range []struct {
		what string
		do   func(now time.Time) error
		at   time.Duration
		want string
	}{
		{"a key is made once", func(now time.Time) error { _, err := s.Ensure("Example.ORG.", ed, now); return err }, 0, "f1-ed=made"},
		{"and not again", func(now time.Time) error { _, err := s.Ensure("example.org", ed, now); return err }, time.Minute, "f1-ed=made"},
		{"no answer changes nothing", func(now time.Time) error { _, err := s.Step("example.org", nil, times, now); return err }, time.Hour, "f1-ed=made"},
		{"the first signs as soon as it was seen", func(now time.Time) error { _, err := s.Step("example.org", seen("f1-ed"), times, now); return err }, 2 * time.Hour, "f1-ed=active"},
		{"a record that is gone for a moment does not end it", func(now time.Time) error {
			_, err := s.Step("example.org", map[string]Sight{"f1-ed": Missing}, times, now)
			return err
		}, 3 * time.Hour, "f1-ed=active"},
		{"the next is made", func(now time.Time) error { _, err := s.Next("example.org", ed, now); return err }, 24 * time.Hour, "f1-ed=active f2-ed=made"},
		{"and not again", func(now time.Time) error { _, err := s.Next("example.org", ed, now); return err }, 25 * time.Hour, "f1-ed=active f2-ed=made"},
		{"it was seen", func(now time.Time) error {
			_, err := s.Step("example.org", seen("f1-ed", "f2-ed"), times, now)
			return err
		}, 26 * time.Hour, "f1-ed=active f2-ed=published"},
		{"one server does not have it", func(now time.Time) error {
			_, err := s.Step("example.org", map[string]Sight{"f2-ed": Missing}, times, now)
			return err
		}, 26*time.Hour + time.Minute, "f1-ed=active f2-ed=made"},
		{"it was seen again", func(now time.Time) error {
			_, err := s.Step("example.org", seen("f1-ed", "f2-ed"), times, now)
			return err
		}, 27 * time.Hour, "f1-ed=active f2-ed=published"},
		{"and an hour later it signs", func(now time.Time) error {
			_, err := s.Step("example.org", seen("f1-ed", "f2-ed"), times, now)
			return err
		}, 28 * time.Hour, "f1-ed=retiring f2-ed=active"},
		{"the old record stays for a week", func(now time.Time) error { _, err := s.Step("example.org", nil, times, now); return err }, 8 * 24 * time.Hour, "f1-ed=retiring f2-ed=active"},
		{"and is to be emptied then", func(now time.Time) error { _, err := s.Step("example.org", nil, times, now); return err }, 9 * 24 * time.Hour, "f1-ed=retired f2-ed=active"},
		{"its selector has its turn again", func(now time.Time) error { _, err := s.Next("example.org", ed, now); return err }, 90 * 24 * time.Hour, "f2-ed=active f1-ed=made"},
		{"the admin can overrule the DNS", func(now time.Time) error { _, err := s.Activate("example.org", "f1-ed", now); return err }, 91 * 24 * time.Hour, "f2-ed=retiring f1-ed=active"},
	} {
		if err := step.do(begin.Add(step.at)); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		s.Forget()
		r, err := s.Ring("example.org")
		if got := states(r); err != nil || got != step.want {
			t.Fatalf("%s: %s, %v; %s expected", step.what, got, err, step.want)
		}
		for _, k := range r {
			if k.Living() != (k.Private != nil) || k.Err != nil {
				t.Errorf("%s: private key of %s: %v, %v", step.what, k.Name(), k.Private != nil, k.Err)
			}
		}
	}
	if _, err := s.Next("example.org", ed, begin); err == nil || !strings.Contains(err.Error(), "both selectors") {
		t.Errorf("a third key beside an active and a retiring one: %v", err)
	}
	if all, err := s.Domains(); err != nil || !slices.Equal(all, []string{"example.org"}) {
		t.Error(all, err)
	}
}

// A retired key leaves nothing that could sign, and a record that says so.
func TestRetired(t *testing.T) {
	disk := vfs.NewMem()
	s := New(disk, "/dkim")
	if _, err := s.Ensure("example.org", ed, begin); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Retire("example.org", "f1-ed", begin); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Stat("/dkim/example.org/f1-ed.pem"); err == nil {
		t.Error("the private key is still there")
	}
	r, _ := s.Ring("example.org")
	if got := r[0].Record(); got != "v=DKIM1; k=ed25519; p=" {
		t.Error(got)
	}
}

// Both algorithms, files that are nobody else's, and what can't be read.
func TestFiles(t *testing.T) {
	disk := vfs.NewMem()
	s := New(disk, "/dkim")
	both := Plan{Selectors: [2]string{"a", "b"}, Algorithms: []Algorithm{RSA, Ed25519}}
	made, err := s.Ensure("bücher.example", both, begin)
	if err != nil || len(made) != 2 {
		t.Fatal(made, err)
	}
	if made[0].Name() != "a._domainkey.xn--bcher-kva.example" || made[0].Bits() != 2048 || made[1].Bits() != 256 {
		t.Error(made[0].Name(), made[0].Bits(), made[1].Bits())
	}
	if !strings.HasPrefix(made[0].Record(), "v=DKIM1; k=rsa; p=MIIBIjAN") {
		t.Error(made[0].Record())
	}
	for name, want := range map[string]fs.FileMode{"/dkim/xn--bcher-kva.example": fs.ModeDir | 0o700, "/dkim/xn--bcher-kva.example/keys": 0o600, "/dkim/xn--bcher-kva.example/a.pem": 0o600} {
		if info, err := disk.Stat(name); err != nil || info.Mode != want {
			t.Errorf("%s: %v %v", name, info.Mode, err)
		}
	}
	if err := vfs.WriteFile(disk, "/dkim/xn--bcher-kva.example/a.pem", []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, selector := range []string{"a", "a-ed"} {
		if _, err := s.Activate("bücher.example", selector, begin); err != nil {
			t.Fatal(err) // from what was read before
		}
	}
	s.Forget()
	r, err := s.Ring("bücher.example")
	if err != nil || len(r) != 2 || r[0].Err == nil || r[1].Err != nil {
		t.Fatal(r, err)
	}
	if keys := r.Signing(); len(keys) != 1 || keys[0].Algorithm != Ed25519 {
		t.Errorf("what signs: %v", keys)
	}
}

// Records as others write them have our key, or another.
func TestShows(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	k := Key{Domain: "example.org", Selector: "s", Algorithm: RSA, State: Made, Private: private, Public: private.Public()}
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	for record, want := range map[string]bool{
		k.Record(): true,
		strings.TrimPrefix(k.Record(), "v=DKIM1; "):                  true,
		strings.Replace(k.Record(), "MII", "M \tII", 1) + "; n=note": true,
		"v=DKIM1; k=rsa; p=":                             false,
		Key{Algorithm: Ed25519, Private: other}.Record(): false,
	} {
		r, err := dkim.ParseRecord(record)
		if err != nil || k.Shows(r) != want {
			t.Errorf("%s: %v", record, err)
		}
	}
}

// Keys of other programs, and what is none that DKIM knows.
func TestParsePrivate(t *testing.T) {
	large, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	der := func(key any) []byte { b, _ := x509.MarshalPKCS8PrivateKey(key); return b }
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	for name, c := range map[string]struct {
		text string
		want Algorithm
	}{
		"PKCS#1":              {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(large)), RSA},
		"PKCS#8":              {block("PRIVATE KEY", der(large)), RSA},
		"Ed25519":             {block("PRIVATE KEY", der(private)), Ed25519},
		"behind another":      {block("CERTIFICATE", []byte("x")) + block("PRIVATE KEY", der(private)), Ed25519},
		"nothing":             {"", ""},
		"a public key":        {block("PUBLIC KEY", []byte("x")), ""},
		"damaged":             {block("PRIVATE KEY", []byte("x")), ""},
		"too many bits to do": {block("RSA PRIVATE KEY", bytesOf(1<<14)), ""},
	} {
		if _, got, err := ParsePrivate([]byte(c.text)); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func bytesOf(n int) []byte { return make([]byte, n) }

// The file of a domain's keys: what is not one is refused with the line.
func TestParseRing(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"# x\n\nf1 rsa made 2026-01-31T12:00:00Z": "f1=made",
		"f1 rsa made":                                                        "line 1: 3 words",
		"f1 dsa made 2026-01-31T12:00:00Z":                                   "line 1: algorithm",
		"f1 rsa lost 2026-01-31T12:00:00Z":                                   "line 1: state",
		"f1 rsa made yesterday":                                              "line 1: time",
		"../x rsa made 2026-01-31T12:00:00Z":                                 "line 1: selector",
		"a..b rsa made 2026-01-31T12:00:00Z":                                 "line 1: selector",
		"f1 rsa made 2026-01-31T12:00:00Z\nF1 rsa made 2026-01-31T12:00:00Z": "line 2: selector f1 is there twice",
	} {
		r, err := parseRing("example.org", []byte(text))
		if err != nil {
			if want == "" || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%q: %v", text, err)
			}
		} else if states(r) != want {
			t.Errorf("%q: %s", text, states(r))
		}
	}
}

func FuzzParseRing(f *testing.F) {
	f.Add([]byte("# x\nf1 rsa made 2026-01-31T12:00:00Z\nf1-ed ed25519 active 2026-01-31T12:00:00Z\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRing("example.org", text)
		if err != nil {
			return
		}
		again, err := parseRing("example.org", r.text("example.org"))
		if err != nil || states(again) != states(r) {
			t.Errorf("%s became %s: %v", states(r), states(again), err)
		}
	})
}

// A key of another program signs at once, and ours makes room for it.
func TestImport(t *testing.T) {
	s := New(vfs.NewMem(), "/dkim")
	if _, err := s.Ensure("example.org", ed, begin); err != nil {
		t.Fatal(err)
	}
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	for range 2 { // again changes nothing
		if _, err := s.Import("example.org", "Mail.2019", private, Active, begin); err != nil {
			t.Fatal(err)
		}
	}
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	if _, err := s.Import("example.org", "mail.2019", other, Active, begin); err == nil {
		t.Error("a key was replaced by another")
	}
	s.Forget()
	r, err := s.Ring("example.org")
	if got := states(r); err != nil || got != "f1-ed=made mail.2019=active" {
		t.Error(got, err)
	}
}

// row 223: a crash at any file operation leaves keys as they were before or after a step,
// each living one with its private key, and what was told to sign is still there.
func TestCrash(t *testing.T) {
	life := []func(s *Store) error{
		func(s *Store) error { _, err := s.Ensure("example.org", ed, begin); return err },
		func(s *Store) error {
			_, err := s.Step("example.org", map[string]Sight{"f1-ed": Seen}, times, begin)
			return err
		},
		func(s *Store) error { _, err := s.Next("example.org", ed, begin); return err },
		func(s *Store) error { _, err := s.Activate("example.org", "f2-ed", begin); return err },
		func(s *Store) error { _, err := s.Step("example.org", nil, Times{}, begin); return err },
		func(s *Store) error { _, err := s.Next("example.org", ed, begin); return err },
	}
	after := []string{"", "f1-ed=made", "f1-ed=active", "f1-ed=active f2-ed=made", "f1-ed=retiring f2-ed=active", "f1-ed=retired f2-ed=active", "f2-ed=active f1-ed=made"}
	for n := 1; ; n++ {
		disk := vfs.NewMem()
		s := New(disk, "/dkim")
		disk.StopAfter(n)
		done := 0
		for done < len(life) && life[done](s) == nil {
			done++
		}
		for seed := range uint64(4) {
			found := New(disk.Crash(seed), "/dkim")
			r, err := found.Ring("example.org")
			if err != nil {
				t.Fatalf("operation %d, seed %d: %v", n, seed, err)
			}
			if got := states(r); got != after[done] && (done == len(life) || got != after[done+1]) {
				t.Fatalf("operation %d, seed %d: %q after %d steps", n, seed, got, done)
			}
			for _, k := range r {
				if k.Living() && k.Err != nil {
					t.Fatalf("operation %d, seed %d: %s: %v", n, seed, k.Name(), k.Err)
				}
			}
			for rest := done; rest < len(life); rest++ { // and life goes on
				if states(r) == after[rest+1] {
					continue
				}
				if err := life[rest](found); err != nil {
					t.Fatalf("operation %d, seed %d, step %d: %v", n, seed, rest, err)
				}
				r, _ = found.Ring("example.org")
			}
			if got := states(r); got != after[len(life)] {
				t.Fatalf("operation %d, seed %d: %q in the end", n, seed, got)
			}
		}
		if done == len(life) {
			return
		}
	}
}

// Who signs does not wait for a key that is being made.
func TestChangeHoldsNobodyUp(t *testing.T) {
	s := New(vfs.NewMem(), "dkim")
	if _, err := s.change("example.org", func(r Ring) (Ring, error) {
		_, err := s.Ring("example.org")
		return r, err
	}); err != nil {
		t.Error(err)
	}
}
