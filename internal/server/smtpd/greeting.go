package smtpd

import (
	"bytes"

	"facteur/internal/mail/smtp"
)

func (s *session) ehlo(args []byte) *smtp.Reply {
	if s.srv.Service == LMTP {
		return replyLhlo
	}
	return s.greeted(smtp.EHLO, args)
}

func (s *session) heloVerb(args []byte) *smtp.Reply {
	if s.srv.Service == LMTP {
		return replyLhlo
	}
	return s.greeted(smtp.HELO, args)
}

func (s *session) lhlo(args []byte) *smtp.Reply {
	if s.srv.Service != LMTP {
		s.limits.unknown++
		return replyUnknown
	}
	return s.greeted(smtp.LHLO, args)
}

// greeted takes HELO, EHLO and LHLO, which also end a transaction (RFC 5321
// §4.1.4). Any name is taken, as many clients know no better; it is made harmless.
func (s *session) greeted(verb smtp.Verb, args []byte) *smtp.Reply {
	if s.hasty() {
		return s.improper()
	}
	s.limits.junk++
	name := bytes.TrimSpace(args)
	if len(name) == 0 || len(name) > 255 || !isASCII(name) {
		return replyHeloSyntax
	}
	s.reset(transactionScope)
	s.helo, s.esmtp = "", verb != smtp.HELO
	helo := neuter(string(name))
	p := s.peer()
	p.Helo = helo
	if reply := s.visit.Helo(s.ctx, p); reply != nil {
		s.srv.Events.Emit(Rejected{Client: s.client(), Stage: verb.String(), Reply: reply,
			Protocol: s.protocol(), Helo: helo, Account: s.account})
		return reply
	}
	// Clients that say HELO and use parameters all the same exist; refusing those
	// helps nobody.
	s.helo, s.offered = helo, s.offer()
	if !s.esmtp {
		return &smtp.Reply{Code: 250, Lines: []string{s.srv.Hostname}}
	}
	s.tally.add(verb, true)
	from := len(s.out)
	s.out = s.offered.AppendTo(s.out)
	s.story.said(s.out[from:])
	s.checkLimits()
	return nil
}
