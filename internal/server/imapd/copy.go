package imapd

import (
	"context"
	"fmt"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

func (s *session) copy(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Copy)
	seqs, err := s.letters(c.Name, a.Set)
	if err != nil || len(seqs) == 0 {
		return "COPY of nothing", err
	}
	validity, pairs, err := s.space.Copy(ctx, s.view, s.uids(seqs), a.Mailbox)
	return copyUID(validity, pairs) + "COPY completed", err
}

// move tells the new UIDs before the letters vanish (RFC 6851 §4.3).
func (s *session) move(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Copy)
	seqs, err := s.letters(c.Name, a.Set)
	if err != nil || len(seqs) == 0 {
		return "MOVE of nothing", err
	}
	validity, pairs, err := s.space.Move(ctx, s.view, s.uids(seqs), a.Mailbox)
	if code := copyUID(validity, pairs); err == nil && code != "" {
		s.untagged("OK " + code + "Moved")
	}
	if err != nil {
		return "", err
	}
	code, err := s.sayGone(ctx) // RFC 6851 §4.4
	return code + "MOVE completed", err
}

// copyUID is the response code of RFC 4315 §3, with a blank behind it.
func copyUID(validity uint32, pairs []mailbox.UIDPair) string {
	if len(pairs) == 0 {
		return ""
	}
	from, to := make([]uint32, len(pairs)), make([]uint32, len(pairs))
	for i, p := range pairs {
		from[i], to[i] = p.From, p.To
	}
	return fmt.Sprintf("[COPYUID %d %s %s] ", validity, imap.Runs(from), imap.Runs(to))
}
