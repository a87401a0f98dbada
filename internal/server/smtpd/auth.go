package smtpd

import (
	"bytes"
	"strings"

	"facteur/internal/flow/login"
	"facteur/internal/mail/sasl"
	"facteur/internal/mail/smtp"
)

// maxAuthLine is how long a line of AUTH may be, the command with its initial
// response or a later response, in octets with CRLF (RFC 4954 §4).
const maxAuthLine = 12288

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
	replyAuthTold     = smtp.NewReply(501, "5.7.0", "Authentication aborted, after the password was found to be right")
	replyAuthProxy    = smtp.NewReply(535, "5.7.8", "Error: authorization as another user is not supported")
	replyAuthWrong    = smtp.NewReply(535, "5.7.8", "Error: authentication failed: wrong user name or password")
	replyAuthCert     = smtp.NewReply(535, "5.7.8", "Error: authentication failed: the certificate does not stand for this account")
	replyAuthBinding  = smtp.NewReply(535, "5.7.8", "Error: authentication failed: the TLS connection is not the one that the client sees")
	replyAuthLater    = smtp.NewReply(454, "4.7.0", "Temporary authentication failure")
	replyAuthCrowd    = smtp.NewReply(454, "4.7.0", "Error: too many connections of this account; close some or try again later")
	replyAuthLimited  = smtp.NewReply(454, "4.7.0", "Error: too many failed log-ins; try again later")
)

// authReplies are what is said of each refusal.
var authReplies = [...]*smtp.Reply{
	login.Wrong: replyAuthWrong, login.Later: replyAuthLater, login.Limited: replyAuthLimited,
	login.Canceled: replyAuthCanceled, login.Malformed: replyAuthData, login.Proxy: replyAuthProxy,
	login.Binding: replyAuthBinding, login.NeedsTLS: replyAuthNeedTLS, login.Unknown: replyAuthUnknown,
}

// mayAuth tells whether this door is for people who log in.
func (s *session) mayAuth() bool {
	switch s.srv.Service {
	case SMTP:
		return s.srv.Gate != nil && s.srv.AuthOnSMTP
	case LMTP, Local:
		return false
	}
	return s.srv.Gate != nil
}

// applicant is how the gate sees the session.
func (s *session) applicant() login.Peer {
	return login.Peer{Addr: s.addr, Service: "smtp", TLS: s.conn.TLS(), Loopback: s.conn.Loopback()}
}

// mechanisms are those offered in this session.
func (s *session) mechanisms() []string {
	if !s.mayAuth() {
		return nil
	}
	return s.srv.Gate.Mechanisms(s.applicant())
}

// mayBeLong tells of a line that it may be longer than others.
func (s *session) mayBeLong(line []byte) bool {
	const verb = "AUTH "
	return s.mayAuth() && s.secure() && len(line) > len(verb) && strings.EqualFold(string(line[:len(verb)]), verb)
}

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
	exchange, refusal := s.srv.Gate.Begin(s.ctx, s.applicant(), string(word))
	if refusal != nil {
		return authReplies[refusal.Reason]
	}
	defer exchange.Close()
	var response []byte
	if given {
		var err error
		if response, err = sasl.Decode(initial); err != nil {
			return s.authRefused(exchange, exchange.Fail(err))
		}
	}
	return s.exchange(exchange, response)
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

// exchange runs a mechanism to its end. When the connection fails it returns no
// reply and the session is over.
func (s *session) exchange(x *login.Exchange, response []byte) *smtp.Reply {
	for {
		challenge, done, refusal := x.Next(response)
		switch {
		case refusal != nil:
			return s.authRefused(x, refusal)
		case done:
			return s.letIn(x)
		}
		s.answer(&smtp.Reply{Code: 334, Lines: []string{sasl.Encode(challenge)}})
		line, err := s.readResponse()
		switch err {
		case nil:
			response, err = sasl.Decode(line)
		case smtp.ErrLineTooLong, smtp.ErrLineEnding:
			err = sasl.ErrSyntax
		default:
			if x.Told() {
				s.authRefused(x, x.Fail(sasl.ErrCanceled))
			}
			s.badLine(err)
			return nil
		}
		if err != nil {
			return s.authRefused(x, x.Fail(err))
		}
	}
}

// letIn makes the session that of an account.
func (s *session) letIn(x *login.Exchange) *smtp.Reply {
	account := x.Account().Address
	if err := s.conn.Known(account); err != nil {
		s.srv.Events.Emit(AuthFailed{Client: s.client(), Mechanism: x.Mechanism(), User: clean([]byte(x.User())), Reply: replyAuthCrowd, Why: err})
		return replyAuthCrowd
	}
	s.account, s.mechanism = account, x.Mechanism()
	return replyAuthOk
}

// readResponse waits for a line that is no command; its time starts anew.
func (s *session) readResponse() ([]byte, error) {
	s.waiting = false
	return smtp.ReadLine(s.in, maxAuthLine)
}

// authRefused tells the log of an attempt that failed, and finds the reply. What
// the client gave up or garbled proves nothing, unless it had heard before that its
// password is right.
func (s *session) authRefused(x *login.Exchange, r *login.Refusal) *smtp.Reply {
	reply := authReplies[r.Reason]
	switch {
	case r.Told:
		reply = replyAuthTold
	case r.Reason == login.Barred:
		reply = smtp.NewReply(454, "4.7.0", "Error: "+r.Err.Error())
	case r.Reason == login.Wrong && x.Mechanism() == sasl.EXTERNAL:
		reply = replyAuthCert
	}
	if r.Told || r.Reason != login.Canceled && r.Reason != login.Malformed && r.Reason != login.Proxy {
		s.srv.Events.Emit(AuthFailed{Client: s.client(), Mechanism: x.Mechanism(), User: clean([]byte(r.User)), Reply: reply, Why: r.Err})
	}
	return reply
}
