package intake

import (
	"context"
	"strings"
	"testing"

	"facteur/internal/mail/smtp"
)

// TestALetterThatHasBeenHere: LOOP-002. What comes back to its mailbox is refused
// while its sender is there to be told; others are not to suffer from it.
func TestALetterThatHasBeenHere(t *testing.T) {
	c := newCounter(t, 0)
	ctx := context.Background()
	lmtp := stranger
	lmtp.PerRecipient, lmtp.Protocol = true, "LMTP"
	for name, x := range map[string]struct {
		peer         Peer
		header       string
		to           []string
		want, answer string
	}{
		"a stranger's":         {stranger, "Delivered-To: Alice@EXAMPLE.org\r\n", []string{"alice@example.org"}, "554 5.4.6", ""},
		"a user's":             {insider("alice@example.org"), "delivered-to:\r\n alice@example.org\r\n", []string{"alice@example.org"}, "554 5.4.6", ""},
		"it was elsewhere":     {stranger, "Delivered-To: alice@elsewhere.example\r\n", []string{"alice@example.org"}, "ok", ""},
		"it was with another":  {stranger, "Delivered-To: bob@example.org\r\n", []string{"alice@example.org"}, "ok", ""},
		"only in the body":     {stranger, "\r\nDelivered-To: alice@example.org\r\n", []string{"alice@example.org"}, "ok", ""},
		"another has it not":   {stranger, "Delivered-To: alice@example.org\r\n", []string{"alice@example.org", "bob@example.org"}, "ok", ""},
		"a host looks itself":  {insider("alice@example.org"), "Delivered-To: x@accept.example\r\n", []string{"x@accept.example"}, "ok", ""},
		"nonsense":             {stranger, "Delivered-To: \r\nDelivered-To: @\r\n", []string{"alice@example.org"}, "ok", ""},
		"each its own answer":  {lmtp, "Delivered-To: alice@example.org\r\n", []string{"alice@example.org", "bob@example.org"}, "ok", "554 5.4.6, ok"},
		"LMTP, nobody is left": {lmtp, "Delivered-To: alice@example.org\r\n", []string{"alice@example.org"}, "ok", "554 5.4.6"},
	} {
		tx, reply := c.offer(t, x.peer, smtp.Mail{Sender: addr(t, "alice@example.org")}, x.to...)
		if reply == nil {
			reply = tx.Receive(ctx, strings.NewReader(x.header+"\r\nx\r\n"))
		}
		var answers []string
		if reply == nil && x.peer.PerRecipient {
			if _, reply = tx.Commit(ctx); reply != nil {
				t.Errorf("%s: %v", name, reply)
			}
			for _, a := range tx.Answers() {
				answers = append(answers, code(a))
			}
		}
		if got := strings.Join(answers, ", "); code(reply) != x.want || got != x.answer {
			t.Errorf("LOOP-002 %s: %v %s, want %s %s", name, reply, got, x.want, x.answer)
		}
		tx.Abort()
	}
}
