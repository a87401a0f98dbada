package imapd

import (
	"context"
	"strings"

	"facteur/internal/mail/imap"
)

// namespace tells the prefixes of names (RFC 2342).
func (s *session) namespace(context.Context, imap.Command) (string, error) {
	personal, users, public := s.space.Prefixes()
	s.enc.Raw("* NAMESPACE ")
	s.sayPrefix(personal)
	for _, prefix := range []string{users, public} {
		s.enc.Raw(" ")
		if prefix == "" {
			s.enc.Raw("NIL")
			continue
		}
		s.sayPrefix(prefix)
	}
	s.enc.Raw("\r\n")
	return "NAMESPACE completed", nil
}

func (s *session) sayPrefix(prefix string) {
	s.enc.Raw("((")
	s.enc.String(prefix)
	s.enc.Raw(" ")
	s.enc.String(s.space.Separator())
	s.enc.Raw("))")
}

// create makes a mailbox. A separator at the end only says that children will follow
// (RFC 9051 §6.3.4). The response has its id (RFC 8474 §4.1).
func (s *session) create(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Create)
	if err := s.space.Create(ctx, a.Mailbox, a.SpecialUse...); err != nil {
		return "", err
	}
	s.sayOtherName(a.Mailbox)
	id, err := s.space.MailboxID(ctx, a.Mailbox)
	if err != nil {
		return "CREATE completed", nil // it may be made and not be looked up
	}
	return "[MAILBOXID (" + id + ")] CREATE completed", nil
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
	if err := s.space.Rename(ctx, r.From, r.To); err != nil {
		return "", err
	}
	if s.enabled(IMAP4REV2) {
		s.sayOldName(s.space.Canonical(r.To), s.space.Canonical(r.From))
	}
	return "RENAME completed", nil
}

// sayOtherName tells a client of IMAP4rev2 the name that a mailbox has, if it wrote
// another (RFC 9051 §6.3.9.7). A separator at the end is none.
func (s *session) sayOtherName(asked string) {
	asked = strings.TrimSuffix(asked, s.space.Separator())
	if name := s.space.Canonical(asked); s.enabled(IMAP4REV2) && name != asked {
		s.sayOldName(name, asked)
	}
}

// sayOldName is LIST with the name that a mailbox had, or was asked for by.
func (s *session) sayOldName(name, old string) {
	s.sayList("LIST", name, nil)
	s.enc.Raw(` ("OLDNAME" (`)
	s.enc.Mailbox(old)
	s.enc.Raw("))\r\n")
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
