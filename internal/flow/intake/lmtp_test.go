package intake

import (
	"context"
	"net/netip"
	"testing"

	"facteur/internal/mail/smtp"
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
