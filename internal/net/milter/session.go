package milter

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// Session is one SMTP dialogue as one milter sees it. It connects when it first
// has something to tell. A milter that hung up between two messages is called again;
// one that could not be reached, or broke off, is tried again after the next Reset: it hears of the client and its name then. Until
// that each step gives the same error: there is no verdict. It belongs to one
// goroutine.
type Session struct {
	cfg    Config
	conn   *Conn
	client Client
	helo   string
	// over: it accepted the connection. passed: it accepted or discarded the
	// message. mail: it has heard of one.
	over, passed, mail bool
	// broken is why there is no verdict, until the next Reset.
	broken error
}

// errNoMessage says that a step of a message came without its MAIL.
var errNoMessage = errors.New("no message under way")

// NewSession begins a dialogue; nothing is connected yet.
func NewSession(cfg Config) *Session { return &Session{cfg: cfg.withDefaults()} }

// Connect tells of the client.
func (s *Session) Connect(ctx context.Context, client Client, m Macros) (Verdict, error) {
	s.client = client
	return s.open(ctx, m)
}

// Helo tells of HELO or EHLO.
func (s *Session) Helo(ctx context.Context, name string, m Macros) (Verdict, error) {
	s.helo = name
	switch {
	case s.over:
		return Verdict{}, nil
	case s.broken != nil:
		return Verdict{}, s.broken
	case s.conn == nil:
		return s.open(ctx, m) // says the name, too
	}
	return s.before(s.conn.Helo(ctx, name, m))
}

// open connects and tells what there was before the first message.
func (s *Session) open(ctx context.Context, m Macros) (v Verdict, err error) {
	if s.conn, err = Dial(ctx, s.cfg); err != nil {
		s.conn, s.broken = nil, err
		return Verdict{}, err
	}
	v, err = s.before(s.conn.Connect(ctx, s.client, m))
	if err == nil && v.Kind == Continue && s.helo != "" {
		v, err = s.before(s.conn.Helo(ctx, s.helo, m))
	}
	return v, err
}

// before takes note of an answer before the first message.
func (s *Session) before(v Verdict, err error) (Verdict, error) {
	switch {
	case err != nil:
		s.drop()
		s.broken = err
	case v.Kind == Discard:
		s.drop() // there is nothing yet to discard
		s.broken = errMalformed
		return Verdict{}, s.broken
	case v.Kind == Accept:
		s.over = true
		s.hangUp()
	}
	return v, err
}

// Mail begins a message. args are the sender in angle brackets and the parameters.
func (s *Session) Mail(ctx context.Context, args []string, m Macros) (Verdict, error) {
	s.passed = false
	switch {
	case s.over:
		return Verdict{}, nil
	case s.broken != nil:
		return Verdict{}, s.broken
	case s.conn == nil:
		if v, err := s.open(ctx, m); err != nil || v.Kind != Continue {
			return v, err
		}
	}
	s.mail = true
	v, err := s.conn.Mail(ctx, args, m)
	if hungUp(err) {
		// It was restarted, or tired of waiting, between two messages.
		s.drop()
		if v, err = s.open(ctx, m); err != nil || v.Kind != Continue {
			s.mail = false
			return v, err
		}
		v, err = s.conn.Mail(ctx, args, m)
	}
	return s.within(v, err)
}

// hungUp tells that the milter has closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, errTorn) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// Rcpt tells of a recipient, as Mail does of the sender.
func (s *Session) Rcpt(ctx context.Context, args []string, m Macros) (Verdict, error) {
	if idle, err := s.idle(); idle {
		return Verdict{}, err
	}
	return s.within(s.conn.Rcpt(ctx, args, m))
}

// Data tells of DATA.
func (s *Session) Data(ctx context.Context, m Macros) (Verdict, error) {
	if idle, err := s.idle(); idle {
		return Verdict{}, err
	}
	return s.within(s.conn.Data(ctx, m))
}

// Message shows the message; after it the milter awaits the next one.
func (s *Session) Message(ctx context.Context, l Letter, m Macros) (Verdict, error) {
	if idle, err := s.idle(); idle {
		return Verdict{}, err
	}
	v, ended, err := s.conn.Message(ctx, l, m)
	s.mail = !ended // else Reset says that it is over
	return s.within(v, err)
}

// Unknown tells of a command that the server does not know.
func (s *Session) Unknown(ctx context.Context, line string) (Verdict, error) {
	if s.over || s.conn == nil || s.passed {
		return Verdict{}, nil
	}
	return s.within(s.conn.Unknown(ctx, line))
}

// idle tells that there is nothing to ask, and the error if there should be.
func (s *Session) idle() (bool, error) {
	switch {
	case s.over || s.passed:
		return true, nil
	case s.broken != nil:
		return true, s.broken
	case s.conn == nil || !s.mail:
		return true, errNoMessage
	}
	return false, nil
}

// within takes note of an answer about a message.
func (s *Session) within(v Verdict, err error) (Verdict, error) {
	if err != nil {
		s.drop()
		s.broken = err
		return Verdict{}, err
	}
	if v.Kind == Accept || v.Kind == Discard {
		s.passed = true
	}
	return v, nil
}

// drop lets go of a connection that nothing more can be said on.
func (s *Session) drop() {
	if s.conn != nil {
		s.conn.nc.Close()
	}
	s.conn = nil
}

// parting is how long a farewell may take.
const parting = time.Second

// Reset ends the message, whatever became of it.
func (s *Session) Reset() {
	if s.mail && s.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), parting)
		defer cancel()
		if s.conn.Abort(ctx) != nil {
			s.drop()
		}
	}
	s.mail, s.passed, s.broken = false, false, nil
}

// Close ends the dialogue.
func (s *Session) Close() {
	s.hangUp()
	s.over = true
}

func (s *Session) hangUp() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), parting)
	defer cancel()
	s.conn.Close(ctx)
	s.conn = nil
}
