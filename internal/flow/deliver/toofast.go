package deliver

import (
	"strings"

	"facteur/internal/mail/refusal"
	"facteur/internal/mail/smtp"
)

// tooFast tells whether a host said to any recipient of a message that we come too fast
// (OUT-015).
func tooFast(results []result) bool {
	for _, r := range results {
		if r.host != "" && r.reply != nil && r.reply.Temporary() && slows(r.host, r.reply) {
			return true
		}
	}
	return false
}

// slows reads a reply. What is not known counts where the codes say it: 421 closes the
// connection for a matter of policy, and 450 4.2.1 is what is said of a mailbox that
// gets too much. Greylisting has neither.
func slows(host string, r *smtp.Reply) bool {
	if reading, known := refusal.Read(host, r.Code, r.Enhanced, r.Text()); known {
		return reading.SlowDown
	}
	return r.Code == 421 && strings.HasPrefix(r.Enhanced, "4.7.") || r.Code == 450 && r.Enhanced == "4.2.1" || saysSlow(r.Text())
}

// saysTooFast reads why a host would not talk to us at all.
func saysTooFast(reason string) bool {
	if reading, known := refusal.ReadReason(reason); known {
		return reading.SlowDown
	}
	return strings.Contains(reason, " said: 421 4.7.") || saysSlow(reason)
}

// saysSlow looks for words that nobody uses for anything else.
func saysSlow(text string) bool {
	text = strings.ToLower(text)
	for _, words := range [...]string{"too many connections", "too many concurrent", "rate limit", "ratelimit", "throttl", "slow down", "too fast"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
