package smtpd

import (
	"bufio"
	"errors"
	"os"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/mail/smtp"
)

// tarpit makes a rude peer wait for his reply. It costs the connection's own
// goroutine, and ends when the peer hangs up or the server stops.
func (s *session) tarpit(d time.Duration) {
	if d <= 0 {
		return
	}
	until := time.Now().Add(d)
	switch err := s.listenFor(d); {
	case err == nil, errors.Is(err, bufio.ErrBufferFull): // he goes on talking
		s.pause(time.Until(until))
	case errors.Is(err, os.ErrDeadlineExceeded) && !s.conn.Draining():
	default:
		s.lost(err)
	}
}

// pause waits without listening.
func (s *session) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// unknownRecipient tells the desk's "there is no such mailbox".
func unknownRecipient(r *smtp.Reply) bool {
	return r.Enhanced == "5.1.1" || r.Enhanced == "4.1.1" // which soft_bounce makes of it
}

// madeGood is how many errors the recipients that exist make good for.
func (s *session) madeGood() int { return s.known / perError }

// guessed is about a peer who named a mailbox that does not exist. Everybody may
// err; who goes on is made slow, and sent away (ABU-001). What a known and an
// unknown recipient cost in time is the same up to here: the same look-up, the same
// path; after the first few the pause of an unknown one tells nothing that its 550
// does not say (ABU-003). A list has its dead addresses: one to ten that exist costs
// nothing, in the session and in the hour.
func (s *session) guessed(domain string) {
	if s.spared() {
		return
	}
	s.guesses++
	inSession, over := s.guesses-s.madeGood(), false
	weight := inSession
	if c := s.srv.Crowd; c != nil {
		mine, theirs := c.guess(s, domain)
		over = mine
		if theirs { // the domain is under attack
			weight += freeGuesses
		}
	}
	switch {
	case over || inSession >= maxGuesses:
		s.quit("too many errors", "", s.srv.goodbye("4.7.0", "Error: too many unknown recipients"))
	case weight > freeGuesses:
		s.tarpit(time.Duration(min(weight-freeGuesses, 5)) * s.rules.ErrorSleep)
	}
}

// guess counts an unknown recipient, and tells whether the client and the domain
// had too many. Each is told of once in a window.
func (c *Crowd) guess(s *session, domain string) (client, attacked bool) {
	r := &s.rules.Rates
	if client = c.guessed(s.addr, r.Guesses); client && c.told.Add(limit.Client(s.addr), 1) == 1 {
		s.srv.Events.Emit(Guessing{Client: s.client(), Limit: r.Guesses})
	}
	attacked = c.domains.Add(domain, 1) > r.DomainGuesses
	if attacked && c.toldDomains.Add(domain, 1) == 1 {
		s.srv.Events.Emit(Guessing{Client: s.client(), Domain: domain, Limit: r.DomainGuesses})
	}
	return client, attacked
}
