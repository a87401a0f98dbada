package directory

import (
	"context"
	"errors"
	"testing"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
)

// people is a source in memory: who receives mail, and who may log in.
type people struct {
	mail, names map[string]Record
	down        bool
}

func (p *people) answer(in map[string]Record, a address.Address) lookup.Answer[Record] {
	r, ok := in[a.Key()]
	switch {
	case p.down:
		return lookup.Later[Record](errors.New("down"))
	case !ok:
		return lookup.No[Record](nil)
	}
	return lookup.Yes(r)
}

func (p *people) Account(_ context.Context, a address.Address) lookup.Answer[Record] {
	return p.answer(p.mail, a)
}

func (p *people) Login(_ context.Context, a address.Address) lookup.Answer[Record] {
	return p.answer(p.names, a)
}

func (p *people) Domain(context.Context, string) lookup.Answer[Domain] { return lookup.No[Domain](nil) }
func (p *people) List(context.Context, func(Record) error) error       { return ErrNoList }
func (p *people) Close() error                                         { return nil }

// App passwords and grants do not outlive an account that is kept elsewhere: whoever gets
// the address next does not inherit them. A source that is down removes nobody.
func TestAbsent(t *testing.T) {
	d := open(t)
	ctx, now := t.Context(), time.Now()
	p := &people{mail: map[string]Record{}, names: map[string]Record{}}
	d.Attach([]Place{{Name: "people", Kind: "LDAP", Source: p, Domains: []string{"example.org"}}})
	const carol = "carol@example.org"
	add := func() { p.mail[carol], p.names[carol] = Record{}, Record{}; d.forget() }
	remove := func() { delete(p.mail, carol); delete(p.names, carol); d.forget() }
	sweep := func(after time.Duration) { must(t, d.sweepAbsent(ctx, now.Add(after))) }
	add()
	app, err := d.AddAppPassword(ctx, addr(t, carol), "telephone", nil)
	must(t, err)
	must(t, d.Grant(ctx, addr(t, carol), "sales@example.org"))
	opens := func(what string, want lookup.State) {
		t.Helper()
		if got := d.AuthenticateAt(ctx, "imap", carol, app); got.State() != want {
			t.Errorf("%s: %v", what, got.State())
		}
	}
	sweep(0)
	opens("there", lookup.Found)

	p.down = true
	d.forget()
	sweep(0)
	sweep(10 * absentLife)
	p.down = false
	d.forget()
	opens("MAP-004 down for long", lookup.Found)

	remove()
	sweep(0)
	sweep(absentLife / 2)
	opens("not there", lookup.NotFound)
	add()
	sweep(absentLife / 2)
	remove()
	sweep(absentLife)
	sweep(absentLife + time.Hour)
	add()
	opens("back after a weekend, twice", lookup.Found)

	remove()
	sweep(2*absentLife + time.Hour)
	add()
	opens("somebody else has the address", lookup.NotFound)
	if list, err := d.AppPasswords(ctx, addr(t, carol)); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if list, err := d.Grants(ctx, addr(t, carol)); err != nil || len(list) != 0 {
		t.Error(list, err)
	}

	// An account of ours at that address is somebody else's, too.
	app, err = d.AddAppPassword(ctx, addr(t, carol), "telephone", nil)
	must(t, err)
	must(t, d.AddAccount(ctx, addr(t, carol), "secret", 0))
	opens("an account of ours", lookup.NotFound)
}

// Who may not log in any more, though his mail is taken, is sent out; under whatever name
// he came.
func TestLockedOut(t *testing.T) {
	d := open(t)
	ctx := t.Context()
	carol := Record{Address: addr(t, "carol@example.org"), Password: "{PLAIN}secret"}
	p := &people{mail: map[string]Record{"carol@example.org": carol}, names: map[string]Record{"cc@example.org": carol}}
	d.Attach([]Place{{Name: "people", Kind: "SQL", Source: p, Domains: []string{"example.org"}, DefaultDomain: "example.org"}})
	if d.Gone(ctx, "carol@example.org") {
		t.Error("gone before anybody came")
	}
	if got := d.Authenticate(ctx, "cc", "secret"); got.State() != lookup.Found {
		t.Fatal(got.State(), got.Err())
	}
	if d.Gone(ctx, "carol@example.org") {
		t.Error("gone, though she can log in")
	}
	for what, change := range map[string]func(){
		"not found": func() { delete(p.names, "cc@example.org") },
		"disabled":  func() { off := carol; off.Disabled = true; p.names["cc@example.org"] = off },
	} {
		p.names["cc@example.org"] = carol
		change()
		p.down = true
		d.forget()
		if d.Gone(ctx, "carol@example.org") {
			t.Errorf("%s, MAP-004: gone while nobody knows", what)
		}
		p.down = false
		if !d.Gone(ctx, "carol@example.org") || !d.Gone(ctx, "carol@example.org") {
			t.Errorf("%s: still there", what)
		}
	}
}
