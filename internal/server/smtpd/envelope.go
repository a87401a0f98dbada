package smtpd

import (
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

func (s *session) mailFrom(args []byte) *smtp.Reply {
	if reply := s.mayMail(); reply != nil {
		return reply
	}
	mail, reply := smtp.ParseMail(string(args), s.offer())
	if reply != nil {
		return reply
	}
	s.mail = mail
	tx, reply := s.visit.Begin(s.ctx, s.peer(), mail)
	if reply != nil {
		s.mail = smtp.Mail{}
		s.rejected("MAIL", mail.Sender, nil, reply)
		return reply
	}
	s.tx = tx
	return replySenderOk
}

// mayMail tells what stands in the way of a transaction.
func (s *session) mayMail() *smtp.Reply {
	switch {
	case s.helo == "":
		return replyNeedHelo
	case s.tx != nil:
		return replyNested
	case s.srv.Service == SMTP:
		return nil
	case !s.secure():
		return replyNeedTLS
	case s.account == "":
		return replyNeedAuth
	}
	return nil
}

func (s *session) rcptTo(args []byte) *smtp.Reply {
	if s.tx == nil {
		return replyNeedMail
	}
	rcpt, reply := smtp.ParseRcpt(string(args), s.mail.UTF8, s.offer())
	if reply != nil {
		s.refused = true
		return reply
	}
	before := s.tx.Recipients()
	if _, most := s.srv.desk.Limits(); before >= most || s.repeated >= most {
		return replyTooManyRcpt
	}
	if reply = s.tx.Recipient(s.ctx, rcpt); reply != nil {
		s.refused = true
		s.rejected("RCPT", s.mail.Sender, &rcpt.To, reply)
		return reply
	}
	if s.tx.Recipients() == before { // cheap, but not for ever (SMTP-031)
		s.repeated++
	}
	return replyRecipientOk
}

// rejected tells of a refusal by the desk.
func (s *session) rejected(stage string, from address.Address, to *address.Address, r *smtp.Reply) {
	s.srv.Events.Emit(Rejected{Client: s.client(), Stage: stage, Reply: r,
		From: from, To: to, Protocol: s.protocol(), Helo: s.helo, Account: s.account})
}
