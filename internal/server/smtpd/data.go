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
	if s.mail.Body == "BINARYMIME" {
		return replyNeedBdat
	}
	switch {
	case s.hasty(), s.barred && s.early(): // what waits is a message, and must not be obeyed
		return s.improper()
	case s.barred:
		return replyBarred
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
	return s.end(reply, true)
}

func (s *session) mayData(args []byte) *smtp.Reply {
	switch {
	case len(args) > 0:
		return replyNoArgs
	case s.tx == nil:
		return replyNeedMail
	case s.chunks != nil:
		return replyOneWay
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
	s.inData, s.waiting, s.timed = true, false, false
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
		reply = replyNotRead
	}
	return reply, nil
}

// end answers for a message that was read: the desk refused it, or it becomes ours.
// From Commit on it is, whether the peer hears of it or not (RFC 5321 §4.2.5). last is
// false for a refusal before the last chunk, for which there is one reply in any case.
func (s *session) end(refusal *smtp.Reply, last bool) *smtp.Reply {
	s.last = "END-OF-MESSAGE"
	tx, taken := s.tx, s.taken
	if !last || s.srv.Service != LMTP {
		taken = 1
	}
	var id queue.ID
	if refusal == nil {
		id, refusal = tx.Commit(s.ctx)
	}
	if refusal != nil {
		s.rejected("END-OF-MESSAGE", s.mail.Sender, nil, refusal)
		s.reset(transactionScope)
		return s.each(taken, func(int) *smtp.Reply { return refusal })
	}
	s.credit()
	accepted, answers := queued(id), s.answers()
	s.tx = nil // there is nothing left to abort
	s.reset(transactionScope)
	s.limits = counters{}
	if s.srv.Service != LMTP {
		return accepted
	}
	return s.each(taken, func(i int) *smtp.Reply {
		if i < len(answers) && answers[i] != nil {
			return answers[i]
		}
		return accepted
	})
}

// answers are those of the recipients who have their own, nil where it is the
// message's; who is refused is told of.
func (s *session) answers() []*smtp.Reply {
	if s.srv.Service != LMTP {
		return nil
	}
	answers := s.tx.Answers()
	for i := range min(len(answers), len(s.to)) {
		if answers[i] != nil {
			s.rejected("END-OF-MESSAGE", s.mail.Sender, &s.to[i], answers[i])
		}
	}
	return answers
}

// each answers for every recipient (RFC 2033 §4.2). The last reply is returned.
func (s *session) each(taken int, reply func(i int) *smtp.Reply) *smtp.Reply {
	for i := range taken - 1 {
		s.answer(reply(i))
	}
	return reply(taken - 1)
}

func queued(id queue.ID) *smtp.Reply {
	return smtp.NewReply(250, "2.0.0", "Ok: queued as "+id.String())
}
