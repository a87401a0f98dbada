package smtpd

import (
	"net/netip"
	"time"

	"facteur/internal/base/limit"
)

// Rates are what one client may do over all its sessions in a window of time. An
// IPv4 address or an IPv6 /64 is a client; wider networks may do some times as much
// (limit.Networks).
type Rates struct {
	// Messages and Recipients in a minute (Postfix's
	// smtpd_client_message_rate_limit, smtpd_client_recipient_rate_limit).
	Messages, Recipients int
	// Guesses is how many unknown recipients in an hour, DomainGuesses the same for
	// one of our domains and all clients: beyond it, a client's first guess counts
	// like its fourth.
	Guesses, DomainGuesses int
}

// DefaultRates let a busy list server pass.
func DefaultRates() Rates {
	return Rates{Messages: 1000, Recipients: 10000, Guesses: 100, DomainGuesses: 1000}
}

// Windows of the counts.
const (
	rateWindow  = time.Minute
	guessWindow = time.Hour
)

// Crowd counts what clients do, over all doors. Its memory is bounded.
type Crowd struct {
	messages, recipients, guesses, told *limit.Counter[netip.Prefix]
	met                                 *limit.Counter[netip.Prefix] // recipients of messages that were taken
	domains, toldDomains, flushes       *limit.Counter[string]
}

// NewCrowd begins to count.
func NewCrowd() *Crowd {
	const domains = 1 << 12
	return &Crowd{
		messages:    limit.NewCounter[netip.Prefix](rateWindow, limit.DefaultSlots),
		recipients:  limit.NewCounter[netip.Prefix](rateWindow, limit.DefaultSlots),
		guesses:     limit.NewCounter[netip.Prefix](guessWindow, limit.DefaultSlots),
		met:         limit.NewCounter[netip.Prefix](guessWindow, limit.DefaultSlots),
		told:        limit.NewCounter[netip.Prefix](guessWindow, domains),
		domains:     limit.NewCounter[string](guessWindow, domains),
		toldDomains: limit.NewCounter[string](guessWindow, domains),
		flushes:     limit.NewCounter[string](rateWindow, domains),
	}
}

// over counts one event for all networks of a client, and tells whether one of them
// is over its limit.
func over(c *limit.Counter[netip.Prefix], a netip.Addr, most int) bool {
	beyond := false
	for _, n := range limit.Networks(a) {
		beyond = c.Add(n.Prefix, 1) > most*n.Factor || beyond
	}
	return beyond
}

// guessed counts an unknown recipient for all networks of a client, and tells whether
// one of them had too many. perError recipients of messages that were taken make good
// for one, as in a session; together they are worth maxCredit times the limit, as mail
// to one mailbox is no licence to look for all others.
func (c *Crowd) guessed(a netip.Addr, most int) bool {
	beyond := false
	for _, n := range limit.Networks(a) {
		free := most * n.Factor
		bad, credit := c.guesses.Add(n.Prefix, 1), 0
		if bad > free {
			credit = min(c.met.Sum(n.Prefix)/perError, maxCredit*free)
		}
		beyond = bad > free+credit || beyond
	}
	return beyond
}

// credit counts the recipients of a message that was taken.
func (s *session) credit() {
	if s.srv.Crowd == nil || s.spared() {
		return
	}
	for _, n := range limit.Networks(s.addr) {
		s.srv.Crowd.met.Add(n.Prefix, s.taken-s.repeated)
	}
}

// tooMuchMail counts a transaction of this session's client.
func (s *session) tooMuchMail() bool {
	return s.srv.Crowd != nil && !s.spared() && over(s.srv.Crowd.messages, s.addr, s.rules.Rates.Messages)
}

// tooManyRecipients counts a RCPT of this session's client.
func (s *session) tooManyRecipients() bool {
	return s.srv.Crowd != nil && !s.spared() && over(s.srv.Crowd.recipients, s.addr, s.rules.Rates.Recipients)
}
