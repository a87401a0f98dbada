package interop

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// A real Postfix gets what facteur forwards. It bounces what it has accepted, and the
// notice finds the sender's host through us; and it sends back to us what its own alias
// leads to us again.
func TestForwardsToPostfix(t *testing.T) {
	t.Parallel()
	world := rewritingSink(t) // where strangers have their mail
	f := NewFacteur(t, Setup{Domains: []string{"example.org", "srs.example.org"}, Accounts: []string{alice}, Trusted: "192.0.2.0/24",
		Services: []string{"smtp"}, Config: `
[[list]]
name = "aliases"
entries = ["gone@example.org gone@remote.test", "both@example.org alice@example.org, circle@remote.test"]
[[transport_map]]
recipient = "remote.test"
to = "smtp:[127.0.0.1]:1"
[[transport_map]]
recipient = "sender.example"
to = "smtp:[127.0.0.1]:` + portOf(world) + `"
[addresses]
virtual_alias_maps = ["aliases"]
[forwarding]
srs_domain = "srs.example.org"
`})
	us := "smtp:[127.0.0.1]:" + f.Port("smtp")
	p := NewPostfix(t, PostfixSetup{Main: map[string]string{
		"relay_domains": "remote.test", "virtual_alias_maps": "inline:{ circle@remote.test=both@example.org }", "virtual_alias_domains": "",
		"transport_maps": "inline:{ {gone@remote.test = local:}, {example.org = " + us + "}, {srs.example.org = " + us + "} }",
	}})
	_, port, _ := net.SplitHostPort(p.Addr())
	f.Edit("smtp:[127.0.0.1]:1", "smtp:[127.0.0.1]:"+port)
	p.Start()
	f.Start()
	idle := func() bool {
		theirs, err := p.Queued()
		ours, err2 := f.Queued()
		return err == nil && err2 == nil && theirs+ours == 0
	}

	expectReply(t, "forward", converse(t, f, note("lost"), "MAIL FROM:<Stranger@sender.example>", "RCPT TO:<gone@example.org>"), "250")
	from, to, text := mailFrom(t, world, "Undelivered Mail Returned to Sender")
	if from != "" || to != "Stranger@sender.example" || !strings.Contains(text, "unknown user") || !strings.Contains(text, "Subject: lost") {
		t.Errorf("row 209: the notice of Postfix came from %q to %q:\n%s", from, to, text)
	}
	WaitUntil(t, "all mail", idle)

	// LOOP-002: alice has it once, the other end is a notice, and nothing is left.
	expectReply(t, "circle", converse(t, f, note("circle"), "MAIL FROM:<stranger@sender.example>", "RCPT TO:<both@example.org>"), "250")
	waitFile(t, f.Maildir(alice), "Subject: circle")
	WaitUntil(t, "the loop ends", func() bool { return len(world.Taken()) == 2 && idle() })
	if files, _ := filepath.Glob(f.Maildir(alice) + "/[nc][eu][wr]/*"); len(files) != 1 {
		t.Errorf("LOOP-002: alice has %d copies", len(files))
	}
	if m := world.Taken()[1]; !strings.Contains(string(m.Data), "mail forwarding loop") {
		t.Errorf("LOOP-002:\n%s", m.Data)
	}
}
