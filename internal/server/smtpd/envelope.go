package smtpd

import (
	"bytes"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

func (s *session) mailFrom(args []byte) *smtp.Reply {
	if reply := s.mayMail(); reply != nil {
		if reply == replyNeedTLS || reply == replyNeedAuth {
			s.notYet(args, reply)
		}
		return reply
	}
	if s.rules.StrictEnvelopes && loose(args) {
		return replyMailLoose
	}
	mail, reply := smtp.ParseMail(string(args), &s.offered)
	if reply != nil {
		return reply
	}
	if reply := s.oneMore(); reply != nil || s.over {
		if !s.over {
			s.rejected("MAIL", mail.Sender, nil, reply)
		}
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
	s.mails++
	return replySenderOk
}

// notYet tells of a user whose program sends before it encrypts or logs in: he will
// ask why his mail does not go out.
func (s *session) notYet(args []byte, r *smtp.Reply) {
	mail, _ := smtp.ParseMail(string(args), &s.offered) // as far as it can be read
	s.rejected("MAIL", mail.Sender, nil, r)
}

// oneMore tells why a client gets no further transaction now.
func (s *session) oneMore() *smtp.Reply {
	switch {
	case s.mails >= s.rules.MaxMessages: // RFC 9422 §4.1
		s.quit("too many messages", "", s.srv.goodbye("4.7.0", "Error: too many messages in one session; connect again"))
		return nil
	case s.tooMuchMail():
		return smtp.NewReply(450, "4.7.1", "Error: too much mail from "+s.addr.String())
	}
	return nil
}

// mayMail tells what stands in the way of a transaction.
func (s *session) mayMail() *smtp.Reply {
	switch {
	case s.helo == "":
		return replyNeedHelo
	case s.tx != nil:
		return replyNested
	case !s.submission(), s.srv.Service == Local, s.srv.Device != nil:
		return nil
	case !s.secure():
		return replyNeedTLS
	case s.account == "":
		return replyNeedAuth
	}
	return nil
}

var (
	replyMailLoose = smtp.NewReply(501, "5.5.4", "Syntax: MAIL FROM:<address>, without a blank after the colon")
	replyRcptLoose = smtp.NewReply(501, "5.5.4", "Syntax: RCPT TO:<address>, without a blank after the colon")
)

// loose tells a path that does not follow its colon at once.
func loose(args []byte) bool {
	_, path, _ := bytes.Cut(args, []byte(":"))
	return len(path) > 0 && path[0] != '<'
}

func (s *session) rcptTo(args []byte) *smtp.Reply {
	if s.tx == nil {
		return replyNeedMail
	}
	if s.chunks != nil {
		return replyOneWay
	}
	if s.rules.StrictEnvelopes && loose(args) {
		s.refused = true
		return replyRcptLoose
	}
	rcpt, reply := smtp.ParseRcpt(string(args), s.mail.UTF8, &s.offered)
	if reply != nil {
		s.refused = true
		return reply
	}
	if reply = s.mayRcpt(); reply != nil {
		if reply != replyTooManyRcpt { // which the peer expects, and there may be a thousand
			s.refused = true
			s.rejected("RCPT", s.mail.Sender, &rcpt.To, reply)
		}
		return reply
	}
	before := s.tx.Recipients()
	if reply = s.tx.Recipient(s.ctx, rcpt); reply != nil {
		s.refused = true
		s.rejected("RCPT", s.mail.Sender, &rcpt.To, reply)
		if unknownRecipient(reply) {
			s.guessed(rcpt.To.Domain)
		}
		return s.unlessOver(reply)
	}
	s.taken++
	if s.srv.Service == LMTP {
		s.to = append(s.to, rcpt.To)
	}
	if s.tx.Recipients() > before {
		s.known++
	} else { // cheap, but not for ever (SMTP-031)
		s.repeated++
	}
	return replyRecipientOk
}

// mayRcpt tells what stands in the way of a recipient, whoever he is.
func (s *session) mayRcpt() *smtp.Reply {
	_, most := s.srv.desk.Limits()
	switch {
	case s.barred:
		return replyBarred
	case s.tx.Recipients() >= most, s.repeated >= most:
		return replyTooManyRcpt
	case s.tooManyRecipients():
		return smtp.NewReply(450, "4.7.1", "Error: too many recipients from "+s.addr.String())
	}
	return nil
}

// unlessOver is the reply, or nil where the session ended with another.
func (s *session) unlessOver(reply *smtp.Reply) *smtp.Reply {
	if s.over {
		return nil
	}
	return reply
}

// rejected tells of a refusal by the desk.
func (s *session) rejected(stage string, from address.Address, to *address.Address, r *smtp.Reply) {
	e := Rejected{Client: s.client(), Stage: stage, Reply: r, From: from, To: to, Protocol: s.protocol(), Helo: s.helo, Account: s.account}
	s.story.about(e)
	s.srv.Events.Emit(e)
}
