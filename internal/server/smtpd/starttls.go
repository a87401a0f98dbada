package smtpd

import "facteur/internal/mail/smtp"

// startTLS turns the session into an encrypted one, which starts from nothing
// (RFC 3207 §4.2).
func (s *session) startTLS(args []byte) *smtp.Reply {
	switch {
	case len(args) > 0:
		return replyNoArgs
	case s.conn.TLS() != nil:
		return replyTLSActive
	case s.srv.TLS == nil:
		return replyNoTLS
	case s.in.Buffered() > 0:
		// Anybody on the way could have put this here, to be obeyed under TLS
		// (CVE-2011-0411). Not even a known peer may.
		return s.improper()
	}
	s.tally.add(smtp.STARTTLS, true)
	s.answer(replyReadyTLS)
	s.conn.Busy(goodbyeTimeout)
	if err := s.flush(); err != nil {
		s.lost(err)
		return nil
	}
	if err := s.conn.StartTLS(s.srv.TLS); err != nil {
		s.over = true
		s.srv.Events.Emit(TLSFailed{Client: s.client(), Err: err})
		return nil
	}
	s.announceTLS()
	s.reset(sessionScope)
	if s.in.Buffered() > 0 {
		panic("smtpd: plaintext was kept across STARTTLS")
	}
	return nil
}
