package imapd

import (
	"context"
	"errors"
	"time"

	"facteur/internal/flow/login"
	"facteur/internal/mail/imap"
	"facteur/internal/mail/sasl"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
)

// authFailures is what a session remembers of failed log-ins, for its end and for
// the log.
type authFailures struct {
	count        int
	user, method string // of the last one
}

// maxResponse is the longest line of a SASL exchange, in octets.
const maxResponse = 12 << 10

const (
	errPrivacy    = refusal("[PRIVACYREQUIRED] Only under TLS")
	errAuthFailed = refusal("[AUTHENTICATIONFAILED] Authentication failed")
	errAuthLater  = refusal("[UNAVAILABLE] Authentication is out of order; try again later")
	errLimited    = refusal("[UNAVAILABLE] Too many failed log-ins; try again later")
	errCrowd      = refusal("[LIMIT] Too many connections of this account; close some or try again later")
	errProxy      = refusal("[AUTHORIZATIONFAILED] Authorization as another user is not supported")
	errBinding    = refusal("[AUTHENTICATIONFAILED] The TLS connection is not the one that the client sees")
	errMechanism  = refusal("[CANNOT] Unknown mechanism")
)

func (s *session) canStartTLS() bool {
	return s.server.config.TLS != nil && s.wire.conn.TLS() == nil
}

// applicant is how the gate sees the session.
func (s *session) applicant() login.Peer {
	c := s.wire.conn
	return login.Peer{Addr: c.Remote.Addr(), Service: "imap", TLS: c.TLS(), Loopback: c.Loopback()}
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
	if err != nil {
		s.over = err
		return "", err
	}
	return "", errAnswered
}

// errAnswered is no error: the handler wrote the tagged response itself.
var errAnswered = errors.New("answered")

func (s *session) login(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Login)
	account, r := s.server.config.Gate.Password(ctx, s.applicant(), a.User, a.Password)
	if r != nil {
		return "", s.refused("PLAIN", r)
	}
	return s.letIn(ctx, "PLAIN", a.User, account)
}

// authenticate runs a SASL exchange (RFC 9051 §6.2.2).
func (s *session) authenticate(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Authenticate)
	x, r := s.server.config.Gate.Begin(ctx, s.applicant(), a.Mechanism)
	if r != nil {
		return "", s.refused(a.Mechanism, r)
	}
	defer x.Close()
	if r, err := s.exchange(x, a); r != nil || err != nil {
		switch {
		case r != nil:
			err = s.refused(x.Mechanism(), r)
		case x.Told(): // and hung up
			s.refused(x.Mechanism(), x.Fail(sasl.ErrCanceled)) //nolint:errcheck // nobody is there to hear it
		}
		return "", err
	}
	return s.letIn(ctx, x.Mechanism(), x.User(), x.Account())
}

// exchange asks until the mechanism has what it wants. An error is one of the
// stream, which ends the session.
func (s *session) exchange(x *login.Exchange, a imap.Authenticate) (r *login.Refusal, err error) {
	var response []byte
	if a.HasInitial {
		if response, err = sasl.Decode([]byte(a.Initial)); err != nil {
			return x.Fail(err), nil
		}
	}
	for {
		challenge, done, r := x.Next(response)
		if r != nil || done {
			return r, nil
		}
		line, err := s.ask(challenge)
		if err != nil {
			return nil, err
		}
		if response, err = sasl.Decode(line); err != nil {
			return x.Fail(err), nil
		}
	}
}

// ask sends a challenge and reads the line of the response.
func (s *session) ask(challenge []byte) ([]byte, error) {
	s.enc.Raw("+ " + sasl.Encode(challenge) + "\r\n")
	err := s.enc.Flush()
	if err == nil {
		err = s.wire.await(s.wire.patience(), nil)
	}
	var line []byte
	if err == nil {
		line, err = s.dec.Line(maxResponse)
	}
	if err != nil {
		s.over = err
	}
	return line, err
}

// letIn opens the mailboxes.
func (s *session) letIn(ctx context.Context, method, user string, account directory.Account) (string, error) {
	if err := s.wire.conn.Known(account.Address); err != nil {
		attempt := s.who()
		attempt.User = user
		s.emit(listen.AuthFailed{Who: attempt, Method: method, Why: err})
		return "", errCrowd
	}
	box, err := s.server.config.Open(ctx, account)
	if err != nil {
		return "", s.refused(method, &login.Refusal{Reason: login.Later, User: user, Err: err})
	}
	s.space, s.user, s.bad = box, user, 0
	s.wire.loginBy = time.Time{}
	s.wire.conn.KeepAlive()
	s.dec.SetLimits(imap.AfterLogin())
	s.emit(listen.LoggedIn{Who: s.who(), Method: method})
	return "[CAPABILITY " + s.capabilities() + "] Logged in", nil
}

// refused makes the answer of a refusal, and tells the log of those who tried. The
// gate has made them wait.
func (s *session) refused(method string, r *login.Refusal) error {
	attempt := s.who()
	attempt.User = r.User
	if r.Told || r.Reason == login.Wrong || r.Reason == login.Binding {
		s.emit(listen.AuthFailed{Who: attempt, Method: method})
		s.failures = authFailures{s.failures.count + 1, r.User, method}
		if s.failures.count >= maxAuthFailures && s.over == nil {
			s.over = errTooManyFailures
		}
	}
	switch r.Reason {
	case login.Later, login.Limited:
		s.emit(listen.AuthFailed{Who: attempt, Method: method, Why: r})
	case login.Canceled:
		return &imap.SyntaxError{Text: "AUTHENTICATE: " + sasl.ErrCanceled.Error()}
	case login.Malformed:
		return &imap.SyntaxError{Text: "AUTHENTICATE: " + sasl.ErrSyntax.Error()}
	}
	return authAnswers[r.Reason]
}

// authAnswers are what is said of each refusal.
var authAnswers = [...]refusal{
	login.Wrong: errAuthFailed, login.Later: errAuthLater, login.Limited: errLimited, login.Proxy: errProxy,
	login.Binding: errBinding, login.NeedsTLS: errPrivacy, login.Unknown: errMechanism,
}

// unauthenticate puts the connection where it was before the log-in, but for its TLS
// (RFC 8437). Compression ends with the line end of the command, and with that of the
// answer; what came after the command is of nobody, and is forgotten if it was
// compressed.
func (s *session) unauthenticate(_ context.Context, c imap.Command) (string, error) {
	if s.dec.Buffered() > 0 && s.wire.deflate != nil {
		s.over = &imap.FatalError{Text: "Nothing may follow UNAUTHENTICATE under compression"}
		return "", s.over
	}
	s.over = errUnauthenticated
	s.depart()
	s.over, s.personal, s.bad = nil, personal{}, 0
	s.began, s.wire.loginBy = time.Now(), time.Now().Add(loginTime)
	s.wire.in, s.wire.out = 0, 0
	s.dec.SetLimits(imap.BeforeLogin())
	s.useNames()
	if err := s.wire.conn.Unknown(); err != nil {
		s.over = &imap.FatalError{Text: err.Error()}
		return "", s.over
	}
	s.tagged(c.Tag, "OK [CAPABILITY "+s.capabilities()+"] Logged out")
	if s.over = s.enc.Flush(); s.over == nil && s.wire.deflate != nil {
		s.wire.deflate = nil
		s.wire.trailer = maxTrailer
		s.wire.clear()
	}
	return "", errAnswered
}
