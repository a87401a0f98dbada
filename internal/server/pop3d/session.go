package pop3d

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/pop3"
	"facteur/internal/server/listen"
	"facteur/internal/store/mailbox"
)

// session is one connection. One goroutine runs it.
type session struct {
	server *Server
	wire   *wire
	rules  *Rules
	id     string // for the log, and for people who ask about an error

	began    time.Time
	named    string // by USER
	hasNamed bool
	failures authFailures
	bad      int   // commands that made no sense
	over     error // why the session ends; errQuit if the client wished it

	user    string
	name    string           // of the account
	account *mailbox.Account // nil before the log-in
	hold    *hold
	drop    *maildrop
	counts  counts
}

// counts is what Dovecot's log tells of a session.
type counts struct {
	top, retr           int
	topBytes, retrBytes int64
	deleted             int
}

// Why sessions end.
var (
	errQuit            = errors.New("logged out")
	errTooManyBad      = errors.New("too many bad commands")
	errTooManyFailures = errors.New("too many failed log-ins")
	errTakenOver       = errors.New("another session wanted the maildrop")
)

// refusal is the text of -ERR.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

// nonsense is a refusal that counts as a bad command.
type nonsense string

// Error implements error.
func (n nonsense) Error() string { return string(n) }

func newSession(srv *Server, c *listen.Conn) *session {
	return &session{server: srv, wire: newWire(srv, c), rules: srv.config.Rules(), id: newID(), began: time.Now()}
}

// newID is 64 random bits, short enough to be read out on the telephone.
func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *session) run(ctx context.Context) {
	defer s.end(ctx)
	s.wire.say("+OK " + s.server.config.Hostname + " POP3 ready")
	for s.over == nil {
		line, err := s.next(pop3.MaxLine)
		switch {
		case err == nil:
			s.command(ctx, line)
		case err == errLong:
			s.answer(nonsense("Line too long"))
		default:
			s.over = err
		}
	}
}

// next waits for a line and reads it.
func (s *session) next(most int) ([]byte, error) {
	s.server.config.Maildrops.waits(s.hold, true)
	err := s.wire.await(s.patience())
	s.server.config.Maildrops.waits(s.hold, false)
	if errors.Is(err, listen.ErrNudged) {
		return nil, errTakenOver
	}
	if err != nil {
		return nil, err
	}
	return s.wire.line(most)
}

// patience is how long the client may take for its next command.
func (s *session) patience() time.Duration {
	if s.account == nil {
		return time.Until(s.began.Add(loginTime))
	}
	return idleTime
}

// command carries one out and answers, unless that was done on the way.
func (s *session) command(ctx context.Context, line []byte) {
	c, err := pop3.Parse(line)
	if err != nil {
		s.answer(nonsense("Malformed command"))
		return
	}
	if s.account != nil {
		s.wire.act()
	}
	h := s.handler(c.Name)
	if h == nil {
		s.answer(nonsense("Unknown command"))
		return
	}
	s.answer(h(ctx, c))
}

// handler acts on a command. It writes the positive answer itself.
type handler func(context.Context, pop3.Command) error

func (s *session) handler(name string) handler {
	switch name {
	case "CAPA":
		return s.capa
	case "QUIT":
		return s.quit
	}
	if s.account == nil {
		return s.authorization(name)
	}
	return s.transaction(name)
}

// authorization is the commands before the log-in.
func (s *session) authorization(name string) handler {
	switch name {
	case "USER":
		return s.userName
	case "PASS":
		return s.pass
	case "AUTH":
		return s.auth
	case "STLS":
		return s.stls
	}
	return nil
}

// transaction is the commands after it.
func (s *session) transaction(name string) handler {
	switch name {
	case "STAT":
		return s.stat
	case "LIST":
		return s.list
	case "UIDL":
		return s.uidl
	case "RETR":
		return s.retr
	case "TOP":
		return s.top
	case "DELE":
		return s.dele
	case "RSET":
		return s.rset
	case "NOOP":
		return s.noop
	}
	return nil
}

// answer tells of an error; nil was answered already.
func (s *session) answer(err error) {
	var no refusal
	var bad nonsense
	switch {
	case err == nil:
		s.bad = max(0, s.bad-1)
		return
	case s.over != nil && s.over != errTooManyFailures:
		return // nobody is there to hear it
	case errors.As(err, &no):
		s.wire.say("-ERR " + string(no))
		return
	case errors.As(err, &bad):
		s.countBad()
		s.wire.say("-ERR " + string(bad))
		return
	case errors.Is(err, mailbox.ErrGone), errors.Is(err, mailbox.ErrMailboxGone):
		s.wire.say("-ERR The message is gone; another session removed it")
		return
	}
	if !errors.Is(err, context.Canceled) {
		s.emit(Failed{Who: s.who(), Err: err})
	}
	s.wire.say("-ERR [SYS/TEMP] Something went wrong here; ask about session " + s.id)
}

// countBad ends the session of a client that does not speak POP3.
func (s *session) countBad() {
	most := maxBad
	if s.account == nil {
		most = maxBadBeforeLogin
	}
	if s.bad++; s.bad >= most && s.over == nil {
		s.over = errTooManyBad
	}
}

// end gives everything back.
func (s *session) end(ctx context.Context) {
	text := farewell(s.over)
	if text != "" {
		s.wire.say("-ERR " + text)
	}
	s.leave(ctx) // before the answer to QUIT is sent: the client may come back at once
	s.wire.close()
	if text != "" && s.over != errDrained {
		s.wire.conn.HangUp() //nolint:errcheck // the client may still be sending
	}
}

// leave gives the maildrop back, and tells of the end.
func (s *session) leave(ctx context.Context) {
	if s.drop != nil {
		if err := s.drop.markSeen(ctx); err != nil && !errors.Is(err, mailbox.ErrMailboxGone) {
			s.emit(Failed{Who: s.who(), Err: err})
		}
		s.drop.view.Close() //nolint:errcheck // the next session finds out
	}
	if s.account != nil {
		s.account.Close() //nolint:errcheck // as above
	}
	s.server.config.Maildrops.release(s.name, s.hold)
	s.sayEnd()
}

// farewell is the text of a last -ERR, "" for an end that the client knows of.
func farewell(why error) string {
	switch {
	case errors.Is(why, errDrained):
		return "[SYS/TEMP] Server is shutting down"
	case errors.Is(why, os.ErrDeadlineExceeded):
		return "Disconnected for inactivity"
	case errors.Is(why, errTooManyBad), errors.Is(why, errTooManyFailures), errors.Is(why, errFlood):
		return "Too many errors"
	case errors.Is(why, errTakenOver):
		return "[IN-USE] Another session took over"
	}
	return ""
}

// ended says whether the peer just went away.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (s *session) emit(e event.Event) { s.server.config.Events.Emit(e) }
