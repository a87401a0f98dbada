package imapd

import (
	"context"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// store changes flags and tells what became of them, unless it is to be silent.
func (s *session) store(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Store)
	seqs, err := s.letters(c.Name, a.Set)
	if err != nil || len(seqs) == 0 {
		return "STORE completed", err
	}
	letters, err := s.view.Store(ctx, s.uids(seqs), flagOp(a.Op), toFlags(a.Flags))
	if err != nil {
		return "", err
	}
	if err := s.announce(ctx, mayExpunge(c.Name)); err != nil { // new keywords go first
		return "", err
	}
	for _, l := range letters {
		if seq := s.view.Seq(l.UID); seq > 0 && !a.Silent {
			s.sayFlags(seq, l)
		}
	}
	return "STORE completed", nil
}

func flagOp(op byte) mailbox.FlagOp {
	switch op {
	case '+':
		return mailbox.FlagsAdd
	case '-':
		return mailbox.FlagsRemove
	}
	return mailbox.FlagsSet
}

// expunge is EXPUNGE and UID EXPUNGE; the responses are the news that follow.
func (s *session) expunge(ctx context.Context, c imap.Command) (string, error) {
	a, some := c.Args.(imap.Expunge)
	if !some {
		return "EXPUNGE completed", s.view.Expunge(ctx, nil)
	}
	seqs := s.uidsToSeqs(a.Set)
	if len(seqs) == 0 {
		return "EXPUNGE completed", nil
	}
	return "EXPUNGE completed", s.view.Expunge(ctx, s.uids(seqs))
}
