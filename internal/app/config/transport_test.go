package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/list"
)

// written puts a settings file and others beside it on the disk, and reads it.
func written(t *testing.T, text string, files map[string]string) (*Config, string, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "facteur.toml")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(head+strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(path, []byte(head+strings.ReplaceAll(text, "DIR", dir)))
	return c, dir, err
}

// mistakesIn are those of a file, without its directory.
func mistakesIn(t *testing.T, text string, files map[string]string) string {
	t.Helper()
	c, dir, err := written(t, text, files)
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir+"/", "")
	}
	k := checker{c: c}
	k.outbound()
	k.transports()
	var lines []string
	for _, err := range k.errs {
		lines = append(lines, strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	return strings.Join(lines, "\n")
}

// choose is the way of a recipient, in short.
func choice(t *testing.T, c *Config, sender, to string) transport.Choice {
	t.Helper()
	ways, err := c.Ways()
	if err != nil {
		t.Fatal(err)
	}
	m := transport.Mail{ID: 1}
	if m.Recipient, err = address.Parse(to); err != nil {
		t.Fatal(err)
	}
	m.Domain = m.Recipient.Domain
	if sender != "" {
		m.Sender, _ = address.Parse(sender)
	}
	return ways.Choose(m)
}

// TestPostfixFiles: the files of the how-to are read where they are, as they are.
func TestPostfixFiles(t *testing.T) {
	c, dir, err := written(t, `
[outbound]
transport_maps = "hash:DIR/transport"
sender_transport_maps = ["hash:DIR/sender_transport"]
sender_relay_maps = "hash:sender_relay"
password_maps = "hash:DIR/sasl_passwd"
destination_concurrency = 7
`, map[string]string{
		"transport": "# pace\norange.fr slow:\nwanadoo.fr\tslow:\n  \nvoila.fr slow:\nlaposte.net slow:\n" +
			"outlook.com    smtp:[gw.example.com]\nuser@x.example\n   error:5.1.1 text\n* relay:[smart.example]:587\n",
		"sender_transport": "@slow.example slow:\n",
		"sender_relay":     "news@example.org [in-v3.mailjet.com]:587\nplain@example.org DUNNO\n",
		"sasl_passwd":      "[in-v3.mailjet.com]:587 key:secret:with:colons\n[smart.example]:587 me:pw\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Check() {
		t.Error(err)
	}
	if got := choice(t, c, "", "a@orange.fr"); got.Transport.Name != "slow" || got.NextHop != "orange.fr" || got.Why != dir+"/transport:2" || got.Transport.Pace.Concurrency != 1 {
		t.Errorf("%+v", got)
	}
	if got := choice(t, c, "", "a@outlook.com"); got.Transport.Name != "smtp" || got.Relays[0].Host != "gw.example.com" || got.Transport.Pace.Concurrency != 7 {
		t.Errorf("%+v", got)
	}
	if got := choice(t, c, "", "user@x.example"); got.Text != "550 5.1.1 text" || got.Why != dir+"/transport:8" {
		t.Errorf("%+v", got)
	}
	got := choice(t, c, "news@example.org", "a@elsewhere.example")
	if got.Relays[0].Host != "smart.example" || got.Relays[0].User != "me" || got.Relays[0].Password.Reveal() != "pw" {
		t.Errorf("the file for recipients overrules the one for senders, as with Postfix: %+v", got)
	}
}

// TestPasswordBesideRelay: row 79, a [[relay]] table without a log-in leaves the one of the file.
func TestPasswordBesideRelay(t *testing.T) {
	for _, key := range []string{"[smart.example]:587", "smart.example"} {
		c, _, err := written(t, `
[outbound]
smarthost = "smart.example:587"
password_maps = "hash:DIR/sasl_passwd"
[[relay]]
host = "smart.example:587"
tls = "encrypt"
`, map[string]string{"sasl_passwd": key + " me:pw\n"})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Check() {
			t.Error(err)
		}
		got := choice(t, c, "", "a@elsewhere.example").Relays
		if len(got) != 1 || got[0].Port != 587 || got[0].User != "me" || got[0].Password.Reveal() != "pw" || !got[0].Encrypt {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

func TestSenderRelays(t *testing.T) {
	c, _, err := written(t, `
[outbound]
smarthost = "smtp.isp.example:587"
sender_relay_maps = "hash:sender_relay"
[[relay]]
host = "smtp.isp.example:587"
user = "me"
password_file = "isp.secret"
`, map[string]string{"isp.secret": "geheim\n", "sender_relay": "news@example.org [in-v3.mailjet.com]:587\nplain@example.org DUNNO\n"})
	if err != nil {
		t.Fatal(err)
	}
	for sender, want := range map[string]string{"news@example.org": "in-v3.mailjet.com:587 ", "plain@example.org": "smtp.isp.example:587 me", "x@example.org": "smtp.isp.example:587 me"} {
		r := choice(t, c, sender, "a@far.example").Relays[0]
		if got := fmt.Sprintf("%s:%d %s", r.Host, r.Port, r.User); got != want {
			t.Errorf("%s: %s, want %s", sender, got, want)
		}
	}
	if r := choice(t, c, "x@example.org", "a@far.example").Relays[0]; r.Password.Reveal() != "geheim" {
		t.Error("the password in the file is not used")
	}
}

// TestPastTheSmarthost: as with Postfix, a transport without a next hop means the MX hosts
// of the recipient's domain; for a sender it leaves the smarthost.
func TestPastTheSmarthost(t *testing.T) {
	for _, more := range []string{"", "[[transport]]\nname = 'smtp'\nhelo = 'x.example.org'\n"} {
		c, _, err := written(t, "[outbound]\nsmarthost = 'smtp.isp.example:587'\ntransport_maps = 'hash:transport'\n"+more+
			"[[transport_map]]\nsender = '@example.org'\nto = 'smtp:'", map[string]string{"transport": "direct.example smtp:\nusual.example :\nslow.example slow:\n"})
		if err != nil {
			t.Fatal(err)
		}
		for domain, relays := range map[string]int{"direct.example": 0, "slow.example": 0, "usual.example": 1, "other.example": 1} {
			if got := choice(t, c, "x@example.org", "a@"+domain); len(got.Relays) != relays || got.NextHop != domain {
				t.Errorf("%s: %+v", domain, got)
			}
		}
	}
}

// TestReloadReadsFilesAgain: what the files say when the ways are made, counts.
func TestReloadReadsFilesAgain(t *testing.T) {
	c, dir, err := written(t, "[outbound]\ntransport_maps = 'hash:transport'", map[string]string{"transport": "a.example slow:\n"})
	if err != nil {
		t.Fatal(err)
	}
	if got := choice(t, c, "", "x@a.example").Transport.Name; got != "slow" {
		t.Fatal(got)
	}
	if err := os.WriteFile(filepath.Join(dir, "transport"), []byte("a.example relay:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := choice(t, c, "", "x@a.example").Transport.Name; got != "relay" {
		t.Fatal(got)
	}
}

func TestMistakesInTransports(t *testing.T) {
	for _, x := range []struct{ name, in, want string }{
		{"unknown transport", "[[transport_map]]\nrecipient = 'a.example'\nto = 'slwo:'", `facteur.toml:2:3: transport_map[0]: there is no transport "slwo"; did you mean "slow"?`},
		{"no key", "[[transport_map]]\nto = 'slow:'", `facteur.toml:2:3: transport_map[0]: expected a recipient, a sender or an mx that it is for`},
		{"unknown transport in a file", "[outbound]\ntransport_maps = 'hash:bad'", "bad:2: there is no transport \"slwo\"; did you mean \"slow\"?\nbad:3: \"gw.example\" names no transport; expected \"transport:nexthop\", such as \"smtp:gw.example\""},
		{"no file", "[outbound]\ntransport_maps = 'hash:none'", `facteur.toml:3:18: outbound.transport_maps[0]: stat none: no such file or directory`},
		{"passwords in a database", "[outbound]\npassword_maps = 'ldap:/etc/ldap.cf'", `facteur.toml:3:17: outbound.password_maps[0]: "ldap:/etc/ldap.cf" is no file of lines; expected one such as "hash:/etc/postfix/sasl_passwd", whose text is read; other tables can't stand here`},
		{"a kind that is none", "[outbound]\nsender_relay_maps = ['static:DUNNO', 'nosql:x']", `facteur.toml:3:38: outbound.sender_relay_maps[1]: "nosql" is no kind of list; expected file, hash, btree, lmdb, dbm, cdb, texthash, aliases, regexp, pcre, cidr, static, inline, unix, unionmap, pipemap, sqlite, mysql, postgres (pgsql), ldap, ldaps, ldapi, tcp or socketmap`},
		{"a file beside a table that is asked", "[outbound]\ntransport_maps = ['static:slow:', 'hash:bad']", `bad:2: there is no transport "slwo"; did you mean "slow"?` + "\n" + `bad:3: "gw.example" names no transport; expected "transport:nexthop", such as "smtp:gw.example"`},
		{"relay without a port", "[[transport]]\nname = 'x'\nrelays = 'gw.example'", `facteur.toml:4:10: transport[0].relays[0]: the port of gw.example is missing; expected 25 for mail servers, 587 or 465 where one logs in: "gw.example:25"`},
		{"relay table without a port", "[[relay]]\nhost = 'gw.example'", `facteur.toml:3:8: relay[0].host: the port of gw.example is missing; expected 25 for mail servers, 587 or 465 where one logs in: "gw.example:587"`},
		{"negative weight", "[[relay]]\nhost = 'gw.example:25'\nweight = -1", `facteur.toml:4:10: relay[0].weight: expected 0 to 10000, found -1`},
		{"a password in clear", "[[relay]]\nhost = 'gw.example:25'\nuser = 'me'\npassword = 'x'\ntls = 'may'", `facteur.toml:6:7: relay[0].tls: the password would go out in clear; expected "verify" or "encrypt"`},
		{"no password", "[[relay]]\nhost = 'gw.example:25'\nuser = 'me'", `facteur.toml:2:3: relay[0].password: is missing; expected the password of "me", or a password_file`},
		{"nobody's password", "[[relay]]\nhost = 'gw.example:25'\npassword = 'x'", `facteur.toml:2:3: relay[0].user: is missing; the password is nobody's`},
		{"two transports of a name", "[[transport]]\nname = 'x'\n[[transport]]\nname = 'x'", `facteur.toml:5:8: transport[1].name: two of them are called "x"`},
		{"no name", "[[transport]]\nkind = 'smtp'", `facteur.toml:2:3: transport[0].name: expected a name of letters, digits, "-" and "_", such as "slow", found ""`},
		{"no program", "[[transport]]\nname = 'x'\nkind = 'pipe'\ncommand = ['maildrop']", `facteur.toml:5:1: transport[0].command: expected a program by its absolute path, and its arguments: ["/usr/bin/maildrop", "-d", "${recipient}"]`},
		{"a program for nothing", "[[transport]]\nname = 'x'\ncommand = ['/bin/cat']", `facteur.toml:4:1: transport[0].command: means nothing to a transport of the kind "smtp"`},
		{"no refusal", "[[transport]]\nname = 'x'\nkind = 'error'\ntext = '250 2.0.0 fine'", `facteur.toml:5:8: transport[0].text: expected a refusal (4.y.z or 5.y.z), found "250 2.0.0 fine"`},
		{"diverted to nobody", "[[transport]]\nname = 'smtp'\ndivert = 'warmpu'\ndivert_percent = 30\n[[transport]]\nname = 'warmup'", `facteur.toml:4:10: transport[0].divert: there is no transport "warmpu"; did you mean "warmup"?`},
		{"diverted into nothing", "[[transport]]\nname = 'x'\ndivert = 'discard'\ndivert_percent = 30", `facteur.toml:4:10: transport[0].divert: expected a transport that leads to other machines; "discard" is of the kind "discard"`},
		{"mailboxes diverted", "[[transport]]\nname = 'local'\nkind = 'mailbox'\ndivert = 'slow'\ndivert_percent = 30", `facteur.toml:5:10: transport[0].divert: means nothing to a transport of the kind "mailbox"`},
		{"diverted twice", "[[transport]]\nname = 'x'\ndivert = 'y'\ndivert_percent = 30\n[[transport]]\nname = 'y'\ndivert = 'slow'\ndivert_percent = 30", `facteur.toml:4:10: transport[0].divert: "y" diverts mail itself, to "slow"; expected one that does not`},
		{"no way", "[[transport_map]]\nrecipient = 'a.example'", `facteur.toml:2:3: transport_map[0]: to is missing; expected "transport:nexthop", such as "slow:" or "smtp:[gw.example.com]", or ":" for the usual way`},
		{"mail hosts of a mailbox", "[[transport_map]]\nmx = 'a.example'\nto = 'local:'", `facteur.toml:2:3: transport_map[0]: what goes to mail hosts elsewhere has no mailbox here`},
		{"two smarthosts", "[outbound]\nsmarthost = 'a.example:25'\n[[transport]]\nname = 'smtp'\nrelays = 'b.example:25'", `facteur.toml:6:10: transport[0].relays: outbound.smarthost says where this mail goes; expected one of the two`},
		{"two tables about a relay", "[[relay]]\nhost = 'gw.example:25'\n[[relay]]\nhost = 'gw.example:25'\nweight = 3", `facteur.toml:5:8: relay[1].host: two of them are about "gw.example:25"`},
		{"0 for any number of failures", "[[transport]]\nname = 'slow'\ndestination_concurrency_failed_cohort_limit = 0", `facteur.toml:4:47: transport[0].destination_concurrency_failed_cohort_limit: expected a count, or -1 for any number of failures, for which Postfix writes 0`},
		{"0 connections", "[[transport]]\nname = 'slow'\ndestination_concurrency_limit = 0", `facteur.toml:4:33: transport[0].destination_concurrency_limit: expected 1 to 10000, or nothing for what [outbound] says, found 0, which is not "unlimited" here`},
		{"diverted wholly", "[[transport]]\nname = 'x'\ndivert = 'slow'\ndivert_percent = 100", `facteur.toml:5:18: transport[0].divert_percent: expected 1 to 99, found 100`},
		{"unlimited concurrency", "[outbound]\ndestination_concurrency = 0", `facteur.toml:3:27: outbound.destination_concurrency: expected at least 1, found 0`},
		{"Postfix's name for it", "[outbound]\nslow_destination_rate_delay = '1s'", `facteur.toml:3:1: unknown key "outbound.slow_destination_rate_delay"; it is destination_rate_delay in a [[transport]] with name = "slow" here`},
		{"preset without hosts", "[[preset]]\nname = 'x'", `facteur.toml:2:3: preset[0].mx: is missing; expected mail hosts such as "*.orange.fr"`},
		{"bad line in passwords", "[outbound]\npassword_maps = 'hash:bad'", `bad:2: expected "user:password" behind the host` + "\n" + `bad:3: expected "user:password" behind the host`},
		{"a transport for a sender", "[outbound]\nsender_relay_maps = ['hash:ways', 'hash:wrong']", `ways:1: "slow:" names the transport "slow", and a relay alone stands here, "[relay]:port"; the transport of a sender belongs in outbound.sender_transport_maps` + "\n" +
			`ways:2: "smtp:[gw.example]:587" names the transport "smtp", and a relay alone stands here, "[relay]:port"; the transport of a sender belongs in outbound.sender_transport_maps` + "\n" +
			`wrong:1: "" is no port; expected a number from 1 to 65535`},
		{"passwords by sender", "[outbound]\npassword_maps = 'hash:senders'", `senders:1: "a@example.org" is a sender; a password belongs to a relay here, "[host]:port user:password"`},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got := mistakesIn(t, x.in, map[string]string{"bad": "# c\na.example slwo:\nb.example gw.example\n", "senders": "a@example.org me:pw\n",
				"ways": "a@example.org slow:\nb@example.org smtp:[gw.example]:587\nc@example.org relay:25\n", "wrong": "a@example.org gw.example:\n"}); got != x.want {
				t.Errorf("got  %s\nwant %s", got, x.want)
			}
		})
	}
}

// TestTablesThatAreAsked: files of lines are read with the settings; as soon as one of
// the tables is none, all are asked, in their order.
func TestTablesThatAreAsked(t *testing.T) {
	for _, x := range []struct {
		in   string
		asks bool
		why  string // for a@x.example, without the place of a file
	}{
		{"transport_maps = 'hash:ways'", false, "ways:1"},
		{"transport_maps = ['proxy:hash:ways', 'ways']", false, "ways:1"},
		{"transport_maps = ['inline:{x.example=hold:first}', 'hash:ways']", true, "inline:{x.example=hold:first}: x.example"},
		{"transport_maps = ['hash:ways', 'inline:{x.example=hold:second}']", true, "hash:ways: x.example"},
		{"transport_maps = ['ways', 'mine']\n[[list]]\nname = 'mine'\nentries = ['x.example hold:second']", true, "ways: x.example"},
		{"sender_relay_maps = 'hash:relays'", false, "relays:1"},
		{"sender_relay_maps = ['hash:relays', 'inline:{@s.example=DUNNO}']", true, "hash:relays: @s.example"},
		{"sender_transport_maps = 'static:slow:'\nsender_relay_maps = 'hash:relays'", true, "static:slow:: a@s.example"},
	} {
		c, _, err := written(t, "[outbound]\n"+x.in+"\n", map[string]string{"ways": "x.example slow:\n", "relays": "@s.example [r.example]\n"})
		if err != nil {
			t.Errorf("%s: %v", x.in, err)
			continue
		}
		ways, err := c.Ways()
		if err != nil {
			t.Fatal(err)
		}
		lists, err := list.Open(c.WaySources(), event.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer lists.Close()
		m := transport.Mail{Domain: "x.example", Sender: address.Address{Local: "a", Domain: "s.example"}, Recipient: address.Address{Local: "a", Domain: "x.example"}}
		tables := c.Tables(ways, lists)
		m.Found = tables.Ask(t.Context(), m)
		if got := ways.Choose(m); (tables != nil) != x.asks || filepath.Base(got.Why) != x.why {
			t.Errorf("%s: asks %v, %q", x.in, tables != nil, got.Why)
		}
	}
}

// TestINV21RelayPasswordsAreHidden: "facteur config show" is what people send to each
// other when something does not work.
func TestINV21RelayPasswordsAreHidden(t *testing.T) {
	c, _, err := written(t, "[[relay]]\nhost = 'gw.example:587'\nuser = 'me'\npassword = 'geheim'", nil)
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	for _, write := range []func() error{func() error { return c.WriteShow(&shown) }, func() error { return c.WriteDiff(&shown) }} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintf(&shown, "%v %+v %#v", c.Relays, *c, c.Relays)
	if s := shown.String(); strings.Contains(s, "geheim") || !strings.Contains(s, `password = "(hidden)"`) {
		t.Error(s)
	}
	if mistakes := mistakesIn(t, "[[relay]]\nhost = 'gw.example:587'\nuser = 'me'\npassword = 'geheim'\nweight = -1\n", nil); strings.Contains(mistakes, "geheim") {
		t.Error(mistakes)
	}
}

// TestMAP011PasswordsForEverybody: neither the file with a password, nor settings that
// hold one, may be readable by all.
func TestMAP011PasswordsForEverybody(t *testing.T) {
	for _, x := range []struct{ in, file, want string }{
		{"[[relay]]\nhost='a.example:587'\nuser='me'\npassword_file='open'", "open", "relay[0].password_file: open is open to others (mode 0644); chmod 600 it"},
		{"[outbound]\npassword_maps='hash:open'", "open", "outbound.password_maps[0]: open is open to others (mode 0644); chmod 600 it"},
		{"[[relay]]\nhost='a.example:587'\nuser='me'\npassword='x'", "facteur.toml", "facteur.toml is open to others (mode 0644); chmod 600 it, as it holds a password; or use password_file"},
	} {
		c, dir, err := written(t, x.in, map[string]string{"open": "a.example u:p\n"})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, x.file), 0o644); err != nil {
			t.Fatal(err)
		}
		k := checker{c: c}
		k.outbound()
		k.transports()
		if len(k.errs) != 1 || !strings.HasSuffix(strings.ReplaceAll(k.errs[0].Error(), dir+"/", ""), x.want) {
			t.Errorf("%v, want %s", k.errs, x.want)
		}
	}
}

// TestIdleRelays: a password for another port is told.
func TestIdleRelays(t *testing.T) {
	c, _, err := written(t, "[outbound]\nsmarthost = 'gw.example:587'\n[[relay]]\nhost = 'gw.example:465'\nuser = 'me'\npassword = 'geheim'\n[[relay]]\nhost = 'gw.example:587'\nweight = 1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "relay gw.example port 465: nothing sends mail there") || strings.Contains(w[0], "geheim") {
		t.Errorf("%q", w)
	}
}

// TestForgottenBrackets: a password for the name of a domain whose MX hosts are asked is not
// used, and the admin hears how it would be.
func TestForgottenBrackets(t *testing.T) {
	for name, x := range map[string]struct{ relays, passwords, want string }{
		"as Postfix takes it":   {"@a.example smtp.isp.example:587\n", "smtp.isp.example:587 me:geheim\n", `"smtp.isp.example:587" stands without brackets and means the mail hosts (MX) of that domain, so that the password for smtp.isp.example is not used; write "[smtp.isp.example]:587" for the host itself`},
		"the password is right": {"@a.example smtp.isp.example:587\n", "[smtp.isp.example]:587 me:geheim\n", `write "[smtp.isp.example]:587"`},
		"without a port":        {"@a.example Smtp.Isp.example\n", "[smtp.isp.example]:465 me:geheim\n", `"smtp.isp.example" stands without brackets and means the mail hosts (MX) of that domain, so that the password for smtp.isp.example is not used; write "[smtp.isp.example]:465"`},
		"without any port":      {"@a.example smtp.isp.example\n", "smtp.isp.example me:geheim\n", `write "[smtp.isp.example]:587"`},
		"with brackets":         {"@a.example [smtp.isp.example]:587\n", "smtp.isp.example:587 me:geheim\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, dir, err := written(t, "[outbound]\nsender_relay_maps = 'hash:relays'\npassword_maps = 'hash:passwords'\n", map[string]string{"relays": x.relays, "passwords": x.passwords})
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range c.Check() {
				t.Error(err)
			}
			w := c.Warnings()
			if x.want == "" && len(w) == 0 {
				return
			}
			if len(w) != 1 || x.want == "" || !strings.HasPrefix(w[0], dir+"/relays:1: ") || !strings.Contains(w[0], x.want) || strings.Contains(w[0], "geheim") {
				t.Errorf("%q, want %q", w, x.want)
			}
		})
	}
	c, _, err := written(t, "[[relay]]\nhost = 'gw.example:587'\nuser = 'me'\npassword = 'geheim'\n[[transport_map]]\nrecipient = 'b.example'\nto = 'smtp:gw.example:587'\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], `facteur.toml:6: the next hop "gw.example:587" stands without brackets`) {
		t.Errorf("%q", w)
	}
}

// TestPresets: the touchy providers of the texts are slow without a word in the file;
// a [[transport]] changes one, "preset = []" takes all away.
func TestPresets(t *testing.T) {
	named := func(text, mx string) *transport.Transport {
		c, _, err := written(t, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Check() {
			t.Error(err)
		}
		ways, err := c.Ways()
		if err != nil {
			t.Fatal(err)
		}
		return ways.ForMX(choice(t, c, "", "a@d.example"), []string{mx}).Transport
	}
	for mx, want := range map[string]string{
		"smtp-in.orange.fr": "orange", "smtpz4.laposte.net": "laposte", "mx1.free.fr": "free", "smtp-in.sfr.fr": "sfr", "mx.bbox.fr": "bouygues",
		"mta7.am0.yahoodns.net": "yahoo", "mx-aol.mail.gm0.yahoodns.net": "yahoo", "hotmail-com.olc.protection.outlook.com": "microsoft",
		"gmail-smtp-in.l.google.com": "gmail", "mx01.mail.icloud.com": "icloud", "mx.elsewhere.example": "smtp",
	} {
		if got := named("", mx); got.Name != want || want != "smtp" && (got.LogName != "" || got.Pace.Concurrency > 5 || got.Pace.Recipients != 25) {
			t.Errorf("%s: %+v, want %s", mx, got, want)
		}
	}
	if got := named("[[transport]]\nname = 'orange'\ndestination_rate_delay = '1s'", "smtp-in.orange.fr"); got.Name != "orange" || got.Pace.RateDelay.String() != "1s" || got.Pace.Concurrency != 2 || got.LogName != "" {
		t.Errorf("%+v", got)
	}
	if got := named("[outbound]\nsmarthost = 'gw.example:25'", "smtp-in.orange.fr"); got.Name != "smtp" {
		t.Errorf("a preset took mail from the smarthost: %+v", got)
	}
	c, err := Parse("f", []byte("preset = []\n"+head))
	if err != nil || len(c.Presets) != 0 {
		t.Error(err, c.Presets)
	}
}

// TestExamplesOfOutgoing: what docs/OUTGOING.md shows can be written into a file.
func TestExamplesOfOutgoing(t *testing.T) {
	page, err := os.ReadFile("../../../docs/OUTGOING.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(toml|transport)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 8 {
		t.Fatalf("%d examples", len(blocks))
	}
	files := map[string]string{"isp.secret": "x\n", "sasl_passwd": "[smtp.isp.example]:587 me:x\n", "sender_relay": "@a.example [gw.example]:587\n", "transport": ""}
	for _, b := range blocks {
		text := strings.NewReplacer("/etc/facteur/", "DIR/", "/etc/postfix/", "DIR/").Replace(b[2])
		if b[1] == "transport" {
			files["transport"], text = b[2], "[outbound]\ntransport_maps = 'hash:transport'\n[[transport]]\nname = 'warmup'\n"
		}
		if e := mistakesIn(t, text, files); e != "" {
			t.Errorf("%s\n%s", e, b[2])
		}
	}
}

func TestTLSOfATransport(t *testing.T) {
	c, _, err := written(t, "[[transport]]\nname='careful'\ntls_security_level='encrypt'\n[[transport_map]]\nrecipient='bank.example'\nto='careful:'\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := choice(t, c, "", "x@bank.example").Transport.TLS; got != tlspolicy.Encrypt {
		t.Errorf("level %s", got)
	}
	for level, want := range map[string]string{
		"fingerprint": "write a [[tls_policy]] for it", "dane-only": "needs dns.trust_ad", "strict": "expected",
	} {
		if got := mistakesIn(t, "[[transport]]\nname='careful'\ntls_security_level='"+level+"'\n", nil); !strings.Contains(got, want) {
			t.Errorf("%s: %q", level, got)
		}
	}
	if got := mistakesIn(t, "[[transport]]\nname='p'\nkind='discard'\ntls_security_level='may'\n", nil); !strings.Contains(got, "means nothing") {
		t.Errorf("%q", got)
	}
}

// TestProgramWarnings: check tells of a program or user that is not there; the settings hold.
func TestProgramWarnings(t *testing.T) {
	c, _, err := written(t, `
[[transport]]
name = "gone"
kind = "pipe"
command = ["/nonexistent/archive"]
[[transport]]
name = "whose"
kind = "pipe"
command = ["/bin/sh"]
user = "nobody-of-this-name"
[[transport]]
name = "good"
kind = "pipe"
command = ["/bin/sh"]
[[transport]]
name = "grouped"
kind = "pipe"
command = ["/bin/sh"]
user = "nobody:nogroup"
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := strings.Join(c.Warnings(), "\n")
	if strings.Count(w, "\n") != 1 || !strings.Contains(w, "transport gone: its program can't be run") || !strings.Contains(w, `transport whose: there is no user "nobody-of-this-name"`) {
		t.Error(w)
	}
}

// Maps of transports know an extension by addresses.recipient_delimiter.
func TestWaysKnowTheDelimiter(t *testing.T) {
	c, err := Parse(filepath.Join(t.TempDir(), "facteur.toml"), []byte("hostname = 'mx.example.org'\n[addresses]\nrecipient_delimiter = '-'\n"+
		"[[domain]]\nname = 'example.org'\n[[transport_map]]\nrecipient = 'user@x.example'\nto = 'hold:'"))
	if err != nil {
		t.Fatal(err)
	}
	for local, want := range map[string]string{"user-a": "hold", "user+a": "smtp"} {
		if got := choice(t, c, "", local+"@x.example").Transport.Name; got != want {
			t.Errorf("%s: %s, want %s", local, got, want)
		}
	}
}

// TestWayWarnings: check tells of what is allowed and leads nowhere: an entry that another
// one hides, a relay that is this server, an address that this machine does not have.
func TestWayWarnings(t *testing.T) {
	c, _, err := written(t, `
[[listen]]
service = "smtp"
address = ":2525"
[outbound]
smarthost = ["mx.elsewhere.example:25", "Mail.Example.org:25", "localhost:2525", "127.0.0.1:2526", "[2001:db8::1]:2525"]
bind_address = ["192.0.2.99", "::1"]
[[transport]]
name = "round"
relays = ["127.0.0.1:2525"]
bind_address = ["127.0.0.1"]
[[transport]]
name = "store"
kind = "lmtp"
relays = ["127.0.0.1:2525"]
[[transport_map]]
recipient = ["a.example", "b.example"]
sender = "alice@example.org"
to = "slow:"
[[transport_map]]
recipient = "a.example"
to = "round:"
[[transport_map]]
recipient = ["b.example", "A.example"]
to = "slow:"
[[transport_map]]
sender = "@news.example"
to = "round:"
[[transport_map]]
sender = "@news.example"
to = "slow:"
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Warnings()
	want := []string{
		`facteur.toml:24: the entry for "a.example" never counts: `, `the entry for "@news.example" never counts: `,
		"outbound.smarthost[1]: Mail.Example.org:25 is this server itself", "outbound.smarthost[2]: localhost:2525 is",
		"transport[0].relays[0]: 127.0.0.1:2525 is", "outbound.bind_address[0]: this machine has no address 192.0.2.99",
	}
	if len(got) != len(want) {
		t.Fatalf("%d warnings:\n%s", len(got), strings.Join(got, "\n"))
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("%q, want %q", got[i], w)
		}
	}
}

// TestNoticeReaders: each address that a class of [notices] goes to, once.
func TestNoticeReaders(t *testing.T) {
	c, _, err := written(t, `
[notices]
classes = ["bounce", "2bounce", "resource", "software"]
bounce_recipient = "bounces@example.org"
delay_recipient = "unused@example.org"
error_recipient = "errors@example.org"
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.NoticeReaders() {
		got = append(got, r.Key+" "+r.Address.String())
	}
	if want := "notices.bounce_recipient bounces@example.org, notices.error_recipient errors@example.org"; strings.Join(got, ", ") != want {
		t.Errorf("%q", got)
	}
}
