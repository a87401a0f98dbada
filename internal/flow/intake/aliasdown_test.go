package intake

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"facteur/internal/base/event"
	"facteur/internal/flow/route"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/list"
)

// MAP-004: while a server that knows aliases is away, nobody is unknown, and nobody's
// mail goes past an alias that he may have; for strangers' domains there is no relay.
func TestAliasTablesThatAreDown(t *testing.T) {
	c := newCounter(t, 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	from := "socketmap:inet:" + l.Addr().String() + ":virtual"
	l.Close()
	set, err := list.Open([]list.Source{{Name: from, From: from}}, event.Discard)
	must(t, err)
	t.Cleanup(func() { set.Close() })
	for name, rules := range map[string]route.Rules{
		"virtual_alias_maps": {Virtual: set.Maps([]string{from})},
		"relocated_maps":     {Relocated: set.Maps([]string{from})},
	} {
		rules.ExpansionLimit, rules.RecursionLimit = 1000, 50
		c.Desk.router.Configure(func() *route.Rules { return &rules })
		for _, to := range []string{"alice@example.org", "nobody@example.org", "postmaster@example.org"} {
			if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, "a@far.example")}, to); code(reply) != "451 4.3.0" {
				t.Errorf("%s is down, RCPT %s: %v", name, to, reply)
			}
		}
		if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, "a@far.example")}, "x@far.example"); reply == nil || !strings.HasPrefix(code(reply), "4") && !strings.HasPrefix(code(reply), "554") {
			t.Errorf("%s is down, a relay: %v", name, reply)
		}
	}
}

// REL-004: an alias of a domain elsewhere is for our own users' mail. A stranger is
// refused as at every such domain, whatever the alias leads to, as with Postfix, which
// asks reject_unauth_destination about the address that was named.
func TestAliasesOfOtherDomains(t *testing.T) {
	c := newCounter(t, 0)
	path := filepath.Join(t.TempDir(), "virtual")
	must(t, os.WriteFile(path, []byte("x@far.example alice@example.org\nghost@far.example ghost@example.org\nloop@far.example loop2@far.example\nloop2@far.example loop@far.example\n"), 0o600))
	from := "hash:" + path
	set, err := list.Open([]list.Source{{Name: from, From: from}}, event.Discard)
	must(t, err)
	t.Cleanup(func() { set.Close() })
	rules := route.Rules{Virtual: set.Maps([]string{from}), ExpansionLimit: 1000, RecursionLimit: 50}
	c.Desk.router.Configure(func() *route.Rules { return &rules })
	for to, want := range map[string]string{"x": "ok", "ghost": "550 5.1.1", "loop": "554 5.4.6", "other": "ok"} {
		if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, "a@far.example")}, to+"@far.example"); code(reply) != "554 5.7.1" {
			t.Errorf("a stranger to %s: %s", to, code(reply))
		}
		tx, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, to+"@far.example")
		if code(reply) != want {
			t.Errorf("our user to %s: %s", to, code(reply))
		}
		if got := kept(tx); to == "x" && !slices.Equal(got, []string{"mailbox:alice@example.org 0"}) {
			t.Errorf("our user to %s: %q", to, got)
		}
		tx.Abort()
	}
}
