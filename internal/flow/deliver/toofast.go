package deliver

import (
	"slices"
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

// answered tells whether a host said anything at all to a message: a connection that broke
// says neither that we come too fast nor that we may come faster.
func answered(results []result) bool {
	return slices.ContainsFunc(results, func(r result) bool { return r.host != "" })
}

// slows reads a reply. Whatever its text is said to mean, 421 closes the connection for a
// matter of policy, and 450 4.2.1 is what is said of a mailbox that gets too much: fewer
// are better then. Greylisting has neither code.
func slows(host string, r *smtp.Reply) bool {
	if r.Code == 421 && strings.HasPrefix(r.Enhanced, "4.7.") || r.Code == 450 && r.Enhanced == "4.2.1" {
		return true
	}
	if reading, known := refusal.Read(host, r.Code, r.Enhanced, r.Text()); known {
		return reading.SlowDown
	}
	return saysSlow(r.Text())
}

// saysTooFast reads why a host would not talk to us at all.
func saysTooFast(reason string) bool {
	if strings.Contains(reason, " said: 421 4.7.") {
		return true
	}
	if reading, known := refusal.ReadReason(reason); known {
		return reading.SlowDown
	}
	return saysSlow(reason)
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
