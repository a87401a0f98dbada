package intake

import (
	"net"
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
