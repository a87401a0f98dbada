package imapd

import (
	"context"
	"errors"
	"io"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
	"facteur/internal/store/urlauth"
)

// openURL opens what a URL of CATENATE names: a message, or a part of one, that
// this user may read (RFC 4469 §3).
func (s *session) openURL(ctx context.Context, text string) (io.ReadCloser, error) {
	u, err := imap.ParseURL(text)
	if err != nil || !s.ours(u) {
		return nil, badURL(text)
	}
	name := u.Mailbox
	if name == "" && s.view != nil {
		name = s.space.Selected().Wire
	}
	from, _, err := s.space.Enter(ctx, name, mailbox.RightRead)
	if err != nil {
		return nil, badURL(text)
	}
	letter, err := urlauth.Open(ctx, from.Account, from.Name, u)
	if err != nil {
		from.Close()
		if errors.Is(err, urlauth.ErrNotThere) {
			err = badURL(text)
		}
		return nil, err
	}
	return &borrowed{letter, from}, nil
}

// borrowed is a letter in an account that is given back with it.
type borrowed struct {
	*urlauth.Letter
	from *namespace.Place
}

// Close implements io.Closer.
func (b *borrowed) Close() error {
	err := b.Letter.Close()
	b.from.Close()
	return err
}

// ours says whether a URL stays in this session: the same server, the same user.
func (s *session) ours(u *imap.URL) bool {
	return u.Host == "" || strings.EqualFold(u.Host, s.server.config.Hostname) && (u.User == "" || s.isUser(u.User))
}

// isUser says whether a name is the one of this session's user.
func (s *session) isUser(name string) bool { return strings.EqualFold(name, s.user) }

// badURL is the answer for a URL that leads to nothing (RFC 4469 §3). The URL is
// told as it came, unless it can't stand in quotes.
func badURL(text string) error {
	if len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' || r == ']' }) {
		text = ""
	}
	return refusal(`[BADURL "` + text + `"] No such message`)
}
