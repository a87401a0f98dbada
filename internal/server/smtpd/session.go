package smtpd

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
	"facteur/internal/server/listen"
)

// session is one connection. It belongs to one goroutine and is used again for
// another connection afterwards.
type session struct {
	srv  *Server
	id   string // of this connection, in the log and in journeys
	ctx  context.Context
	conn *listen.Conn
	in   *bufio.Reader // reads through session.Read
	out  []byte        // replies not yet sent
	data smtp.Data

	over   bool   // the session is to end
	err    error  // what the connection failed with
	last   string // the command, for the log: "CONNECT", "RCPT", "END-OF-MESSAGE"
	name   reverseName
	tally  tally
	limits counters

	// The command's time. waiting: its deadline is set. inData: it moves on.
	waiting, inData bool
	deadline        time.Time
	got             int // bytes since deadline was set

	// What the peer said. See reset.
	helo               string
	esmtp              bool   // EHLO, not HELO
	account, mechanism string // after AUTH
	mail               smtp.Mail
	visit              visit       // nil until the first greeting is due
	tx                 transaction // nil outside a transaction
	refused            bool        // a recipient of this transaction was refused
	repeated           int         // recipients of this transaction that were there before
}

// counters are what limits are about; they start again after a message.
type counters struct{ errors, junk, unknown, overshoot int }

// scope is how much a reset forgets.
type scope uint8

const (
	transactionScope scope = iota // RSET, a new greeting, the end of a message
	sessionScope                  // STARTTLS, the end of the connection
)

// reset is where everything is forgotten that a peer told us.
func (s *session) reset(sc scope) {
	if s.tx != nil {
		s.tx.Abort()
	}
	s.tx, s.mail, s.refused, s.repeated = nil, smtp.Mail{}, false, 0
	s.data.Reset(nil, 0)
	if sc == sessionScope {
		s.helo, s.esmtp, s.account, s.mechanism = "", false, "", ""
	}
}

// open makes a session ready for a connection.
func (s *session) open(ctx context.Context, srv *Server, c *listen.Conn) {
	*s = session{srv: srv, id: newID(), ctx: ctx, conn: c, in: s.in, out: s.out[:0], last: "CONNECT"}
	s.in.Reset(s)
	s.name.start(ctx, srv.ReverseName, c.Remote.Addr())
}

// newID names a connection, among all of the days that journeys are kept. It has
// letters beyond F, so that nobody takes it for a queue ID.
func newID() string { return strconv.FormatUint(rand.Uint64(), 36) }

// close ends the session and leaves nothing of it.
func (s *session) close() {
	s.conn.Busy(goodbyeTimeout)
	s.flush() //nolint:errcheck // the connection is over in any case
	s.announceConnect()
	s.srv.Events.Emit(Disconnected{Client: s.client(), tally: s.tally})
	s.reset(sessionScope)
	*s = session{in: s.in, out: s.out[:0]}
	s.in.Reset(nil)
}

// serve is the dialogue.
func (s *session) serve() {
	v, refusal := s.srv.desk.Connect(s.ctx, s.newcomer())
	if refusal != nil {
		s.over = true
		s.answer(refusal)
		return
	}
	defer v.Close()
	s.visit = v
	s.answer(&smtp.Reply{Code: 220, Lines: []string{s.srv.Hostname + " ESMTP facteur"}})
	for !s.over {
		line, err := s.readLine()
		if err != nil {
			s.badLine(err)
			continue
		}
		s.obey(line)
	}
}

// readLine waits for a line; its time starts anew.
func (s *session) readLine() ([]byte, error) {
	s.waiting = false
	return smtp.ReadLine(s.in, maxLine)
}

// Read is where the session waits for the peer, and so where gathered replies
// are sent and the command's deadline is set. It implements io.Reader for s.in.
func (s *session) Read(p []byte) (int, error) {
	if err := s.await(); err != nil {
		return 0, err
	}
	if err := s.flush(); err != nil {
		return 0, err
	}
	n, err := s.conn.Read(p)
	s.got += n
	return n, err
}

// errDraining makes a session end because the server does.
var errDraining = errors.New("shutting down")

// await sets the deadline: once for a command, in data whenever enough arrived.
func (s *session) await() error {
	switch {
	case s.inData:
		s.extend()
	case !s.waiting:
		if !s.conn.Idle(commandTimeout) {
			return errDraining
		}
		s.waiting = true
	}
	return nil
}

// extend gives a peer in DATA a second more for each minDataRate bytes, so that
// large messages get their time and trickles do not (Postfix's
// smtpd_per_request_deadline).
func (s *session) extend() {
	now := time.Now()
	if !s.waiting { // the first read of this message
		s.waiting, s.got = true, 0
		s.deadline = now.Add(commandTimeout)
		s.conn.Busy(commandTimeout)
		return
	}
	if s.got < 32*minDataRate {
		return
	}
	s.deadline = s.deadline.Add(time.Duration(s.got/minDataRate) * time.Second)
	if most := now.Add(commandTimeout); s.deadline.After(most) {
		s.deadline = most
	}
	s.got = 0
	s.conn.Busy(s.deadline.Sub(now))
}

// answer gathers a reply.
func (s *session) answer(r *smtp.Reply) {
	s.out = r.AppendTo(s.out)
	if len(s.out) >= flushAt {
		s.flush() //nolint:errcheck // the next read finds out
	}
}

// flush sends what was gathered.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

// badLine answers for a line that is none, or a connection that broke.
func (s *session) badLine(err error) {
	switch err {
	case smtp.ErrLineTooLong:
		s.tally.add(smtp.Unknown, false)
		s.fault(replyLineTooLong)
	case smtp.ErrLineEnding:
		s.tally.add(smtp.Unknown, false)
		s.fault(replyLineEnding)
	case smtp.ErrLineEndless:
		s.quit("line without end", "", replyLineTooLong)
	default:
		s.lost(err)
	}
}

// fault answers with an error and ends the session when there were too many.
func (s *session) fault(r *smtp.Reply) {
	s.answer(r)
	s.limits.errors++
	s.checkLimits()
}

func (s *session) checkLimits() {
	l := &s.limits
	if !s.over && (l.errors >= maxErrors || l.junk > maxJunk || l.unknown > maxUnknown || l.overshoot >= maxOvershoot) {
		s.quit("too many errors", "", s.srv.goodbye("4.7.0", "Error: too many errors"))
	}
}

// lost ends a session whose connection failed, with a last word where somebody
// may still listen.
func (s *session) lost(err error) {
	switch {
	case err == errDraining, errors.Is(err, os.ErrDeadlineExceeded) && s.conn.Draining():
		s.over = true
		s.answer(s.srv.goodbye("4.3.2", "Service shutting down"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.quit("timeout", "", s.srv.goodbye("4.4.2", "Error: timeout exceeded"))
	case errors.Is(err, smtp.ErrDataEndless):
		s.quit("message without end", "", s.srv.goodbye("4.7.0", "Error: message size exceeds fixed limit"))
	default:
		s.quit("lost connection", "", nil)
	}
}

// quit ends the session for a reason that goes to the log.
func (s *session) quit(reason, text string, r *smtp.Reply) {
	s.over = true
	if r != nil {
		s.answer(r)
	}
	s.announceConnect()
	s.srv.Events.Emit(Dropped{Client: s.client(), Reason: reason, After: s.last, Text: text})
}

func (srv *Server) goodbye(enhanced, text string) *smtp.Reply {
	return smtp.NewReply(421, enhanced, srv.Hostname+" "+text)
}

// newcomer is the peer before the banner, which waits for his name only where the
// desk asks for it.
func (s *session) newcomer() intake.Peer {
	if s.srv.desk.WantsName() {
		return s.peer()
	}
	return intake.Peer{Addr: s.conn.Remote.Addr(), TLS: s.conn.TLS(), Submission: s.srv.Service != SMTP, Session: s.id}
}

// peer is how the desk sees the session.
func (s *session) peer() intake.Peer {
	return intake.Peer{
		Addr: s.conn.Remote.Addr(), Name: s.name.get(), Helo: s.helo, Protocol: s.protocol(),
		TLS: s.conn.TLS(), Account: s.account, Mechanism: s.mechanism, Submission: s.srv.Service != SMTP,
		Session: s.id,
	}
}

// protocol is the "with" of Received: the names of RFC 3848 and RFC 6531 §4.3.
func (s *session) protocol() string {
	if !s.esmtp {
		return "SMTP"
	}
	name := "ESMTP"
	if s.mail.UTF8 {
		name = "UTF8SMTP"
	}
	if s.conn.TLS() != nil {
		name += "S"
	}
	if s.account != "" {
		name += "A"
	}
	return name
}

// secure tells that nobody can listen in: TLS, or both ends on this machine.
func (s *session) secure() bool { return s.conn.TLS() != nil || s.conn.Loopback() }

// early tells that the peer sent more than it may have seen the answer to: it
// does not do SMTP but plays it back (RFC 2920 §3.1).
func (s *session) early() bool { return s.account == "" && s.in.Buffered() > 0 }
