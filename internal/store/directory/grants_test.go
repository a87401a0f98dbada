package directory

import (
	"context"
	"errors"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

func TestGrants(t *testing.T) {
	d := open(t)
	ctx := context.Background()
	alice, bob := mailbox(t, "alice@example.org"), mailbox(t, "bob@example.org")
	check := func(a address.Address, as string, want bool) {
		t.Helper()
		if got := d.Granted(ctx, a, mailbox(t, as)); got.State() != lookup.Found || got.Value() != want {
			t.Errorf("%s as %s: %v %v, want %v", a, as, got.State(), got.Value(), want)
		}
	}
	check(alice, "sales@example.org", false)
	must(t, d.Grant(ctx, alice, "Sales@EXAMPLE.org"))
	must(t, d.Grant(ctx, alice, "@shop.example"))
	check(alice, "sales@example.org", true)
	check(alice, "SALES+spring@example.org", true)
	check(alice, "anybody@shop.example", true)
	check(alice, "anybody@sub.shop.example", false)
	check(bob, "sales@example.org", false)
	for what, x := range map[string]struct{ got, want error }{
		"twice":        {d.Grant(ctx, alice, "sales@example.org"), ErrGrantExists},
		"nobody":       {d.Grant(ctx, mailbox(t, "nobody@example.org"), "sales@example.org"), ErrNoAccount},
		"none to take": {d.Revoke(ctx, bob, "sales@example.org"), ErrNoGrant},
		"no address":   {d.Grant(ctx, alice, "sales"), address.ErrNoDomain},
		"no domain":    {d.Grant(ctx, alice, "@"), address.ErrNoDomain},
	} {
		if !errors.Is(x.got, x.want) {
			t.Errorf("%s: %v, want %v", what, x.got, x.want)
		}
	}
	if list, err := d.Grants(ctx, address.Address{}); err != nil || len(list) != 2 || list[0] != (Grant{"alice@example.org", "@shop.example"}) {
		t.Errorf("%v %v", list, err)
	}
	must(t, d.Revoke(ctx, alice, "@shop.example"))
	check(alice, "anybody@shop.example", false)
	// A new account of an old name does not inherit.
	must(t, d.RemoveAccount(ctx, alice, false))
	must(t, d.AddAccount(ctx, alice, "secret", 0))
	check(alice, "sales@example.org", false)
	d.db.Close()
	if a := d.Granted(ctx, alice, bob); a.State() != lookup.TryAgain {
		t.Errorf("INV-08: %v", a.State())
	}
}
