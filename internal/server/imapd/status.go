package imapd

import (
	"context"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/store/namespace"
)

func (s *session) status(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Status)
	if slices.Contains(a.Items, "HIGHESTMODSEQ") {
		s.switchOn(CONDSTORE)
	}
	return "STATUS completed", s.sayStatus(ctx, a.Mailbox, a.Items)
}

// sayStatus writes the STATUS response, or nothing but the error.
func (s *session) sayStatus(ctx context.Context, name string, items []string) error {
	st, err := s.space.Status(ctx, name)
	var doomed int64
	if err == nil && slices.Contains(items, "DELETED-STORAGE") {
		doomed, err = s.space.DeletedSize(ctx, name)
	}
	if err != nil {
		return err
	}
	s.enc.Raw("* STATUS ")
	s.enc.Mailbox(name)
	s.enc.Raw(" (")
	for i, item := range items {
		if i > 0 {
			s.enc.Raw(" ")
		}
		s.enc.Raw(item + " ")
		if item == "DELETED-STORAGE" {
			s.enc.Number(doomed)
			continue
		}
		s.sayStatusItem(item, st)
	}
	s.enc.Raw(")\r\n")
	return nil
}

func (s *session) sayStatusItem(item string, st namespace.Status) {
	switch item {
	case "MESSAGES":
		s.enc.Number(int64(st.Messages))
	case "RECENT":
		s.enc.Number(int64(st.Recent))
	case "UNSEEN":
		s.enc.Number(int64(st.Unseen))
	case "DELETED":
		s.enc.Number(int64(st.Deleted))
	case "UIDNEXT":
		s.enc.Number(int64(st.UIDNext))
	case "UIDVALIDITY":
		s.enc.Number(int64(st.UIDValidity))
	case "SIZE":
		s.enc.Number(st.Size)
	case "HIGHESTMODSEQ":
		s.enc.Number(int64(st.HighestModSeq))
	case "MAILBOXID":
		s.enc.Raw("(" + st.MailboxID + ")")
	case "APPENDLIMIT":
		s.enc.Number(s.server.config.MaxMessage)
	}
}
