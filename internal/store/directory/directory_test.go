package directory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

const quotaOfFile = 1 << 30

// open is a directory with example.org in the file and alice in it.
func open(t *testing.T) *Directory {
	t.Helper()
	dir := t.TempDir()
	database, err := db.Open(filepath.Join(dir, "facteur.db"), Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	d := New(database, []string{"Example.ORG"}, dir, quotaOfFile)
	must(t, d.AddAccount(t.Context(), mailbox(t, "alice@example.org"), "open sesame", 0))
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mailbox(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	must(t, err)
	return a
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

func wantState[T any](t *testing.T, got lookup.Answer[T], want lookup.State) {
	t.Helper()
	if got.State() != want {
		t.Errorf("got %v (%v), want %v", got.State(), got.Err(), want)
	}
}

func TestREL020OneMailboxOneAccount(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	home := filepath.Join(d.dataDir, "mail", "example.org", "alice")
	for _, spelling := range []string{"alice@example.org", "ALICE@Example.Org", `"alice"@example.org`} {
		answer := d.Account(ctx, mailbox(t, spelling))
		wantState(t, answer, lookup.Found)
		if got := answer.Value(); got.Home != home || got.Quota != quotaOfFile || got.Address != "alice@example.org" {
			t.Errorf("%s: %+v", spelling, got)
		}
		wantErr(t, d.AddAccount(ctx, mailbox(t, spelling), "x", 0), ErrAccountExists)
		wantState(t, d.Authenticate(ctx, spelling, "open sesame"), lookup.Found)
	}
	wantState(t, d.Account(ctx, mailbox(t, "al.ice@example.org")), lookup.NotFound)
	wantState(t, d.Account(ctx, mailbox(t, "alice@example.com")), lookup.NotFound)
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	must(t, d.AddAccount(ctx, mailbox(t, "bob@example.org"), "of bob", 0))
	for _, try := range []struct{ login, password string }{
		{"alice@example.org", "wrong"},
		{"alice@example.org", ""},
		{"alice@example.org", "open sesame "},
		{"alice@example.org", "of bob"},
		{"nobody@example.org", "open sesame"},
		{"alice", "open sesame"},
		{"", ""},
		{"alice@example.org\x00", "open sesame"},
		{"alice@example.org", strings.Repeat("x", maxPassword+1)},
		{"' OR 1=1 --@example.org", "x"},
	} {
		answer := d.Authenticate(ctx, try.login, try.password)
		wantState(t, answer, lookup.NotFound)
		// ABU-012: the reason is the same for all.
		wantErr(t, answer.Err(), errAuth)
	}
	must(t, d.SetPassword(ctx, mailbox(t, "Alice@example.org"), "shut sesame"))
	wantState(t, d.Authenticate(ctx, "alice@example.org", "open sesame"), lookup.NotFound)
	wantState(t, d.Authenticate(ctx, "alice@example.org", "shut sesame"), lookup.Found)
}

// ABU-012: a stranger, a wrong password and one that is too long each cost exactly
// one hash of the same price. Price is memory here, which no noise disturbs.
func TestABU012EveryRefusalCostsOneHash(t *testing.T) {
	d, ctx := open(t), context.Background()
	cost := func(login, password string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d.Authenticate(ctx, login, password)
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) >> 20
	}
	for name, got := range map[string]uint64{
		"wrong password": cost("alice@example.org", "wrong"),
		"unknown user":   cost("nobody@example.org", "wrong"),
		"no address":     cost("nobody", "wrong"),
		"too long":       cost("alice@example.org", strings.Repeat("x", 5000)),
	} {
		if want := uint64(hashMemory >> 10); got < want || got > want+want/2 {
			t.Errorf("%s: %d MiB were allocated; one hash is %d", name, got, want)
		}
	}
}

// ABU-013: a hundred log-ins at once run few hashes at a time; those beyond the
// line are told to come back, and nobody is told that the password is wrong.
func TestABU013HashesAreBounded(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.hasher = &hasher{running: make(chan struct{}, 1), waiting: make(chan struct{}, 3)}
	leave, err := d.hasher.enter(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var line sync.WaitGroup
	for _, password := range []string{"one", "two"} { // who ask the same share a place
		line.Go(func() { wantState(t, d.Authenticate(ctx, "alice@example.org", password), lookup.TryAgain) })
	}
	for len(d.hasher.waiting) < 3 {
		time.Sleep(time.Millisecond)
	}
	busy := d.Authenticate(ctx, "alice@example.org", "open sesame")
	wantState(t, busy, lookup.TryAgain)
	wantErr(t, busy.Err(), errBusy)
	cancel() // the waiting ones give up and leave the line
	line.Wait()
	leave()
	if len(d.hasher.waiting) != 0 {
		t.Errorf("%d places in the line are lost", len(d.hasher.waiting))
	}
	wantState(t, d.Authenticate(t.Context(), "alice@example.org", "open sesame"), lookup.Found)
}

func TestABU014ProofsAreOfOneUserAndShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProofs()
		p.add("alice@example.org", "hash", "secret")
		for _, try := range []struct {
			account, stored, password string
			want                      bool
		}{
			{"alice@example.org", "hash", "secret", true},
			{"bob@example.org", "hash", "secret", false},
			{"alice@example.org", "hash", "Secret", false},
			{"alice@example.org", "other hash", "secret", false}, // the password was changed
			{"alice@example.org", "hashs", "ecret", false},
		} {
			if got := p.recall(try.account, try.stored, try.password) == right; got != try.want {
				t.Errorf("%+v: %v", try, got)
			}
		}
		time.Sleep(proofLife)
		if p.recall("alice@example.org", "hash", "secret") != unknown {
			t.Error("the proof outlived its minute")
		}
	})
}

func TestProofIsUsedAndDropped(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	alice := mailbox(t, "alice@example.org")
	wantState(t, d.Authenticate(ctx, "alice@example.org", "open sesame"), lookup.Found)
	// With no hash to be had, only the proof can let alice in.
	d.hasher = &hasher{running: make(chan struct{}), waiting: make(chan struct{})}
	wantState(t, d.Authenticate(ctx, "alice@example.org", "open sesame"), lookup.Found)
	wantState(t, d.Authenticate(ctx, "alice@example.org", "wrong"), lookup.TryAgain)
	d.hasher = newHasher()
	must(t, d.SetPassword(ctx, alice, "other"))
	wantState(t, d.Authenticate(ctx, "alice@example.org", "open sesame"), lookup.NotFound)
	must(t, d.RemoveAccount(ctx, alice, false))
	wantState(t, d.Authenticate(ctx, "alice@example.org", "other"), lookup.NotFound)
}

// ABU-013: a mail program that opens several connections at once costs one hash and has
// one place in the line, and what it is told is the same for all of them.
func TestConnectionsAtOnceShareAHash(t *testing.T) {
	other, err := makeHash("other")
	must(t, err)
	for name, c := range map[string]struct {
		password string
		change   string
		want     lookup.State
	}{
		"right":                      {"open sesame", "", lookup.Found},
		"wrong":                      {"wrong", "", lookup.NotFound},
		"too long":                   {strings.Repeat("x", maxPassword+1), "", lookup.NotFound},
		"another password meanwhile": {"open sesame", "UPDATE account SET password = '" + other + "'", lookup.NotFound},
		"disabled meanwhile":         {"open sesame", `UPDATE account SET disabled = 1`, lookup.NotFound},
	} {
		t.Run("ABU-013 "+name, func(t *testing.T) {
			d := open(t)
			d.hasher = &hasher{running: make(chan struct{}, 1), waiting: make(chan struct{}, 2)}
			leave, err := d.hasher.enter(t.Context()) // one more has a place
			must(t, err)
			ask := func(ctx context.Context, said chan<- lookup.State) {
				said <- d.Authenticate(ctx, "alice@example.org", c.password).State()
			}
			first, others := make(chan lookup.State, 1), make(chan lookup.State, 3)
			go ask(t.Context(), first)
			for len(d.hasher.waiting) < 2 {
				time.Sleep(time.Millisecond)
			}
			for range cap(others) {
				go ask(t.Context(), others)
			}
			select {
			case got := <-others:
				t.Fatalf("one was told %v while the first one waited", got)
			case <-time.After(50 * time.Millisecond):
			}
			if c.change != "" {
				must(t, d.db.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(c.change); return err }))
			}
			leave()
			for range cap(others) {
				if got := <-others; got != c.want {
					t.Errorf("one of the others was told %v", got)
				}
			}
			if got := <-first; got != c.want || len(d.shared.open) > 0 || len(d.hasher.waiting) > 0 {
				t.Errorf("the first was told %v; %d inquiries and %d places are left", got, len(d.shared.open), len(d.hasher.waiting))
			}
		})
	}
}

// Who gives up in the line, or finds out nothing, leaves it to the next who asks the same.
func TestTheNextOneAsks(t *testing.T) {
	d := open(t)
	d.hasher = &hasher{running: make(chan struct{}, 1), waiting: make(chan struct{}, 2)}
	leave, err := d.hasher.enter(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan lookup.State, 1), make(chan lookup.State, 1)
	go func() { first <- d.Authenticate(ctx, "alice@example.org", "open sesame").State() }()
	for len(d.hasher.waiting) < 2 {
		time.Sleep(time.Millisecond)
	}
	go func() { second <- d.Authenticate(t.Context(), "alice@example.org", "open sesame").State() }()
	cancel()
	if got := <-first; got != lookup.TryAgain {
		t.Errorf("who gave up was told %v", got)
	}
	for len(d.hasher.waiting) < 2 {
		time.Sleep(time.Millisecond)
	}
	leave()
	if got := <-second; got != lookup.Found {
		t.Errorf("the next one was told %v", got)
	}
}

// What changes while a log-in waits in the line before the hash counts.
func TestChangeWhileWaiting(t *testing.T) {
	for name, change := range map[string]string{
		"removed": `DELETE FROM account`, "disabled": `UPDATE account SET disabled = 1`,
		"another password": `UPDATE account SET password = password || ' '`,
	} {
		t.Run("AUT "+name, func(t *testing.T) {
			d := open(t)
			for range cap(d.hasher.running) {
				d.hasher.running <- struct{}{}
			}
			said := make(chan lookup.State)
			go func() { said <- d.Authenticate(t.Context(), "alice@example.org", "open sesame").State() }()
			for len(d.hasher.waiting) == 0 {
				time.Sleep(time.Millisecond)
			}
			must(t, d.db.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(change); return err }))
			for range cap(d.hasher.running) {
				<-d.hasher.running
			}
			if got := <-said; got != lookup.NotFound {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestDisabledAccountReceivesButDoesNotLogIn(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	must(t, d.change(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE account SET disabled = 1`)
		return err
	}))
	answer := d.Authenticate(ctx, "alice@example.org", "open sesame")
	wantState(t, answer, lookup.NotFound)
	wantErr(t, answer.Err(), errAuth)
	wantState(t, d.Account(ctx, mailbox(t, "alice@example.org")), lookup.Found)
}

// A dependency out of order is never "no such user" (invariant 5).
func TestBrokenDatabaseIsTryAgain(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	must(t, d.db.Close())
	wantState(t, d.Account(ctx, mailbox(t, "alice@example.org")), lookup.TryAgain)
	wantState(t, d.Authenticate(ctx, "alice@example.org", "open sesame"), lookup.TryAgain)
	wantState(t, d.Domain(ctx, "example.net"), lookup.TryAgain)
	wantState(t, d.Domain(ctx, "example.org"), lookup.Found) // from the file
}

func TestDomains(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	must(t, d.AddDomain(ctx, "Münster.example."))
	wantErr(t, d.AddDomain(ctx, "xn--mnster-3ya.example"), ErrDomainExists)
	wantErr(t, d.AddDomain(ctx, "EXAMPLE.org"), ErrDomainExists)
	wantErr(t, d.RemoveDomain(ctx, "example.org"), ErrDeclared)
	wantErr(t, d.RemoveDomain(ctx, "example.net"), ErrNoDomain)
	for _, bad := range []string{"", "a b", "[127.0.0.1]", "-x.example", "a..b"} {
		if d.AddDomain(ctx, bad) == nil {
			t.Errorf("the domain %q was added", bad)
		}
	}
	got, err := d.Domains(ctx)
	must(t, err)
	if want := "[{example.org file mailbox   false} {xn--mnster-3ya.example database mailbox   false}]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	must(t, d.AddAccount(ctx, mailbox(t, "a@münster.example"), "x", 5))
	wantErr(t, d.RemoveDomain(ctx, "münster.example"), ErrDomainInUse)
	must(t, d.RemoveAccount(ctx, mailbox(t, "A@münster.example"), false))
	wantState(t, d.Domain(ctx, "münster.example"), lookup.Found)
	must(t, d.RemoveDomain(ctx, "münster.example"))
	wantState(t, d.Domain(ctx, "münster.example"), lookup.NotFound)
	wantErr(t, d.AddAccount(ctx, mailbox(t, "a@münster.example"), "x", 0), ErrNoDomain)
}

func TestReloadChangesDomainsAndQuota(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	wantState(t, d.Account(ctx, mailbox(t, "alice@example.org")), lookup.Found)
	d.Configure(Named("example.net"), Allowances{Default: Allowance{Bytes: 7}})
	wantState(t, d.Domain(ctx, "example.org"), lookup.NotFound)
	wantState(t, d.Domain(ctx, "example.net"), lookup.Found)
	if got := d.Account(ctx, mailbox(t, "alice@example.org")).Value().Quota; got != 7 {
		t.Errorf("the quota is %d", got)
	}
}

func TestRemoveAccountKeepsMailUnlessTold(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	alice := mailbox(t, "alice@example.org")
	home := d.Account(ctx, alice).Value().Home
	letter := filepath.Join(home, "Maildir", "new", "1")
	must(t, os.MkdirAll(filepath.Dir(letter), 0o700))
	must(t, os.WriteFile(letter, []byte("x"), 0o600))
	must(t, d.RemoveAccount(ctx, alice, false))
	wantState(t, d.Account(ctx, alice), lookup.NotFound)
	wantErr(t, d.RemoveAccount(ctx, alice, true), ErrNoAccount)
	if _, err := os.Stat(letter); err != nil {
		t.Error(err)
	}
	must(t, d.AddAccount(ctx, alice, "x", 0))
	must(t, d.RemoveAccount(ctx, alice, true))
	if _, err := os.Stat(home); !os.IsNotExist(err) {
		t.Errorf("the mail is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(home)); err != nil {
		t.Errorf("more than the account's mail is gone: %v", err)
	}
}

// A symbolic link in the place of a home or of a domain leads nowhere.
func TestRemoveMailStaysInside(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "keep"), nil, 0o600))
	must(t, os.MkdirAll(d.mailDir(), 0o700))
	must(t, os.MkdirAll(filepath.Join(outside, "alice"), 0o700))
	must(t, os.Symlink(outside, filepath.Join(d.mailDir(), "example.org")))
	if err := d.RemoveAccount(ctx, mailbox(t, "alice@example.org"), true); err == nil {
		t.Error("the link was followed")
	}
	if _, err := os.Stat(filepath.Join(outside, "alice")); err != nil {
		t.Error(err)
	}
}

func TestPasswordsThatAreRefused(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	for _, password := range []string{"", "a\nb", "a\x00b", "\xff", strings.Repeat("x", 1025)} {
		wantErr(t, d.SetPassword(ctx, mailbox(t, "alice@example.org"), password), ErrPassword)
	}
	wantErr(t, d.SetPassword(ctx, mailbox(t, "bob@example.org"), "x"), ErrNoAccount)
	must(t, d.SetPassword(ctx, mailbox(t, "alice@example.org"), "pässwörd ☃"))
	wantState(t, d.Authenticate(ctx, "alice@example.org", "pässwörd ☃"), lookup.Found)
}

// A look-up that read before a change must not be remembered after it.
func TestCacheForgetsWhatWasReadBeforeAChange(t *testing.T) {
	t.Parallel()
	c := newCache[int]()
	mark := c.mark()
	c.clear()
	c.put("a", 1, mark)
	if _, ok := c.get("a"); ok {
		t.Error("a stale answer was remembered")
	}
	for i := range cacheSize + 1 {
		c.put(fmt.Sprint(i), i, c.mark())
	}
	if n := len(c.entries); n > cacheSize {
		t.Errorf("%d entries", n)
	}
}

func TestDomainOfOthersBecomesOurs(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	for range 2 { // from the database, then from memory
		wantState(t, d.Domain(ctx, "later.example"), lookup.NotFound)
	}
	must(t, d.AddDomain(ctx, "Later.example"))
	wantState(t, d.Domain(ctx, "later.example"), lookup.Found)
	must(t, d.RemoveDomain(ctx, "later.example"))
	wantState(t, d.Domain(ctx, "later.example"), lookup.NotFound)
	d.Configure(Named("later.example"), Allowances{Default: Allowance{Bytes: quotaOfFile}})
	wantState(t, d.Domain(ctx, "later.example"), lookup.Found)
}

func TestPathName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"alice": "alice", "a.b": "a.b", "": "%", ".": "%2E", "..": "%2E.", "../../etc": "%2E.%2F..%2Fetc",
		"a/b": "a%2Fb", "a\x00b": "a%00b", "%2E": "%252%45", ".hidden": "%2Ehidden", "é": "%C3%A9", "A": "%41", "a b": "a%20b",
	} {
		if got := pathName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzPathName(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "a/../b", "%", "é"} {
		f.Add(seed, seed+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		name := pathName(a)
		if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
			t.Fatalf("%q becomes %q, which is no plain file name", a, name)
		}
		if a != b && name == pathName(b) {
			t.Fatalf("%q and %q share the name %q", a, b, name)
		}
	})
}
