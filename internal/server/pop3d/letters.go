package pop3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"facteur/internal/mail/pop3"
	"facteur/internal/store/mailbox"
)

// message reads the number of a message that is there.
func (s *session) message(arg string) (uint32, error) {
	n, ok := pop3.Number(arg)
	switch {
	case !ok:
		return 0, nonsense("Invalid message number")
	case n == 0 || n > s.drop.count:
		return 0, refusal(fmt.Sprintf("There's no message %d.", n))
	case s.drop.deleted.has(n):
		return 0, refusal("Message is deleted.")
	}
	return n, nil
}

// one is message for commands that take just that.
func (s *session) one(c pop3.Command) (uint32, error) {
	args := c.Args()
	if len(args) != 1 {
		return 0, nonsense("Expected a message number")
	}
	return s.message(args[0])
}

func (s *session) stat(_ context.Context, c pop3.Command) error {
	if c.Rest != "" {
		return nonsense("STAT takes nothing")
	}
	s.wire.say(fmt.Sprintf("+OK %d %d", s.left(), s.drop.size-s.drop.gone))
	return nil
}

// left is how many messages are not marked as deleted.
func (s *session) left() int { return int(s.drop.count) - s.drop.deleted.n }

// list tells sizes, of one message or of all.
func (s *session) list(_ context.Context, c pop3.Command) error {
	if len(c.Args()) > 0 {
		n, err := s.one(c)
		if err == nil {
			s.wire.say(fmt.Sprintf("+OK %d %d", n, s.drop.letter(n).Size))
		}
		return err
	}
	s.wire.say(fmt.Sprintf("+OK %d messages:", s.left()))
	return s.table(func(line []byte, l mailbox.Letter) []byte { return strconv.AppendInt(line, l.Size, 10) })
}

// uidl tells unique-ids.
func (s *session) uidl(ctx context.Context, c pop3.Command) (err error) {
	if s.drop.uidls == nil {
		if s.drop.uidls, err = s.drop.view.UIDLs(ctx); err != nil {
			return err
		}
	}
	if len(c.Args()) > 0 {
		n, err := s.one(c)
		if err == nil {
			s.wire.say(fmt.Sprintf("+OK %d %s", n, s.drop.uidl(nil, s.drop.letter(n).UID)))
		}
		return err
	}
	s.wire.say("+OK")
	return s.table(func(line []byte, l mailbox.Letter) []byte { return s.drop.uidl(line, l.UID) })
}

// table is a line for each message: its number and what value adds.
func (s *session) table(value func(line []byte, l mailbox.Letter) []byte) error {
	var room [128]byte
	for n, l := range s.drop.listed(1, s.drop.count) {
		line := append(strconv.AppendUint(room[:0], uint64(n), 10), ' ')
		line = append(value(line, l), "\r\n"...)
		if _, err := s.wire.w.Write(line); err != nil {
			s.over = err
			return nil
		}
	}
	s.wire.say(".")
	return nil
}

func (s *session) retr(ctx context.Context, c pop3.Command) error {
	n, err := s.one(c)
	if err != nil {
		return err
	}
	size, err := s.send(ctx, n, func(*pop3.Stuffer) {})
	if err != nil {
		return err
	}
	s.counts.retr++
	s.counts.retrBytes += size
	if s.rules.MarkSeen && s.over == nil {
		s.drop.seen.add(n, s.drop.count)
	}
	return nil
}

func (s *session) top(ctx context.Context, c pop3.Command) error {
	args := c.Args()
	if len(args) != 2 {
		return nonsense("Expected a message number and a number of lines")
	}
	n, err := s.message(args[0])
	if err != nil {
		return err
	}
	lines, ok := pop3.Lines(args[1])
	if !ok {
		return nonsense("Invalid number of lines")
	}
	size, err := s.send(ctx, n, func(w *pop3.Stuffer) { w.Top(lines) })
	if err != nil {
		return err
	}
	s.counts.top++
	s.counts.topBytes += size
	return nil
}

// send streams a message. Once it has begun, an error can only end the session: the
// client would take a part for the whole. It returns how many octets went.
func (s *session) send(ctx context.Context, n uint32, bound func(*pop3.Stuffer)) (int64, error) {
	l := s.drop.letter(n)
	r, err := s.drop.view.Open(ctx, l.UID)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	first := fmt.Sprintf("+OK %d octets", r.Size())
	s.wire.say(first)
	w := pop3.NewStuffer(s.wire.w)
	bound(w)
	if _, err = io.Copy(w, r); err == nil || errors.Is(err, io.EOF) {
		err = w.Close()
	}
	s.over = err
	return int64(len(first)+2) + w.Size(), nil
}

func (s *session) dele(_ context.Context, c pop3.Command) error {
	n, err := s.one(c)
	if err != nil {
		return err
	}
	s.drop.delete(n)
	s.wire.say("+OK Marked to be deleted.")
	return nil
}

func (s *session) rset(_ context.Context, c pop3.Command) error {
	if c.Rest != "" {
		return nonsense("RSET takes nothing")
	}
	s.drop.reset()
	s.wire.say("+OK")
	return nil
}

func (s *session) noop(_ context.Context, c pop3.Command) error {
	if c.Rest != "" {
		return nonsense("NOOP takes nothing")
	}
	s.wire.say("+OK")
	return nil
}

// quit updates the maildrop (RFC 1939 §6), all of it or nothing.
func (s *session) quit(ctx context.Context, _ pop3.Command) error {
	s.over = errQuit
	if s.drop == nil || s.drop.deleted.n == 0 {
		s.wire.say("+OK Logging out.")
		return nil
	}
	err := s.drop.markSeen(ctx)
	if err == nil {
		err = s.drop.update(ctx)
	}
	if err != nil {
		s.emit(Failed{Who: s.who(), Err: err})
		s.wire.say("-ERR [SYS/TEMP] The messages could not be deleted; ask about session " + s.id)
		return nil
	}
	s.counts.deleted = s.drop.deleted.n
	s.wire.say("+OK Logging out, messages deleted.")
	return nil
}
