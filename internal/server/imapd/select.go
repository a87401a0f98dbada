package imapd

import (
	"context"
	"errors"
	"fmt"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// selectMailbox is SELECT and EXAMINE. Whatever comes of it, the mailbox that
// was selected before is so no more (RFC 9051 §6.3.2).
func (s *session) selectMailbox(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Select)
	if a.Resync != nil && !s.enabled(QRESYNC) {
		return "", &imap.SyntaxError{Text: "ENABLE QRESYNC first"}
	}
	if a.CondStore {
		s.switchOn(CONDSTORE)
	}
	if s.view != nil {
		s.closeView()
		s.untagged("OK [CLOSED] Previous mailbox is closed")
	}
	view, err := s.space.Select(ctx, a.Mailbox, c.Name == "EXAMINE")
	if err != nil {
		return "", err
	}
	s.view = view
	s.describe()
	if err := s.resync(ctx, a.Resync); err != nil {
		s.closeView()
		return "", err
	}
	if view.ReadOnly() { // by EXAMINE, or by the user's rights
		return "[READ-ONLY] " + c.Name + " completed", nil
	}
	return "[READ-WRITE] " + c.Name + " completed", nil
}

// describe is the untagged responses to SELECT.
func (s *session) describe() {
	s.sayKeywords()
	s.untagged(fmt.Sprintf("%d EXISTS", s.view.Len()))
	s.sayRecent()
	// RFC 9051 has no UNSEEN, and RFC 9586 no message numbers.
	if n := s.firstUnseen(); n > 0 && s.enables&(IMAP4REV2|UIDONLY) == 0 {
		s.untagged(fmt.Sprintf("OK [UNSEEN %d] First unseen", n))
	}
	s.untagged(fmt.Sprintf("OK [UIDVALIDITY %d] UIDs valid", s.view.UIDValidity()))
	s.untagged("OK [MAILBOXID (" + s.space.Selected().MailboxID(s.view.UIDValidity()) + ")] Ok")
	s.untagged(fmt.Sprintf("OK [UIDNEXT %d] Predicted next UID", s.view.UIDNext()))
	s.sayHighestModSeq()
	if s.enabled(IMAP4REV2) {
		s.sayList("LIST", s.space.Selected().Wire, nil) // RFC 9051 §6.3.2
		s.enc.Raw("\r\n")
	}
}

func (s *session) firstUnseen() uint32 {
	for seq := uint32(1); seq <= s.view.Len(); seq++ {
		if s.view.Letter(seq).Flags.System&mailbox.Seen == 0 {
			return seq
		}
	}
	return 0
}

func (s *session) closeView() {
	if s.view != nil {
		s.space.Deselect(s.view) //nolint:errcheck // what it could not write is read again from the files
		s.view, s.searches = nil, searches{}
	}
}

// close expunges without a word and leaves the mailbox (RFC 9051 §6.4.1). It does not
// tell HIGHESTMODSEQ: a client that took it would believe to know of all that went,
// though it was told of none (RFC 7162 §3.2.8).
func (s *session) close(ctx context.Context, _ imap.Command) (string, error) {
	var err error
	if !s.view.ReadOnly() {
		err = s.view.Expunge(ctx, nil)
	}
	if errors.Is(err, mailbox.ErrNoPermission) {
		err = nil // CLOSE succeeds, and expunges nothing (RFC 4314 §4)
	}
	s.closeView()
	return "CLOSE completed", err
}

func (s *session) unselect(context.Context, imap.Command) (string, error) {
	s.closeView()
	return "UNSELECT completed", nil
}
