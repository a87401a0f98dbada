package smtpd

import (
	"bytes"
	"strings"

	"facteur/internal/mail/sasl"
	"facteur/internal/mail/smtp"
)

// Replies of AUTH (RFC 4954 §6).
var (
	replyAuthOk       = smtp.NewReply(235, "2.7.0", "Authentication successful")
	replyAuthOff      = smtp.NewReply(503, "5.5.1", "Error: authentication not enabled")
	replyAuthTwice    = smtp.NewReply(503, "5.5.1", "Error: already authenticated")
	replyAuthInMail   = smtp.NewReply(503, "5.5.1", "Error: AUTH is not allowed during a mail transaction")
	replyAuthNeedTLS  = smtp.NewReply(538, "5.7.11", "Encryption required for requested authentication mechanism")
	replyAuthSyntax   = smtp.NewReply(501, "5.5.4", "Syntax: AUTH mechanism")
	replyAuthUnknown  = smtp.NewReply(504, "5.5.4", "Error: authentication mechanism not supported")
	replyAuthData     = smtp.NewReply(501, "5.5.2", "Error: malformed authentication response")
	replyAuthCanceled = smtp.NewReply(501, "5.7.0", "Authentication aborted")
	replyAuthProxy    = smtp.NewReply(535, "5.7.8", "Error: authorization as another user is not supported")
)

// mayAuth tells whether this door is for people who log in.
func (s *session) mayAuth() bool { return s.srv.Service != SMTP || s.srv.AuthOnSMTP }

func (s *session) auth(args []byte) *smtp.Reply {
	if reply := s.authState(); reply != nil {
		return reply
	}
	if s.early() {
		return s.improper()
	}
	word, initial, given := bytes.Cut(args, []byte{' '})
	if len(word) == 0 {
		return replyAuthSyntax
	}
	name := strings.ToUpper(string(word)) // args do not survive the exchange
	var cred sasl.Credentials
	mechanism := sasl.NewServer(name, sasl.Judge{Password: func(c sasl.Credentials) error { cred = c; return nil }})
	if mechanism == nil {
		return replyAuthUnknown
	}
	var response []byte
	if given {
		var err error
		if response, err = sasl.Decode(initial); err != nil {
			return authFault(err)
		}
	}
	reply := s.exchange(mechanism, response)
	if reply != nil || s.over {
		return reply
	}
	return s.logIn(name, cred)
}

// authState tells what stands in the way of AUTH.
func (s *session) authState() *smtp.Reply {
	switch {
	case !s.mayAuth():
		return replyAuthOff
	case !s.secure() && s.srv.Service == Submission:
		return replyNeedTLS
	case !s.secure():
		return replyAuthNeedTLS
	case s.helo == "":
		return replyNeedHelo
	case s.account != "":
		return replyAuthTwice
	case s.tx != nil:
		return replyAuthInMail
	}
	return nil
}

// exchange runs a mechanism until it has credentials. When the connection fails
// it returns no reply and the session is over.
func (s *session) exchange(m sasl.Server, response []byte) *smtp.Reply {
	for {
		challenge, done, err := m.Next(response)
		switch {
		case err != nil:
			return authFault(err)
		case done:
			return nil
		}
		s.answer(&smtp.Reply{Code: 334, Lines: []string{sasl.Encode(challenge)}})
		line, err := s.readLine()
		switch err {
		case nil:
		case smtp.ErrLineTooLong, smtp.ErrLineEnding:
			return replyAuthData
		default:
			s.badLine(err)
			return nil
		}
		if response, err = sasl.Decode(line); err != nil {
			return authFault(err)
		}
	}
}

func authFault(err error) *smtp.Reply {
	switch err {
	case sasl.ErrCanceled:
		return replyAuthCanceled
	case sasl.ErrProxy:
		return replyAuthProxy
	}
	return replyAuthData
}

// logIn asks the desk. The password goes nowhere else.
func (s *session) logIn(mechanism string, c sasl.Credentials) *smtp.Reply {
	account, reply := s.srv.desk.Authenticate(s.ctx, s.peer(), c.User, c.Password)
	if reply != nil {
		s.srv.Events.Emit(AuthFailed{Client: s.client(), Mechanism: mechanism, User: clean([]byte(c.User)), Reply: reply})
		return reply
	}
	s.account, s.mechanism = account, mechanism
	s.conn.Known()
	return replyAuthOk
}
