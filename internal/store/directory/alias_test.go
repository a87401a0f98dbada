package directory

import (
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/lookup"
)

func TestAliases(t *testing.T) {
	d, ctx := open(t), t.Context()
	found := func(key string) bool { return d.Alias(ctx, key).State() == lookup.Found }
	if found("sales@example.org") {
		t.Error("an alias of nobody's")
	}
	must(t, d.AddAlias(ctx, Alias{Address: "Sales@EXAMPLE.org", Targets: []string{"a@example.org", "b@example.net", "a@EXAMPLE.org"}, Owner: "c@example.org"}))
	if a := d.Alias(ctx, "sales@example.org").Value(); len(a.Targets) != 2 || a.Owner != "c@example.org" {
		t.Errorf("%+v", a)
	}
	wantErr(t, d.AddAlias(ctx, Alias{Address: "sales@example.org", Targets: []string{"a@example.org"}}), ErrAliasExists)
	wantErr(t, d.AddAlias(ctx, Alias{Address: "x@example.org"}), ErrNoTarget)
	wantErr(t, d.AddAlias(ctx, Alias{Address: "x@far.example", Targets: []string{"a@example.org"}}), ErrNoDomain)
	for _, bad := range []Alias{{Address: "x", Targets: []string{"a@example.org"}}, {Address: "x@example.org", Targets: []string{"|/bin/sh"}},
		{Address: "x@example.org", Targets: []string{"a@example.org"}, Owner: "x y"}, {Address: "@", Targets: []string{"a@example.org"}}} {
		if d.AddAlias(ctx, bad) == nil {
			t.Errorf("%+v was added", bad)
		}
	}
	must(t, d.AddAlias(ctx, Alias{Address: "@example.org", Targets: []string{"a@example.org"}}))
	must(t, d.AddAlias(ctx, Alias{Address: "old@example.org", Targets: []string{"a@example.org"}, Until: time.Now().Add(-time.Minute)}))
	if found("old@example.org") || !found("@example.org") {
		t.Error("a temporary address outlives its time, or a catch-all is not found")
	}
	must(t, d.AddAlias(ctx, Alias{Address: "old@example.org", Targets: []string{"b@example.org"}})) // its name is free again
	if list, err := d.Aliases(ctx); err != nil || len(list) != 3 {
		t.Errorf("%v %v", list, err)
	}
	must(t, d.RemoveAlias(ctx, "SALES@example.org"))
	wantErr(t, d.RemoveAlias(ctx, "sales@example.org"), ErrNoAlias)
	if found("sales@example.org") {
		t.Error("an alias is there after its removal")
	}
	must(t, d.AddDomain(ctx, "later.example"))
	must(t, d.AddAlias(ctx, Alias{Address: "x@later.example", Targets: []string{"a@example.org"}}))
	wantErr(t, d.RemoveDomain(ctx, "later.example"), ErrDomainHasAliases)
	// Those whose time is over are in nobody's way, and go with the next change.
	must(t, d.AddDomain(ctx, "short.example"))
	over := Alias{Address: "x@short.example", Targets: []string{"a@example.org"}, Until: time.Now().Add(-time.Minute)}
	must(t, d.AddAlias(ctx, over))
	must(t, d.RemoveDomain(ctx, "short.example"))
	over.Address = "y@later.example"
	must(t, d.AddAlias(ctx, over))
	must(t, d.AddAlias(ctx, Alias{Address: "z@later.example", Targets: []string{"a@example.org"}}))
	if list, err := d.Aliases(ctx); err != nil || slices.ContainsFunc(list, func(a Alias) bool { return a.Over(time.Now()) }) {
		t.Errorf("%v %v", list, err)
	}
}

// Domains of every class in the database only.
func TestClassesOfDomains(t *testing.T) {
	d, ctx := open(t), t.Context()
	must(t, d.DeclareDomain(ctx, Domain{Name: "Relay.example", Class: ClassRelay}))
	must(t, d.DeclareDomain(ctx, Domain{Name: "twin.example", AliasOf: "EXAMPLE.org", CatchAll: "@Example.net"}))
	if got := d.Domain(ctx, "relay.example").Value(); got != (Domain{Name: "relay.example", Source: FromDatabase, Class: ClassRelay}) {
		t.Errorf("%+v", got)
	}
	if got := d.Domain(ctx, "twin.example").Value(); got.AliasOf != "example.org" || got.CatchAll != "@example.net" || got.Class != ClassMailbox {
		t.Errorf("%+v", got)
	}
	for _, bad := range []Domain{{Name: "x.example", Class: "big"}, {Name: "x.example", AliasOf: "x.example"}, {Name: "x.example", CatchAll: "nobody"},
		{Name: "x.example", Class: ClassRelay, CatchAll: "a@example.org"}} {
		if d.DeclareDomain(ctx, bad) == nil {
			t.Errorf("%+v was declared", bad)
		}
	}
}

// TestSubdomains: a relay domain of the settings may mean those below it, but for what is
// declared for itself.
func TestSubdomains(t *testing.T) {
	t.Parallel()
	d, ctx := open(t), t.Context()
	must(t, d.AddDomain(ctx, "own.relay.example"))
	d.Configure([]Domain{{Name: "relay.example", Class: ClassRelay, Subdomains: true}, {Name: "deep.relay.example", Class: ClassMailbox},
		{Name: "other.example", Class: ClassRelay}}, Allowances{})
	for name, want := range map[string]string{
		"relay.example": "relay.example", "a.RELAY.example": "relay.example", "b.a.relay.example": "relay.example", "own.relay.example": "own.relay.example",
		"deep.relay.example": "deep.relay.example", "x.deep.relay.example": "", "xrelay.example": "", "a.other.example": "", "example": "",
	} {
		for range 2 { // the second answer comes from the cache
			if got := d.Domain(ctx, name); got.Value().Name != want {
				t.Errorf("%s: %+v, want %q", name, got, want)
			}
		}
	}
	if (Domain{Name: "x.example", Subdomains: true}).Check() == nil {
		t.Error("a domain of accounts means its subdomains")
	}
}

// A domain that others lead to stays: whoever has it next would get their mail.
func TestDomainsThatOthersLeadTo(t *testing.T) {
	d, ctx := open(t), t.Context()
	must(t, d.AddDomain(ctx, "gone.example"))
	refused := func(by string) {
		t.Helper()
		err := d.RemoveDomain(ctx, "GONE.example")
		wantErr(t, err, ErrDomainNamed)
		if !strings.HasSuffix(err.Error(), ": "+by) || d.Domain(ctx, "gone.example").State() != lookup.Found {
			t.Errorf("%v, want %s", err, by)
		}
	}
	for _, other := range []Domain{{Name: "twin.example", AliasOf: "gone.example"}, {Name: "twin.example", CatchAll: "x@gone.example"}, {Name: "twin.example", CatchAll: "@gone.example"}} {
		must(t, d.DeclareDomain(ctx, other))
		if other.AliasOf != "" {
			refused("alias_of of domain twin.example")
		} else {
			refused("catch_all of domain twin.example")
		}
		must(t, d.RemoveDomain(ctx, "twin.example"))
	}
	must(t, d.AddAlias(ctx, Alias{Address: "a@example.org", Targets: []string{"b@example.org", "x@gone.example"}}))
	refused("alias a@example.org to x@gone.example")
	must(t, d.RemoveAlias(ctx, "a@example.org"))
	d.Configure([]Domain{{Name: "example.org"}, {Name: "declared.example", AliasOf: "gone.example"}}, Allowances{})
	refused("alias_of of domain declared.example")
	d.Configure([]Domain{{Name: "example.org"}}, Allowances{})
	must(t, d.AddAlias(ctx, Alias{Address: "a@example.org", Targets: []string{"x@far.example"}}))
	wantErr(t, d.RemoveDomain(ctx, "far.example"), ErrNoDomain)
	must(t, d.RemoveDomain(ctx, "gone.example"))
}
