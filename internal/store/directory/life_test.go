package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/db"
)

func addr(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A hash that others made opens the door, and is ours from then on, with keys for SCRAM.
func TestHashesOfOthers(t *testing.T) {
	d := open(t)
	ctx := t.Context()
	for name, hash := range map[string]string{
		"sha": "{SSHA}tLYFectZxoRSFco7DS2qk9+GUanMju0T", "crypt": "$1$abcdefgh$.pUq7D2b/morRHJWlFMKz/",
		"argon": "$argon2i$v=19$m=32768,t=4,p=1$S3lEVVpnkyDj5hV8YmAXkA$oZyZEcLG9Wj1x+BO5knwQwJe28csFZct2BCEY7sL+34",
	} {
		a := addr(t, name+"@example.org")
		if err := d.AddHashed(ctx, a, hash, 0); err != nil {
			t.Fatal(err)
		}
		if keys, holder, err := d.Keys(ctx, a.String(), sasl.SHA256); err != nil || holder.Key != "" || len(keys.Salt) == 0 {
			t.Errorf("%s: keys of a hash: %v %v", name, holder.Key, err)
		}
		if got := d.Authenticate(ctx, a.String(), "wrong"); got.State() != lookup.NotFound {
			t.Errorf("%s: %v", name, got.State())
		}
		if got := d.Authenticate(ctx, a.String(), "sécret 1"); got.State() != lookup.Found {
			t.Errorf("%s: %v %v", name, got.State(), got.Err())
		}
		r, err := d.row(ctx, a.Key())
		if err != nil || !r.ours() || r.lacks(d.kept()) {
			t.Errorf("%s: not ours after a log-in: %v", name, err)
		}
		if got := d.Authenticate(ctx, a.String(), "sécret 1"); got.State() != lookup.Found {
			t.Errorf("%s, again: %v %v", name, got.State(), got.Err())
		}
	}
	if err := d.AddHashed(ctx, addr(t, "bad@example.org"), "kanarienvogel", 0); err == nil || strings.Contains(err.Error(), "kanarien") {
		t.Error(err)
	}
}

func TestAppPasswords(t *testing.T) {
	d := open(t)
	ctx, a := t.Context(), addr(t, "anna@example.org")
	if err := d.AddAccount(ctx, a, "secret", 0); err != nil {
		t.Fatal(err)
	}
	all, err := d.AddAppPassword(ctx, a, "telephone", nil)
	if err != nil {
		t.Fatal(err)
	}
	imap, err := d.AddAppPassword(ctx, a, "laptop", []string{"imap"})
	if err != nil || imap == all || len(all) != appLength+6 {
		t.Fatal(imap, all, err)
	}
	for _, x := range []struct {
		service, login, password string
		want                     lookup.State
	}{
		{"imap", "anna@example.org", all, lookup.Found}, {"smtp", "Anna@EXAMPLE.org", strings.ToUpper(strings.ReplaceAll(all, "-", " ")), lookup.Found},
		{"imap", "anna@example.org", imap, lookup.Found}, {"smtp", "anna@example.org", imap, lookup.NotFound},
		{"imap", "anna@example.org", all[1:] + "a", lookup.NotFound}, {"imap", "bob@example.org", all, lookup.NotFound},
		{"imap", "anna@example.org", "secret", lookup.Found},
	} {
		if got := d.AuthenticateAt(ctx, x.service, x.login, x.password); got.State() != x.want {
			t.Errorf("%s %s: %v", x.service, x.login, got.State())
		}
	}
	list, err := d.AppPasswords(ctx, a)
	if err != nil || len(list) != 2 || list[0].Name != "laptop" || list[0].Used.IsZero() || list[1].Used.IsZero() || len(list[0].Services) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	if shown := fmt.Sprintf("%+v", list); strings.Contains(shown, all) { // MAP-010
		t.Error(shown)
	}
	if _, err := d.AddAppPassword(ctx, a, "laptop", nil); !errors.Is(err, ErrAppExists) {
		t.Error(err)
	}
	if _, err := d.AddAppPassword(ctx, addr(t, "bob@example.org"), "x", nil); err == nil {
		t.Error("an app password of nobody")
	}
	if err := d.RemoveAppPassword(ctx, a, "telephone"); err != nil {
		t.Fatal(err)
	}
	if got := d.AuthenticateAt(ctx, "imap", a.String(), all); got.State() != lookup.NotFound {
		t.Error("it was taken back")
	}
	if err := d.RemoveAppPassword(ctx, a, "telephone"); !errors.Is(err, ErrNoApp) {
		t.Error(err)
	}
	// Whoever gets the address next gets none of them.
	if err := d.RemoveAccount(ctx, a, false); err != nil {
		t.Fatal(err)
	}
	if err := d.AddAccount(ctx, a, "secret", 0); err != nil {
		t.Fatal(err)
	}
	if got := d.AuthenticateAt(ctx, "imap", a.String(), imap); got.State() != lookup.NotFound {
		t.Error("it is that of a predecessor")
	}
}

func TestDisabled(t *testing.T) {
	d := open(t)
	ctx, a := t.Context(), addr(t, "anna@example.org")
	if err := d.AddAccount(ctx, a, "secret", 0); err != nil {
		t.Fatal(err)
	}
	app, err := d.AddAppPassword(ctx, a, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if d.Gone(ctx, a.String()) {
		t.Error("gone before")
	}
	if err := d.SetDisabled(ctx, a, true, false); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"secret", app} {
		if got := d.AuthenticateAt(ctx, "imap", a.String(), p); got.State() != lookup.NotFound {
			t.Error(got.State())
		}
	}
	if !d.Gone(ctx, a.String()) || !d.Gone(ctx, "nobody@example.org") {
		t.Error("still there")
	}
	if got := d.Account(ctx, a); got.State() != lookup.Found || !got.Value().Disabled {
		t.Error("it receives no mail")
	}
	if err := d.SetDisabled(ctx, a, false, false); err != nil || d.Authenticate(ctx, a.String(), "secret").State() != lookup.Found {
		t.Error(err)
	}
	if err := d.SetDisabled(ctx, addr(t, "nobody@example.org"), true, false); !errors.Is(err, ErrNoAccount) {
		t.Error(err)
	}
}

// Row 78: the account that somebody made for a test long ago, with the password that
// everybody tries first.
func TestAudit(t *testing.T) {
	d := open(t)
	ctx := t.Context()
	for name, password := range map[string]string{"guest": "guest", "anna": "long and good", "bob": fmt.Sprintf("Bob%d", time.Now().Year())} {
		if err := d.AddAccount(ctx, addr(t, name+"@example.org"), password, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.AddHashed(ctx, addr(t, "old@example.org"), "{SHA}8UD9IbKwSVQa43L8o9BuL4/fMdA=", 0); err != nil {
		t.Fatal(err)
	}
	if err := d.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE account SET created = 1000000000 WHERE key = 'guest@example.org'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	found := audit(t, d, Auditing{Unused: 90 * 24 * time.Hour, Passwords: true})
	for _, want := range []string{"guest: unused", "guest: tempting", "guest: guessable", "bob: guessable", "old: weak scheme"} {
		if !strings.Contains(found, want+"\n") {
			t.Errorf("%s is not found in\n%s", want, found)
		}
	}
	if strings.Contains(found, "anna") {
		t.Error(found)
	}
}

func audit(t *testing.T, d *Directory, how Auditing) string {
	t.Helper()
	var b strings.Builder
	if err := d.Audit(t.Context(), how, func(r Review) error {
		for _, f := range r.Findings {
			fmt.Fprintf(&b, "%s: %s\n", strings.TrimSuffix(r.Address, "@example.org"), f.Kind)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTry(t *testing.T) {
	d := open(t)
	ctx, a := t.Context(), addr(t, "anna@example.org")
	if err := d.AddAccount(ctx, a, "secret", 0); err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]string{"secret": "ok", "wrong": "wrong"} {
		if got := d.Try(ctx, "imap", "anna@example.org", password); got.Result != want || got.Scheme != "ARGON2ID" || got.Account != "anna@example.org" {
			t.Errorf("%+v", got)
		}
	}
	if got := d.Try(ctx, "imap", "nobody@example.org", "x"); got.Result != "wrong" || got.Why != "there is no such account" {
		t.Errorf("%+v", got)
	}
}
