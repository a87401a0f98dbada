package intake

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// TestLMTPDoesNotRelay is SMTP-044: over LMTP even a trusted server hands over mail for
// our own mailboxes only.
func TestLMTPDoesNotRelay(t *testing.T) {
	c := newCounter(t, 0)
	p := stranger
	p.Addr = netip.MustParseAddr("127.0.0.1")
	c.with(func(r *Rules) { r.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	for _, perRecipient := range []bool{false, true} {
		p.PerRecipient = perRecipient
		tx, reply := c.offer(t, p, smtp.Mail{}, "alice@example.org")
		if reply != nil {
			t.Fatal(reply)
		}
		want := map[bool]string{false: "ok", true: "554 5.7.1"}[perRecipient]
		if got := code(tx.Recipient(context.Background(), smtp.Rcpt{To: addr(t, "a@elsewhere.example")})); got != want {
			t.Errorf("per recipient %v: %s, want %s", perRecipient, got, want)
		}
		tx.Abort()
	}
}

// TestLMTPVouchesForNoSender is INV-06: a server that we trust hands over by LMTP what
// it took from anybody, so that no notice goes to the sender.
func TestLMTPVouchesForNoSender(t *testing.T) {
	c := newCounter(t, 0)
	p := stranger
	c.with(func(r *Rules) { r.Trusted = []netip.Prefix{netip.PrefixFrom(p.Addr, 32)} })
	for _, perRecipient := range []bool{false, true} {
		p.PerRecipient = perRecipient
		where, answer, id := c.talk(t, p, smtp.Mail{Sender: addr(t, "forged@victim.example")}, text, "alice@example.org")
		if where != "" {
			t.Fatal(where, answer)
		}
		accepted := Accepted{Item: &queue.Item{}, Peer: p}
		if told := strings.Contains(accepted.Step().Sentence, "It was not scored"); told != perRecipient {
			t.Errorf("per recipient %v: the journey says %q", perRecipient, accepted.Step().Sentence)
		}
		if item, _ := c.bytes(t, id); item.Origin.Local == perRecipient {
			t.Errorf("INV-06 per recipient %v: %+v", perRecipient, item.Origin)
		}
	}
}
