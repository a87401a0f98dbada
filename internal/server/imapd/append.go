package imapd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// append takes one message or many (RFC 3502) into the store's waiting room, and
// makes letters of all of them when the command has ended as it should: a command
// that breaks off leaves nothing (ATTACKS IMAP-020).
func (s *session) append(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(*imap.Append)
	to, has, err := s.space.Enter(ctx, a.Mailbox, mailbox.RightInsert)
	if err != nil {
		return "", err
	}
	defer to.Close()
	var list []*mailbox.Staged
	defer func() { discard(list) }()
	var sum int64
	for {
		m, err := a.Next()
		if err == io.EOF {
			break
		}
		var staged *mailbox.Staged
		if err == nil {
			staged, err = s.stage(ctx, target{to, has}, a, m, sum)
		}
		if err != nil {
			return "", err
		}
		list, sum = append(list, staged), sum+staged.Size()
	}
	validity, uids, err := to.Account.Commit(ctx, to.Name, list)
	if err != nil {
		return "", err
	}
	s.space.Stored(ctx, to, uids)
	return fmt.Sprintf("[APPENDUID %d %s] APPEND completed", validity, imap.Runs(uids)), nil
}

// discard gives up what did not become letters.
func discard(list []*mailbox.Staged) {
	for _, staged := range list {
		staged.Discard()
	}
}

// target is a mailbox that letters are put into, and what the user may do there.
type target struct {
	*namespace.Place
	has mailbox.Rights
}

// stage streams a message into the waiting room. The client is asked for its
// octets only when the store starts to read them, that is after name and quota
// were found good for it and the sum of those before it.
func (s *session) stage(ctx context.Context, to target, a *imap.Append, m *imap.AppendMessage, sum int64) (*mailbox.Staged, error) {
	first, err := a.Piece()
	if err != nil && err != io.EOF {
		return nil, err
	}
	r := &assembly{s: s, ctx: ctx, a: a, left: s.server.config.MaxMessage}
	var size int64
	if err == nil && first.Literal != nil {
		size = first.Literal.Size
	}
	if err == nil {
		err = r.open(first)
	}
	if !m.Catenate && size == 0 && err == nil {
		err = errEmpty // how a client gives up in the midst of a MULTIAPPEND (RFC 3502 §6.3.11)
	}
	if err != nil {
		return nil, err
	}
	defer r.close()
	options := mailbox.AppendOptions{Flags: to.has.Permitted(toFlags(m.Flags)), Received: m.Date}
	staged, err := to.Account.Stage(ctx, to.Name, r, sum+size, options)
	if err == nil && staged.Size() == 0 {
		staged.Discard()
		err = errEmpty
	}
	return staged, err
}

const errEmpty = refusal("[CANNOT] A message can't be empty")

// assembly is a message as a stream, made of the pieces that a client gives.
type assembly struct {
	s    *session
	ctx  context.Context
	a    *imap.Append
	left int64 // octets that the message may still grow by
	now  io.Reader
	done io.Closer // of now; nil: nothing to close
}

// Read implements io.Reader.
func (r *assembly) Read(p []byte) (int, error) {
	for {
		if r.now == nil {
			next, err := r.a.Piece()
			if err == nil {
				err = r.open(next)
			}
			if err != nil {
				return 0, err
			}
		}
		n, err := r.now.Read(p)
		if r.left -= int64(n); r.left < 0 {
			return 0, r.s.tooBig()
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			r.close()
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// open goes on to a piece. One that is announced as too large is refused before
// it is asked for.
func (r *assembly) open(p *imap.Piece) error {
	if p.Literal == nil {
		letter, err := r.s.openURL(r.ctx, p.URL)
		if err != nil {
			return err
		}
		r.now, r.done = letter, letter
		return nil
	}
	r.now, r.done = p.Literal, nil
	if p.Literal.Size > r.left {
		return r.s.tooBig()
	}
	return nil
}

func (r *assembly) close() {
	if r.done != nil {
		r.done.Close()
	}
	r.now, r.done = nil, nil
}

func (s *session) tooBig() error {
	return refusal(fmt.Sprintf("[TOOBIG] Message larger than %d octets", s.server.config.MaxMessage))
}

// replace is REPLACE and UID REPLACE (RFC 8508): APPEND and EXPUNGE in one.
func (s *session) replace(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(*imap.Replace)
	seqs, err := s.letters(c.Name, a.Set)
	if err != nil {
		return "", err
	}
	if seqs.Count() != 1 {
		return "", refusal("[NONEXISTENT] No such message")
	}
	uid := s.view.Letter(seqs[0].From).UID
	to, has, err := s.space.Enter(ctx, a.Mailbox, mailbox.RightInsert)
	if err != nil {
		return "", err
	}
	defer to.Close()
	m, err := a.Next()
	if err != nil {
		return "", err
	}
	staged, err := s.stage(ctx, target{to, has}, &a.Append, m, 0)
	if err != nil {
		return "", err
	}
	defer staged.Discard()
	if _, err := a.Next(); err != io.EOF {
		return "", err
	}
	validity, now, err := s.supersede(ctx, uid, to, staged)
	if err != nil {
		return "", err
	}
	s.untagged(fmt.Sprintf("OK [APPENDUID %d %d] Replacement is there", validity, now))
	code, err := s.sayGone(ctx)
	return code + "REPLACE completed", err
}

// supersede puts the new message in the place of the old. Within an account that is
// one step; to another account the new one is there before the old one goes.
func (s *session) supersede(ctx context.Context, uid uint32, to *namespace.Place, staged *mailbox.Staged) (validity, now uint32, err error) {
	if to.Account == s.space.Selected().Account {
		return s.view.Replace(ctx, uid, to.Name, staged)
	}
	validity, uids, err := to.Account.Commit(ctx, to.Name, []*mailbox.Staged{staged})
	if err != nil {
		return 0, 0, err
	}
	old := []uint32{uid}
	if _, err = s.view.Store(ctx, old, mailbox.FlagsAdd, mailbox.Flags{System: mailbox.Deleted}); err == nil {
		err = s.view.Expunge(ctx, old)
	}
	return validity, uids[0], err
}
