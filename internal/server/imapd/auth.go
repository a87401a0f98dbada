package imapd

import (
	"context"
	"errors"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/imap"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/mailbox"
)

// authFailures is what a session remembers of failed log-ins, for the delay and
// for the log.
type authFailures struct {
	count        int
	user, method string // of the last one
}

// maxResponse is the longest line of a SASL exchange, in octets.
const maxResponse = 4 << 10

const (
	errPrivacy    = refusal("[PRIVACYREQUIRED] Only under TLS")
	errAuthFailed = refusal("[AUTHENTICATIONFAILED] Authentication failed")
	errAuthLater  = refusal("[UNAVAILABLE] Authentication is out of order; try again later")
)

func (s *session) canStartTLS() bool {
	return s.server.config.TLS != nil && s.wire.conn.TLS() == nil
}

// mayLogin says whether a password is safe on this connection.
func (s *session) mayLogin() bool {
	return s.wire.conn.TLS() != nil || s.wire.conn.Loopback()
}

// startTLS ends the session if the client, or somebody in between, sent more
// than the command: it must not count as said under TLS (ATTACKS SMTP-009,
// IMAP-016).
func (s *session) startTLS(ctx context.Context, c imap.Command) (string, error) {
	if !s.canStartTLS() {
		return "", refusal("[CANNOT] TLS is not available")
	}
	if s.dec.Buffered() > 0 {
		s.over = &imap.FatalError{Text: "Nothing may follow STARTTLS"}
		return "", s.over
	}
	s.tagged(c.Tag, "OK Begin TLS")
	err := s.enc.Flush()
	if err == nil {
		err = s.wire.startTLS(s.server.config.TLS)
	}
	s.useWire()
	if err != nil {
		s.over = err
		return "", err
	}
	return "", errAnswered
}

// errAnswered is no error: the handler wrote the tagged response itself.
var errAnswered = errors.New("answered")

func (s *session) login(ctx context.Context, c imap.Command) (string, error) {
	if !s.mayLogin() {
		return "", errPrivacy
	}
	a := c.Args.(imap.Login)
	return s.check(ctx, "PLAIN", sasl.Credentials{User: a.User, Password: a.Password})
}

// authenticate runs a SASL exchange (RFC 9051 §6.2.2).
func (s *session) authenticate(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Authenticate)
	var cred sasl.Credentials
	mech := sasl.NewServer(a.Mechanism, sasl.Judge{Password: func(c sasl.Credentials) error { cred = c; return nil }})
	if mech == nil {
		return "", refusal("[CANNOT] Unknown mechanism")
	}
	if !s.mayLogin() {
		return "", errPrivacy
	}
	if err := s.exchange(mech, a); err != nil {
		return "", err
	}
	return s.check(ctx, a.Mechanism, cred)
}

// exchange asks until the mechanism has what it wants. Its errors are the
// client's, but for those of the stream, which end the session.
func (s *session) exchange(mech sasl.Server, a imap.Authenticate) error {
	var response []byte
	var err error
	if a.HasInitial {
		response, err = sasl.Decode([]byte(a.Initial))
	}
	for err == nil {
		challenge, done, e := mech.Next(response)
		if err = e; err == nil && done {
			return nil
		}
		if err == nil {
			response, err = s.ask(challenge)
		}
	}
	if s.over == nil {
		err = &imap.SyntaxError{Text: "AUTHENTICATE: " + err.Error()}
	}
	return err
}

// ask sends a challenge and reads the response.
func (s *session) ask(challenge []byte) ([]byte, error) {
	s.enc.Raw("+ " + sasl.Encode(challenge) + "\r\n")
	err := s.enc.Flush()
	if err == nil {
		err = s.wire.await()
	}
	var line []byte
	if err == nil {
		line, err = s.dec.Line(maxResponse)
	}
	if err != nil {
		s.over = err
		return nil, err
	}
	return sasl.Decode(line)
}

// check asks whether the password is right, and lets the user in.
func (s *session) check(ctx context.Context, method string, c sasl.Credentials) (string, error) {
	answer := lookup.No[*mailbox.Account](nil)
	if c.User != "" && c.Password != "" { // an empty password proves nothing to some directories, and lets in
		answer = s.server.config.Login(ctx, s.wire.conn.Remote.Addr(), c.User, c.Password)
	}
	if answer.State() == lookup.Found {
		s.letIn(method, c.User)
		s.account = answer.Value()
		return "[CAPABILITY " + s.capabilities() + "] Logged in", nil
	}
	attempt := s.who()
	attempt.User = c.User
	if answer.State() == lookup.TryAgain {
		s.emit(AuthFailed{who: attempt, Method: method, Why: answer.Err()})
		return "", errAuthLater
	}
	s.emit(AuthFailed{who: attempt, Method: method})
	s.failures = authFailures{s.failures.count + 1, c.User, method}
	return "", s.punish(ctx)
}

func (s *session) letIn(method, user string) {
	s.user = user
	s.bad = 0
	s.wire.loginBy = time.Time{}
	s.dec.SetLimits(imap.AfterLogin())
	s.wire.conn.Known()
	s.emit(LoggedIn{who: s.who(), Method: method})
}

// punish makes guessing slow. The wait is the same for a wrong user and a wrong
// password.
func (s *session) punish(ctx context.Context) error {
	select {
	case <-time.After(failureDelay):
	case <-ctx.Done():
	}
	if s.failures.count >= maxAuthFailures && s.over == nil {
		s.over = errTooManyFailures
	}
	return errAuthFailed
}
