package imapd

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/server/listen"
)

// maxDone is the longest line that may end IDLE, in octets.
const maxDone = 1 << 10

// idle tells of changes as they come until the client says DONE (RFC 2177). It is one
// goroutine that waits for the client; whoever has news nudges it.
func (s *session) idle(ctx context.Context, _ imap.Command) (string, error) {
	s.enc.Raw("+ idling\r\n")
	defer s.attend()()
	err := s.news(ctx)
	if err == nil {
		err = s.watch(ctx)
	}
	if err == nil {
		s.wire.conn.Busy(stallTime)
		err = s.readDone()
	}
	if err != nil && !answerable(err) {
		s.over = err
	}
	return "IDLE completed", err
}

// attend lets the selected mailbox nudge this session, until leave is called.
func (s *session) attend() (leave func()) {
	v := s.view
	if v == nil {
		return func() {}
	}
	v.OnWake(s.wire.conn.Nudge)
	return func() {
		v.OnWake(nil)
		s.wire.conn.Calm()
	}
}

// news tells what happened and sends it off.
func (s *session) news(ctx context.Context) error {
	if g, ok := s.selectedGroup(); s.view != nil && (!ok || g.Events != 0) {
		if err := s.announce(ctx, true); err != nil {
			return err
		}
	}
	if err := s.sayEvents(ctx); err != nil {
		return err
	}
	return s.enc.Flush()
}

// watch pushes changes until the client says something. One that can't be written to
// is disconnected.
func (s *session) watch(ctx context.Context) error {
	end := time.Now().Add(idleTime)
	return s.wire.await(min(stillHere, idleTime), func(why error) (time.Duration, error) {
		if !errors.Is(why, listen.ErrNudged) {
			if time.Until(end) <= 0 {
				return 0, os.ErrDeadlineExceeded
			}
			s.untagged("OK Still here") // for the routers on the way that forget
		} // and nothing may have told us of what others did
		err := s.news(ctx)
		return max(min(stillHere, time.Until(end)), 0), err
	})
}

// readDone reads the line that ends IDLE.
func (s *session) readDone() error {
	line, err := s.dec.Line(maxDone)
	if err == nil && !strings.EqualFold(string(line), "DONE") {
		err = &imap.SyntaxError{Text: "Expected DONE"}
	}
	return err
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errDrained)
}
