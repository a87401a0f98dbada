package deliver

import (
	"slices"
	"strings"

	"facteur/internal/mail/refusal"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// haste is what a host finds of the pace of our mail (OUT-015).
type haste uint8

const (
	// fine: it says nothing about it.
	fine haste = iota
	// busyMailbox: one mailbox gets too much, from whomever.
	busyMailbox
	// tooFast: we send too much.
	tooFast
)

// hasteOf tells what a host said of our pace to any recipient of a message. One that takes
// the message for another recipient has nothing against our pace, whatever it says of a
// mailbox.
func hasteOf(results []result) (most haste) {
	taken := false
	for _, r := range results {
		taken = taken || r.kind == queue.Delivered
		if r.host != "" && r.reply != nil && r.reply.Temporary() {
			most = max(most, hasteIn(r.host, r.reply))
		}
	}
	if most == busyMailbox && taken {
		return fine
	}
	return most
}

// hasteIn reads a reply. X.2.Z is about the recipient's mailbox (RFC 3463 §3.3).
func hasteIn(host string, r *smtp.Reply) haste {
	switch {
	case !slows(host, r):
		return fine
	case r.Code != 421 && strings.HasPrefix(r.Enhanced, "4.2."):
		return busyMailbox
	}
	return tooFast
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
