package imapd

import (
	"context"

	"facteur/internal/mail/imap"
)

// create makes a mailbox. A "/" at the end only says that children will follow
// (RFC 9051 §6.3.4). A special use that is asked for is not kept.
func (s *session) create(ctx context.Context, c imap.Command) (string, error) {
	return "CREATE completed", s.space.Create(ctx, c.Args.(imap.Create).Mailbox)
}

func (s *session) delete(ctx context.Context, c imap.Command) (string, error) {
	name := string(c.Args.(imap.Mailbox))
	if name == "INBOX" {
		return "", refusal("[CANNOT] INBOX can't be deleted")
	}
	s.leave(name)
	return "DELETE completed", s.space.Delete(ctx, name)
}

func (s *session) rename(ctx context.Context, c imap.Command) (string, error) {
	r := c.Args.(imap.Rename)
	if r.From != "INBOX" {
		s.leave(r.From)
	}
	return "RENAME completed", s.space.Rename(ctx, r.From, r.To)
}

// leave unselects a mailbox that this session is about to take away from under
// itself.
func (s *session) leave(name string) {
	if s.view != nil && s.space.Holds(name) {
		s.closeView()
		s.untagged("OK [CLOSED] The selected mailbox is closed")
	}
}

func (s *session) subscribe(ctx context.Context, c imap.Command) (string, error) {
	return c.Name + " completed", s.space.Subscribe(ctx, string(c.Args.(imap.Mailbox)), c.Name == "SUBSCRIBE")
}
