package smtpd

import (
	"errors"
	"io"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

func (s *session) dataVerb(args []byte) *smtp.Reply {
	if reply := s.mayData(args); reply != nil {
		return reply
	}
	if s.early() {
		return s.improper()
	}
	if reply := s.tx.Data(s.ctx); reply != nil {
		s.rejected("DATA", s.mail.Sender, nil, reply)
		return reply
	}
	s.answer(replyStartData)
	reply, err := s.receive()
	if err != nil {
		s.tally.add(smtp.DATA, false)
		s.lost(err)
		return nil
	}
	s.last = "END-OF-MESSAGE"
	if reply != nil {
		s.rejected("END-OF-MESSAGE", s.mail.Sender, nil, reply)
		s.reset(transactionScope)
		return reply
	}
	return s.commit()
}

func (s *session) mayData(args []byte) *smtp.Reply {
	switch {
	case len(args) > 0:
		return replyNoArgs
	case s.tx == nil:
		return replyNeedMail
	case s.tx.Recipients() == 0 && s.refused:
		return replyNoRcpt
	case s.tx.Recipients() == 0:
		return replyNeedRcpt
	}
	return nil
}

// receive hands the message to the desk. The error is the connection's: there is
// no message then and nobody to answer. Whatever the desk left unread is read,
// so that no byte of a message can be taken for a command.
func (s *session) receive() (*smtp.Reply, error) {
	size, _ := s.srv.desk.Limits()
	s.data.Reset(s.in, size)
	s.inData, s.waiting = true, false
	defer func() { s.inData = false }()
	reply := s.tx.Receive(s.ctx, &s.data)
	if s.data.Ended() {
		return reply, nil
	}
	var fault *smtp.DataError
	if _, err := io.Copy(io.Discard, &s.data); err != nil && !errors.As(err, &fault) {
		return nil, err
	}
	if reply == nil {
		// A desk that is content with half a message has not seen its end.
		reply = smtp.NewReply(451, "4.3.0", "Error: message was not read to its end")
	}
	return reply, nil
}

// commit makes the message ours. From here on it is, whether the peer hears of
// it or not (RFC 5321 §4.2.5).
func (s *session) commit() *smtp.Reply {
	tx := s.tx
	id, reply := tx.Commit(s.ctx)
	if reply != nil {
		s.rejected("END-OF-MESSAGE", s.mail.Sender, nil, reply)
		s.reset(transactionScope)
		return reply
	}
	s.tx = nil // there is nothing left to abort
	s.reset(transactionScope)
	s.limits = counters{}
	return queued(id)
}

func queued(id queue.ID) *smtp.Reply {
	return smtp.NewReply(250, "2.0.0", "Ok: queued as "+id.String())
}
