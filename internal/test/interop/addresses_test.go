package interop

import (
	"errors"
	"fmt"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// Rows 45 to 48, 52 and 57: the same addresses, put to Postfix's smtpd and to our router
// with the same tables, get the same verdict in the same words.
func TestAddressesAsPostfixHasThem(t *testing.T) {
	dir := Room(t)
	tables := map[string]string{
		"virtual":   "sales@alias.test carol@local.test\ninfo carol\n@wild.test @mailbox.test\n",
		"mailboxes": "alice@mailbox.test x\nbob@mailbox.test x\n",
		"relayed":   "known@relay.test x\n",
		"relocated": "gone@mailbox.test gone@new.test\nleft new@far.test\n",
		"locals":    "carol x\n",
	}
	of := func(name string) string { return "texthash:" + filepath.Join(dir, name) }
	var sources []list.Source
	for name, text := range tables {
		WriteFile(t, filepath.Join(dir, name), text)
		sources = append(sources, list.Source{Name: name, From: of(name)})
	}
	p := NewPostfix(t, PostfixSetup{Main: map[string]string{
		"mydestination": "local.test, second.test", "myorigin": "local.test", "recipient_delimiter": "+",
		"virtual_alias_domains": "alias.test, wild.test", "virtual_alias_maps": of("virtual"),
		"virtual_mailbox_domains": "mailbox.test", "virtual_mailbox_maps": of("mailboxes"), "virtual_mailbox_base": dir,
		"relay_domains": "relay.test", "relay_recipient_maps": of("relayed"), "relocated_maps": of("relocated"),
		"local_recipient_maps": of("locals"), "mynetworks": "192.0.2.1/32",
		"smtpd_relay_restrictions": "reject_unauth_destination",
	}})
	p.Start()
	router := sameRouter(t, dir, sources)
	conn, err := textproto.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(line string) string {
		if line != "" {
			if err := conn.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		code, text, err := conn.ReadResponse(0)
		if err != nil && code == 0 {
			t.Fatal(err)
		}
		return fmt.Sprint(code, " ", text)
	}
	say("")
	say("EHLO client.test")
	say("MAIL FROM:<a@far.test>")
	for _, to := range []string{
		"alice@mailbox.test", "Alice+x@MAILBOX.test", "nobody@mailbox.test", "sales@alias.test", "sales+x@alias.test", "nobody@alias.test",
		"alice@wild.test", "carol@local.test", "carol+x@second.test", "nobody@local.test", "info@second.test", "info@mailbox.test",
		"known@relay.test", "known+x@relay.test", "nobody@relay.test", "gone@mailbox.test", "left@second.test", "x@far.test",
		`"x@far.test"@mailbox.test`, `"alice"@mailbox.test`,
	} {
		theirs, ours := say("RCPT TO:<"+to+">"), verdictOf(t, router, to)
		theirs, _, _ = strings.Cut(theirs, "\n")
		quoted := strings.Contains(to, `@far.test"`) // REL-004: refused by both, by Postfix as a relay attempt
		if strings.HasPrefix(theirs, "250") != (ours == "250") || ours != "250" && theirs != ours && !quoted {
			t.Errorf("%s:\nPostfix %s\nours    %s", to, theirs, ours)
		}
	}
}

// sameRouter is our router with the same domains, users and tables.
func sameRouter(t *testing.T, dir string, sources []list.Source) *route.Router {
	t.Helper()
	state, err := db.Open(filepath.Join(t.TempDir(), "facteur.db"), directory.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	d := directory.New(state, nil, dir, 0)
	d.Configure([]directory.Domain{{Name: "local.test", Class: directory.ClassLocal}, {Name: "second.test", Class: directory.ClassLocal},
		{Name: "alias.test", Class: directory.ClassAlias}, {Name: "wild.test", Class: directory.ClassAlias},
		{Name: "mailbox.test"}, {Name: "relay.test", Class: directory.ClassRelay}}, directory.Allowances{})
	for _, name := range []string{"alice@mailbox.test", "bob@mailbox.test", "carol@local.test"} {
		a, _ := address.Parse(name)
		if err := d.AddAccount(t.Context(), a, "secret", 0); err != nil {
			t.Fatal(err)
		}
	}
	set, err := list.Open(sources, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	maps := func(name string) list.Maps { return set.Maps([]string{name}) }
	r := route.New(d, "postfix.test", func() string { return "local.test" })
	rules := &route.Rules{Delimiters: "+", Propagate: true, Virtual: maps("virtual"), RelayRecipients: maps("relayed"), Relocated: maps("relocated"),
		ExpansionLimit: 1000, RecursionLimit: 50, OwnerRequest: true}
	r.Configure(func() *route.Rules { return rules })
	return r
}

// verdictOf is what our desk would answer a stranger.
func verdictOf(t *testing.T, r *route.Router, to string) string {
	t.Helper()
	a, err := address.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	answer := r.Expand(t.Context(), route.Question{Recipient: a})
	var refusal *route.Refusal
	switch {
	case answer.State() == lookup.Found && answer.Value().Ours:
		return "250"
	case answer.State() == lookup.Found:
		return "554 5.7.1 <" + to + ">: Relay access denied"
	case errors.As(answer.Err(), &refusal):
		reply := refusal.Reply(to)
		return fmt.Sprint(reply.Code, " ", reply.Enhanced, " ", reply.Text())
	}
	return answer.Err().Error()
}
