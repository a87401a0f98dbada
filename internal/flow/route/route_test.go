package route

import (
	"context"
	"path/filepath"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
)

func TestResolve(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	state, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	d := directory.New(state, []string{"example.org", "example.net"}, dir, 0)
	for _, a := range []string{"alice@example.org", "postmaster@example.org", "postmaster@example.net"} {
		if err := d.AddHashed(ctx, parse(t, a), "{PLAIN}secret", 0); err != nil {
			t.Fatal(err)
		}
	}
	r := New(d, "mail.example.org", func() string { return "example.org" })
	check := func(to address.Address, want lookup.State, route string) {
		t.Helper()
		a := r.Resolve(ctx, to)
		if got := a.Value().String(); a.State() != want || want == lookup.Found && got != route {
			t.Errorf("%s: %v %s, want %v %s", to, a.State(), got, want, route)
		}
	}
	check(parse(t, "Alice@EXAMPLE.org"), lookup.Found, "mailbox:alice@example.org")
	check(parse(t, "nobody@example.org"), lookup.NotFound, "")
	check(parse(t, "x@example.com"), lookup.Found, "smtp:example.com")
	check(address.Address{Local: "Postmaster"}, lookup.Found, "mailbox:postmaster@example.org")
	check(parse(t, "POSTMASTER@example.net"), lookup.Found, "mailbox:postmaster@example.net")
	// The server's own name.
	check(parse(t, "Alice@Mail.Example.org"), lookup.Found, "mailbox:alice@example.org")
	check(parse(t, "root@mail.example.org"), lookup.Found, "mailbox:postmaster@example.org")
	check(parse(t, "root@example.org"), lookup.NotFound, "")
	check(parse(t, "www-data@mail.example.org"), lookup.NotFound, "")
	check(parse(t, "alice@other.example.org"), lookup.Found, "smtp:other.example.org")
	for domain, want := range map[string]lookup.State{"example.org": lookup.Found, "mail.example.org": lookup.Found, "example.com": lookup.NotFound, "": lookup.NotFound} {
		if got := r.Hosts(ctx, domain).State(); got != want {
			t.Errorf("%q is hosted: %v", domain, got)
		}
	}
	if err := d.AddDomain(ctx, "mail.example.org"); err != nil {
		t.Fatal(err)
	}
	check(parse(t, "alice@mail.example.org"), lookup.NotFound, "")
	check(parse(t, "root@mail.example.org"), lookup.NotFound, "")
	homeless := New(d, "mx.example", func() string { return "mx.example" })
	if a := homeless.Resolve(ctx, parse(t, "root@mx.example")); a.Value().String() != "smtp:mx.example" {
		t.Errorf("a server without domains: %+v", a)
	}
	if err := d.RemoveAccount(ctx, parse(t, "postmaster@example.net"), false); err != nil {
		t.Fatal(err)
	}
	check(parse(t, "postmaster@example.net"), lookup.Found, "mailbox:postmaster@example.org")
	if err := d.RemoveAccount(ctx, parse(t, "postmaster@example.org"), false); err != nil {
		t.Fatal(err)
	}
	check(parse(t, "postmaster@example.net"), lookup.NotFound, "")
	state.Close()
	check(parse(t, "new@example.org"), lookup.TryAgain, "")
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestHopsAreReadBack(t *testing.T) {
	for _, c := range []struct {
		to   Destination
		want Hop
	}{
		{Destination{Kind: Mailbox, Account: directory.Account{Address: "a:b@example.org"}}, Hop{Kind: Mailbox, Name: "a:b@example.org"}},
		{Destination{Kind: Remote, Address: address.Address{Local: "x", Domain: "[IPv6:::1]"}}, Hop{Kind: Remote, Name: "[IPv6:::1]"}},
		{Destination{Kind: Program, Text: `/bin/sh -c "a: b"`, User: "list"}, Hop{Kind: Program, Name: `/bin/sh -c "a: b"`, User: "list"}},
		{Destination{Kind: File, Text: "/var/mail/a:b"}, Hop{Kind: File, Name: "/var/mail/a:b"}},
		{Destination{Kind: Mailbox, Plain: true, Account: directory.Account{Address: "a@example.org"}}, Hop{Kind: Mailbox, Name: "a@example.org", Plain: true}},
		{Destination{Kind: Discard}, Hop{Kind: Discard}},
		{Destination{Kind: Expanded}, Hop{Kind: Expanded}},
	} {
		if hop, err := ParseHop(c.to.String()); err != nil || hop != c.want {
			t.Errorf("%s: %+v %v", c.to, hop, err)
		}
	}
	if _, err := ParseHop("carrier pigeon"); err == nil {
		t.Error("no route was read as one")
	}
}
