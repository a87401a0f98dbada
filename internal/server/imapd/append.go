package imapd

import (
	"context"
	"errors"
	"fmt"
	"net"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// append streams a message into the store. The client is asked for the message
// only when the store starts to read it, that is after name and quota were
// found good (ATTACKS IMAP-020).
func (s *session) append(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(*imap.Append)
	switch {
	case a.Literal.Size > s.server.config.MaxMessage:
		return "", refusal(fmt.Sprintf("[TOOBIG] Message larger than %d octets", s.server.config.MaxMessage))
	case a.Literal.Size == 0:
		return "", refusal("[CANNOT] A message can't be empty")
	}
	options := mailbox.AppendOptions{Flags: toFlags(a.Flags), Received: a.Date}
	validity, uid, err := s.space.Append(ctx, a.Mailbox, a.Literal, a.Literal.Size, options)
	if err != nil {
		return "", s.checkStream(err)
	}
	return fmt.Sprintf("[APPENDUID %d %d] APPEND completed", validity, uid), nil
}

// checkStream ends the session if the stream broke in the midst of a message;
// the store gives the reader's error, maybe wrapped.
func (s *session) checkStream(err error) error {
	var fatal *imap.FatalError
	var network *net.OpError
	if ended(err) || isTimeout(err) || errors.As(err, &fatal) || errors.As(err, &network) {
		s.over = err
	}
	return err
}
