package smtpd

import (
	"errors"
	"os"
	"time"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
)

// Replies of the tests for strangers.
var (
	replyBarred = smtp.NewReply(550, "5.5.1", "Protocol error; your program does not speak SMTP as RFC 5321 has it")
	replyDrop   = smtp.NewReply(554, "5.5.1", "Protocol error; your program does not speak SMTP as RFC 5321 has it")
)

// stranger tells a client that has to be silent before the banner: at the service
// SMTP, and not one whom we know.
func (s *session) stranger() bool {
	return s.srv.Service == SMTP && s.rules.Screen.Wait > 0 && s.conn.TLS() == nil && !s.spared() &&
		(s.srv.Seen == nil || !s.srv.Seen(s.addr))
}

// screen waits for what a client has to say before the banner: nothing. It costs
// the connection's own goroutine and no more, and reads nothing away.
func (s *session) screen() {
	wait := s.rules.Screen.Wait
	if s.conn.Stress() {
		wait = min(wait, s.rules.Screen.StressWait)
	}
	if t := s.rules.Screen.Teaser; t != "" {
		s.out = append(append(append(s.out, "220-"...), neuterLine(t)...), '\r', '\n')
		if err := s.flush(); err != nil {
			s.lost(err)
			return
		}
	}
	began := time.Now()
	err := s.listenFor(wait)
	switch after := time.Since(began); {
	case err == nil:
		s.preGreeted(after, s.rules.Screen.Greet)
	case errors.Is(err, os.ErrDeadlineExceeded) && !s.conn.Draining() && after >= wait:
		if s.srv.Passed != nil {
			s.srv.Passed(s.addr)
		}
	default:
		s.lost(err)
	}
}

// listenFor waits for bytes from the peer, for some time. They stay where they are.
// What was gathered to be sent waits too.
func (s *session) listenFor(d time.Duration) error {
	if !s.conn.Idle(d) {
		return errDraining
	}
	s.waiting, s.silent = true, true
	_, err := s.in.Peek(s.in.Buffered() + 1)
	s.waiting, s.silent = false, false
	s.conn.Busy(s.patience()) // replies may have to go out before the next wait
	return err
}

// preGreeted is about a client that talked before the banner (SMTP-015).
func (s *session) preGreeted(after time.Duration, a Action) {
	said, _ := s.in.Peek(s.in.Buffered())
	s.announceConnect()
	s.srv.Events.Emit(PreGreeted{Client: s.client(), Bytes: len(said), After: after, Text: clean(said)})
	s.fails(intake.PreGreet, a)
}

// fails notes that the client did something odd, and ends the session or bars it
// where the admin wants that.
func (s *session) fails(r intake.Remark, a Action) {
	s.remark(r)
	if s.spared() {
		return
	}
	switch a {
	case Enforce:
		s.barred = true
	case Drop:
		s.quit("protocol error", "", replyDrop)
	}
}

// remark is kept once for a session. The slice is made anew: the desk may have the
// old one.
func (s *session) remark(r intake.Remark) {
	for _, known := range s.remarks {
		if known == r {
			return
		}
	}
	s.remarks = append(s.remarks[:len(s.remarks):len(s.remarks)], r)
	if s.srv.Remarked != nil && !s.spared() {
		s.srv.Remarked(s.addr, r)
	}
}

// bareNewline is about a command line with an ending of its own. It is never
// obeyed, whatever else follows.
func (s *session) bareNewline() {
	s.fails(intake.BareNewline, s.rules.Screen.BareNewline)
	if !s.over {
		s.fault(replyLineEnding)
	}
}

// early tells that the peer sent more than it may have seen the answer to: it
// does not do SMTP but plays it back (RFC 2920 §3.1).
func (s *session) early() bool { return s.account == "" && s.in.Buffered() > 0 }

// hasty is early, for points of the dialogue where the admin may let it pass.
func (s *session) hasty() bool {
	if !s.early() {
		return false
	}
	s.remark(intake.Pipelining)
	s.barred = s.barred || s.rules.Screen.Pipelining == Enforce
	return s.rules.Screen.Pipelining == Drop
}
