package smtpd

import (
	"testing"

	"facteur/internal/mail/smtp"
)

// TestUnknownRecipients are told by their replies, with soft_bounce, too (ABU-001).
func TestUnknownRecipients(t *testing.T) {
	for enhanced, want := range map[string]bool{"5.1.1": true, "4.1.1": true, "5.7.1": false, "4.3.0": false, "4.2.2": false} {
		code := 550
		if enhanced[0] == '4' {
			code = 450
		}
		if got := unknownRecipient(smtp.NewReply(code, enhanced, "x")); got != want {
			t.Errorf("ABU-001: %s: %v", enhanced, got)
		}
	}
}
