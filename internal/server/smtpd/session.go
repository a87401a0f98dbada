package smtpd

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/intake"
	"facteur/internal/mail/address"
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
	abrupt bool   // and not by the peer's wish: he may be sending still
	last   string // the command, for the log: "CONNECT", "RCPT", "END-OF-MESSAGE"
	name   reverseName
	tally  tally
	limits counters
	story  *transcript // nil: nobody wants it

	// The command's time. waiting: its deadline is set. inData: it moves on. timed:
	// it is that of a message, which has one from its first byte to its last, in
	// however many chunks it comes. silent: replies wait (the peer is listened to, and
	// not answered).
	waiting, inData, timed, silent bool
	deadline                       time.Time
	got                            int // bytes since deadline was set

	// Who the peer is: his address, or the one that he speaks for (XCLIENT), and on
	// a Unix socket the user.
	addr    netip.Addr
	user    *intake.LocalUser
	rules   *Rules
	remarks []intake.Remark
	barred  bool // his recipients are refused, for what he did
	guesses int  // recipients that do not exist
	known   int  // and that do
	mails   int  // transactions

	// What the peer said. See reset.
	visit              visit // nil until the banner is due
	helo               string
	esmtp              bool            // EHLO or LHLO, not HELO
	offered            smtp.Extensions // what the greeting was answered with
	account, mechanism string          // after AUTH
	forward            *intake.Forwarded
	mail               smtp.Mail
	tx                 transaction       // nil outside a transaction
	refused            bool              // a recipient of this transaction was refused
	taken              int               // RCPT that were answered with 250
	repeated           int               // those among them that were there before
	to                 []address.Address // of all those, where each has an answer of his own
	chunks             *chunks           // nil unless the message comes by BDAT
}

// counters are what limits are about; they start again after a message.
type counters struct{ errors, junk, unknown, overshoot int }

// scope is how much a reset forgets.
type scope uint8

const (
	transactionScope scope = iota // RSET, a new greeting, the end of a message
	sessionScope                  // STARTTLS
	visitScope                    // XCLIENT, the end of the connection
)

// reset is where everything is forgotten that a peer told us.
func (s *session) reset(sc scope) {
	if s.tx != nil {
		s.tx.Abort()
	}
	s.tx, s.mail, s.refused, s.taken, s.repeated, s.to, s.chunks = nil, smtp.Mail{}, false, 0, 0, nil, nil
	s.forward, s.timed = nil, false
	s.data.Reset(nil, 0)
	if sc >= sessionScope {
		s.helo, s.esmtp, s.account, s.mechanism, s.offered = "", false, "", "", smtp.Extensions{}
	}
	if sc >= visitScope && s.visit != nil {
		s.visit.Close()
		s.visit = nil
	}
}

// open makes a session ready for a connection.
func (s *session) open(ctx context.Context, srv *Server, c *listen.Conn) {
	*s = session{srv: srv, id: newID(), ctx: ctx, conn: c, in: s.in, out: s.out[:0], last: "CONNECT",
		addr: c.Remote.Addr(), rules: srv.Rules()}
	if s.rules.Transcripts {
		s.story = &transcript{topics: make(map[event.Topic]bool)}
	}
	s.in.Reset(s)
	s.name.start(ctx, srv.ReverseName, s.addr)
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
	s.story.tell(s.client(), s.srv.Events)
	s.reset(visitScope)
	if s.abrupt {
		s.conn.HangUp() //nolint:errcheck // it is closed, however that went
	}
	*s = session{in: s.in, out: s.out[:0]}
	s.in.Reset(nil)
}

// serve is the dialogue.
func (s *session) serve() {
	if !s.admit() {
		return
	}
	switch {
	case s.stranger():
		s.screen()
	case s.srv.Service == Submission && s.conn.Ready():
		// Users' programs may be as bad as they like; it is only written down.
		s.preGreeted(0, Ignore)
	}
	if !s.over {
		s.greet()
	}
	for !s.over {
		line, err := s.readLine()
		if err != nil {
			s.badLine(err)
			continue
		}
		s.obey(line)
	}
}

// Replies to those who are not let in.
var (
	replyStrangerLMTP = smtp.NewReply(554, "5.7.1", "Error: LMTP is for the servers of this site only")
	replyNobody       = smtp.NewReply(421, "4.3.0", "Error: the system does not say who you are")
)

// admit looks at who is there, where the service is not for everybody.
func (s *session) admit() bool {
	switch s.srv.Service {
	case LMTP:
		if s.conn.Remote.IsValid() && !s.rules.LMTPStrangers && !s.trusted() {
			s.quit("LMTP from a stranger", "", replyStrangerLMTP)
		}
	case Local:
		cred, err := s.conn.Peercred()
		if err != nil {
			s.quit("no credentials: "+err.Error(), "", replyNobody)
			break
		}
		s.user = &intake.LocalUser{UID: cred.UID}
		if s.srv.UserName != nil {
			s.user.Name = s.srv.UserName(cred.UID)
		}
	}
	return !s.over
}

// greet opens a visit at the desk and answers with the banner, or with what the
// desk has against the client.
func (s *session) greet() {
	v, refusal := s.srv.desk.Connect(s.ctx, s.newcomer())
	if refusal != nil {
		s.over, s.abrupt = true, true
		s.answer(refusal)
		s.announceConnect()
		s.rejected("CONNECT", address.Address{}, nil, refusal)
		return
	}
	s.visit = v
	s.answer(s.srv.banner)
}

// readLine waits for a line; its time starts anew.
func (s *session) readLine() ([]byte, error) {
	s.waiting = false
	if s.helo == "" {
		if err := s.listenForSMTP(); err != nil {
			return nil, err
		}
	}
	line, err := smtp.ReadLine(s.in, maxAuthLine)
	if len(line) > maxLine-len("\r\n") && !s.mayBeLong(line) {
		return nil, smtp.ErrLineTooLong
	}
	return line, err
}

// Read is where the session waits for the peer, and so where gathered replies
// are sent and the command's deadline is set. It implements io.Reader for s.in.
func (s *session) Read(p []byte) (int, error) {
	if err := s.await(); err != nil {
		return 0, err
	}
	if !s.silent {
		if err := s.flush(); err != nil {
			return 0, err
		}
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
		if !s.conn.Idle(s.patience()) {
			return errDraining
		}
		s.waiting = true
	}
	return nil
}

// patience is how long a command may take. Under stress, whoever says nothing soon
// makes room (Postfix's smtpd_timeout). Between the chunks of a message its clock goes
// on.
func (s *session) patience() time.Duration {
	d := commandTimeout
	if s.conn.Stress() && !s.spared() {
		d = stressTimeout
	}
	if s.timed {
		d = min(d, time.Until(s.deadline))
	}
	return d
}

// extend gives a peer in DATA a second more for each minDataRate bytes, so that
// large messages get their time and trickles do not (Postfix's
// smtpd_per_request_deadline).
func (s *session) extend() {
	now := time.Now()
	if !s.timed { // the first read of this message
		s.timed, s.waiting, s.got = true, true, 0
		s.deadline = now.Add(commandTimeout)
		s.conn.Busy(commandTimeout)
		return
	}
	if !s.waiting { // of another chunk
		s.waiting = true
		s.conn.Busy(s.deadline.Sub(now))
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
	from := len(s.out)
	s.out = r.AppendTo(s.out)
	s.story.said(s.out[from:])
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
	case errNotSMTP: // all is said
	case smtp.ErrLineTooLong:
		s.tally.add(smtp.Unknown, false)
		s.fault(replyLineTooLong)
	case smtp.ErrLineEnding:
		s.tally.add(smtp.Unknown, false)
		s.bareNewline()
	case smtp.ErrLineEndless:
		s.quit("line without end", "", replyLineTooLong)
	default:
		s.lost(err)
	}
}

// fault answers with an error, the later the more there were, and ends the session
// when there were too many.
func (s *session) fault(r *smtp.Reply) {
	s.limits.errors++
	if s.limits.errors-s.madeGood() > s.rules.SoftErrors && !s.spared() {
		s.tarpit(s.rules.ErrorSleep)
	}
	if s.over {
		return
	}
	s.answer(r)
	s.checkLimits()
}

func (s *session) checkLimits() {
	if s.over {
		return
	}
	l, hard, junk := &s.limits, s.rules.HardErrors, s.rules.Junk
	if s.conn.Stress() && !s.spared() {
		hard, junk = stressErrors, stressJunk
	}
	if l.errors-s.madeGood() >= hard || l.junk > junk || l.unknown > maxUnknown || l.overshoot >= maxOvershoot {
		s.quit("too many errors", "", s.srv.goodbye("4.7.0", "Error: too many errors"))
	}
}

// lost ends a session whose connection failed, with a last word where somebody
// may still listen.
func (s *session) lost(err error) {
	switch {
	case err == errDraining, errors.Is(err, os.ErrDeadlineExceeded) && s.conn.Draining():
		s.over, s.abrupt = true, true
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
		s.abrupt = true
		s.answer(r)
	}
	s.announceConnect()
	e := Dropped{Client: s.client(), Reason: reason, After: s.last, Text: text}
	s.story.about(e)
	s.srv.Events.Emit(e)
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
	return intake.Peer{Addr: s.addr, TLS: s.conn.TLS(), Submission: s.submission(), Session: s.id,
		Service: s.srv.Service.String(), Server: s.conn.Local, PerRecipient: s.srv.Service == LMTP, User: s.user, Remarks: s.remarks, Device: s.srv.Device,
		MayLogIn: s.srv.AuthOnSMTP, Decoy: s.srv.Decoy}
}

// peer is how the desk sees the session.
func (s *session) peer() intake.Peer {
	return intake.Peer{
		Addr: s.addr, Name: s.name.get(), Helo: s.helo, Protocol: s.protocol(),
		TLS: s.conn.TLS(), Account: s.account, Mechanism: s.mechanism, Submission: s.submission(),
		Session: s.id, PerRecipient: s.srv.Service == LMTP, User: s.user, Remarks: s.remarks, Forwarded: s.forward,
		Device: s.srv.Device, Service: s.srv.Service.String(), Port: s.port(), Server: s.conn.Local,
		MayLogIn: s.srv.AuthOnSMTP, Decoy: s.srv.Decoy,
	}
}

// port is the client's; 0 where another server speaks for him (XCLIENT).
func (s *session) port() uint16 {
	if s.conn.Remote.Addr() != s.addr {
		return 0
	}
	return s.conn.Remote.Port()
}

// protocol is the "with" of Received: the names of RFC 3848 and RFC 6531 §4.3.
func (s *session) protocol() string {
	name := s.srv.Service.protocol()
	if !s.esmtp {
		return "SMTP"
	}
	if s.mail.UTF8 {
		name = "UTF8" + strings.TrimPrefix(name, "E")
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
