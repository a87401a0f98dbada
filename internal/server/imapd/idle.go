package imapd

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"facteur/internal/mail/imap"
)

// maxDone is the longest line that may end IDLE, in octets.
const maxDone = 1 << 10

// idle tells of changes as they come until the client says DONE (RFC 2177).
func (s *session) idle(ctx context.Context, _ imap.Command) (string, error) {
	if err := s.wire.await(); err != nil {
		s.over = err
		return "", err
	}
	s.enc.Raw("+ idling\r\n")
	lines := make(chan error, 1)
	go func() { lines <- s.readDone() }()
	err := s.watch(ctx, lines)
	if answerable(err) || err == nil {
		return "IDLE completed", err
	}
	s.over = err
	return "", err
}

// readDone waits for the client.
func (s *session) readDone() error {
	line, err := s.dec.Line(maxDone)
	if err == nil && !strings.EqualFold(string(line), "DONE") {
		err = &imap.SyntaxError{Text: "Expected DONE"}
	}
	return err
}

// watch pushes changes until readDone has something. A client that can't be
// written to is disconnected.
func (s *session) watch(ctx context.Context, done <-chan error) error {
	var wake <-chan struct{}
	if s.view != nil {
		wake = s.view.Wake()
	}
	if s.view != nil {
		if err := s.announce(ctx, true); err != nil {
			return s.hangUp(done, err)
		}
	}
	alive := time.NewTicker(stillHere)
	defer alive.Stop()
	for {
		err := s.enc.Flush()
		if err == nil {
			select {
			case err := <-done:
				return err
			case <-wake:
				err = s.announce(ctx, true)
			case <-alive.C:
				s.untagged("OK Still here") // for the routers on the way that forget
				if s.view != nil {          // and nothing may have told us of what others did
					err = s.announce(ctx, true)
				}
			}
		}
		if err != nil {
			return s.hangUp(done, err)
		}
	}
}

// hangUp ends a connection that somebody is reading from.
func (s *session) hangUp(done <-chan error, err error) error {
	if text := farewell(err); text != "" {
		s.untagged("BYE " + text)
	}
	s.wire.lastWords()
	s.wire.conn.Close()
	<-done
	return err
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errDrained)
}
