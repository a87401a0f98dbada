package directory

import (
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/db"
)

// ABU-012: a stranger's salt is as steady as anybody's, in every spelling, before
// and after an account is made, has its keys, and changes its password.
func TestABU012SaltsTellNothing(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	shown := func(login string) string {
		k, _, err := d.Keys(ctx, login, sasl.SHA256)
		must(t, err)
		if k.Iterations != scramIterations {
			t.Error(login, k.Iterations)
		}
		return string(k.Salt)
	}
	bob := shown("bob@example.org")
	if bob != shown("BOB@Example.org") || bob == shown("carol@example.org") || shown("alice@example.org") != shown("Alice@example.ORG") {
		t.Error("a stranger's salt depends on the spelling, or not on the name")
	}
	must(t, d.AddAccount(ctx, mailbox(t, "bob@example.org"), "of bob", 0))
	if bob != shown("bob@example.org") {
		t.Error("it shows when an account is made")
	}
	must(t, d.SetPassword(ctx, mailbox(t, "bob@example.org"), "other"))
	if bob != shown("bob@example.org") {
		t.Error("it shows when a password is changed")
	}
	again := New(d.db, []string{"example.org"}, d.dataDir, 0)
	if k, _, err := again.Keys(ctx, "bob@example.org", sasl.SHA256); err != nil || string(k.Salt) != bob {
		t.Error("it shows when the server starts", err)
	}
}

// Accounts from before there were keys get them with the next right password, and
// no others.
func TestKeysComeWithTheNextLogIn(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	must(t, d.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE account SET scram_sha256 = '', scram_sha1 = ''`)
		return err
	}))
	has := func() (kinds Kinds) {
		r, err := d.row(ctx, "alice@example.org")
		must(t, err)
		return Kinds{r.sha256 != "", r.sha1 != "", r.md5 != ""}
	}
	wantState(t, d.Authenticate(ctx, "alice@example.org", "wrong"), lookup.NotFound)
	if has() != (Kinds{}) {
		t.Error("keys of a wrong password")
	}
	if _, h, err := d.Keys(ctx, "alice@example.org", sasl.SHA256); err != nil || h != (Holder{}) {
		t.Error("keys that are not there", err)
	}
	wantState(t, d.Authenticate(ctx, "alice@example.org", "open sesame"), lookup.Found)
	if has() != (Kinds{SCRAMSHA256: true, SCRAMSHA1: true}) {
		t.Errorf("%+v", has())
	}
	_, h, err := d.Keys(ctx, "alice@example.org", sasl.SHA256)
	must(t, err)
	wantState(t, d.Admit(ctx, h), lookup.Found)
	must(t, d.SetPassword(ctx, mailbox(t, "alice@example.org"), "new"))
	wantState(t, d.Admit(ctx, h), lookup.NotFound) // proved with keys that are no more
	d.Keep(Kinds{})
	must(t, d.SetPassword(ctx, mailbox(t, "alice@example.org"), "newer"))
	if has() != (Kinds{}) {
		t.Errorf("old keys outlived the password: %+v", has())
	}
	must(t, d.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE account SET disabled = 1`)
		return err
	}))
	wantState(t, d.Vouched(ctx, "alice@example.org"), lookup.NotFound)
	wantState(t, d.Vouched(ctx, "nobody@example.org"), lookup.NotFound)
}

// ABU-014: what was refused is remembered for that account, password and hash only.
func TestABU014RefusalsAreRemembered(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	for _, login := range []string{"alice@example.org", "nobody@example.org"} {
		wantState(t, d.Authenticate(ctx, login, "old"), lookup.NotFound)
	}
	kept := d.hasher
	d.hasher = &hasher{running: make(chan struct{}), waiting: make(chan struct{})} // no hash is to be had
	for _, login := range []string{"alice@example.org", "ALICE@example.org", "nobody@example.org", "NOBODY@example.org"} {
		wantState(t, d.Authenticate(ctx, login, "old"), lookup.NotFound)
	}
	wantState(t, d.Authenticate(ctx, "alice@example.org", "other"), lookup.TryAgain)
	wantState(t, d.Authenticate(ctx, "bob@example.org", "old"), lookup.TryAgain)
	d.hasher = kept
	must(t, d.SetPassword(ctx, mailbox(t, "alice@example.org"), "old"))
	wantState(t, d.Authenticate(ctx, "alice@example.org", "old"), lookup.Found)
}
