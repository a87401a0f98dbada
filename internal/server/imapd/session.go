package imapd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// session is one connection. One goroutine runs it.
type session struct {
	server *Server
	wire   *wire
	dec    *imap.Decoder
	enc    *imap.Encoder
	id     string // for the log, and for people who ask about an error

	began      time.Time
	notices    *notice // what NOTIFY asked for, nil before it
	failures   authFailures
	bad        int   // commands that made no sense
	identified bool  // the log has what ID told
	over       error // why the session ends; errLogout if the client wished it

	personal
}

// personal is what a session has of the user who logged in. All of it goes at once
// when he logs out and the connection stays (UNAUTHENTICATE), so that nobody gets to
// see what another left (ATTACKS IMAP-024): whatever a command keeps stands here.
type personal struct {
	counts   counts
	user     string
	space    *namespace.Space // nil before the log-in
	view     *mailbox.View    // nil unless a mailbox is selected
	enables  extension        // what ENABLE, or a command that implies it, has switched on
	searches                  // in that mailbox
}

// errLogout ends a session as it should.
var errLogout = errors.New("logged out")

// errUnauthenticated ends what a user has of a session, and not the session.
var errUnauthenticated = errors.New("unauthenticated")

func newSession(srv *Server, w *wire) *session {
	return &session{server: srv, wire: w, dec: w.dec, enc: w.enc, id: newID(), began: time.Now()}
}

// newID is 64 random bits, short enough to be read out on the telephone.
func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *session) run(ctx context.Context) {
	defer s.end(ctx)
	s.untagged("OK [CAPABILITY " + s.capabilities() + "] " + s.server.config.Hostname + " ready")
	for s.over == nil {
		if s.over = s.enc.Flush(); s.over == nil {
			s.over = s.await(ctx)
		}
		if s.over == nil {
			s.command(ctx)
		}
	}
}

// await waits for the next command. Where NOTIFY asked for it, news are told meanwhile.
func (s *session) await(ctx context.Context) error {
	pause := s.pause(ctx)
	if pause == nil {
		return s.wire.await(s.wire.patience(), nil)
	}
	defer s.attend()()
	if err := s.push(ctx); err != nil {
		return err
	}
	return s.wire.await(s.wire.patience(), pause)
}

// end says good-bye where the client did not, and gives everything back.
func (s *session) end(ctx context.Context) {
	text := farewell(s.over)
	if text != "" {
		s.untagged("BYE " + text)
	}
	s.wire.lastWords()
	s.depart()
	if text != "" && s.over != errDrained {
		s.wire.conn.HangUp() // the client may still be sending
	}
}

// depart gives back what belongs to the user, if there is one, and tells of the end.
func (s *session) depart() {
	s.closeView()
	s.forgetNotify()
	if s.space != nil {
		s.space.Close()
	}
	s.sayEnd()
}

// farewell is the text of BYE for an end that the server wants, "" for one that
// the client knows of.
func farewell(why error) string {
	var fatal *imap.FatalError
	switch {
	case errors.As(why, &fatal):
		return fatal.Text
	case errors.Is(why, errDrained):
		return "[UNAVAILABLE] Server is shutting down"
	case errors.Is(why, os.ErrDeadlineExceeded):
		return "Disconnected for inactivity"
	case errors.Is(why, errTooManyBad), errors.Is(why, errTooManyFailures):
		return "Too many errors"
	case errors.Is(why, mailbox.ErrMailboxGone):
		return "The selected mailbox was deleted or renamed"
	}
	return ""
}

// command serves one command.
func (s *session) command(ctx context.Context) {
	c, err := s.dec.Next()
	if err != nil && !answerable(err) {
		s.over = err
		return
	}
	var ok string
	if s.space != nil {
		s.wire.act()
	}
	if err == nil {
		ok, err = s.dispatch(ctx, c)
	}
	s.refuseRest(c, err)
	if s.over == nil || polite(s.over) {
		s.answer(ctx, c, ok, err)
	}
}

// polite says whether the last command is still answered before the end.
func polite(why error) bool {
	return why == errLogout || why == errTooManyFailures || why == errTooManyBad
}

// answerable says whether the stream is still good.
func answerable(err error) bool {
	var syntax *imap.SyntaxError
	var limit *imap.LimitError
	return errors.As(err, &syntax) || errors.As(err, &limit)
}

// refuseRest gets over the messages of an APPEND that failed before all was read,
// and ends the session if it was the connection that failed.
func (s *session) refuseRest(c imap.Command, err error) {
	a, is := c.Args.(interface{ Refuse(octets int64) error })
	if !is || err == nil || s.over != nil {
		return
	}
	most := 2 * s.server.config.MaxMessage
	if s.space == nil {
		most = imap.BeforeLogin().LiteralBytes
	}
	if e := a.Refuse(most); e != nil && !answerable(e) {
		s.over = e
	}
}

// answer tells the news and then the tagged response.
func (s *session) answer(ctx context.Context, c imap.Command, ok string, err error) {
	if err == errAnswered {
		return
	}
	if s.view != nil {
		if e := s.announce(ctx, mayExpunge(c.Name)); e != nil {
			s.over = e
		}
	}
	if err == nil {
		s.bad = max(0, s.bad-1)
		s.tagged(c.Tag, "OK "+ok)
		return
	}
	s.tagged(c.Tag, s.explain(c.Name, err))
}

func (s *session) tagged(tag, text string) {
	if tag == "" {
		tag = "*"
	}
	s.enc.Raw(tag + " " + text + "\r\n")
}

func (s *session) untagged(text string) { s.enc.Raw("* " + text + "\r\n") }

// ended says whether the peer just went away.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (s *session) emit(e event.Event) { s.server.config.Events.Emit(e) }
