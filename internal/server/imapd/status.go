package imapd

import (
	"context"
	"fmt"
	"slices"

	"facteur/internal/mail/imap"
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
	if err != nil {
		return err
	}
	values := map[string]int64{
		"MESSAGES": int64(st.Messages), "RECENT": int64(st.Recent), "UNSEEN": int64(st.Unseen), "DELETED": int64(st.Deleted),
		"UIDNEXT": int64(st.UIDNext), "UIDVALIDITY": int64(st.UIDValidity), "SIZE": st.Size,
		"HIGHESTMODSEQ": int64(st.HighestModSeq), "APPENDLIMIT": s.server.config.MaxMessage,
	}
	s.enc.Raw("* STATUS ")
	s.enc.Mailbox(name)
	sep := " ("
	for _, it := range items {
		s.enc.Raw(fmt.Sprintf("%s%s %d", sep, it, values[it]))
		sep = " "
	}
	if len(items) == 0 {
		s.enc.Raw(sep)
	}
	s.enc.Raw(")\r\n")
	return nil
}
