package imapd

import (
	"context"
	"errors"
	"io"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/urlauth"
)

// openURL opens what a URL of CATENATE names: a message, or a part of one, that
// this user may read (RFC 4469 §3).
func (s *session) openURL(ctx context.Context, text string) (io.ReadCloser, error) {
	u, err := imap.ParseURL(text)
	if err != nil || !s.ours(u) {
		return nil, badURL(text)
	}
	selected := ""
	if s.view != nil {
		selected = s.space.Selected().Wire
	}
	letter, err := urlauth.Open(ctx, s.space, selected, u)
	switch {
	case errors.Is(err, urlauth.ErrNotThere):
		return nil, badURL(text)
	case err != nil:
		return nil, err
	}
	return letter, nil
}

// ours says whether a URL stays in this session: the same server, the same user.
func (s *session) ours(u *imap.URL) bool {
	return u.Host == "" || strings.EqualFold(u.Host, s.server.config.Hostname) && (u.User == "" || s.isUser(u.User))
}

// isUser says whether a name is the one of this session's user, or of his account.
func (s *session) isUser(name string) bool {
	return strings.EqualFold(name, s.space.User()) || strings.EqualFold(name, s.user)
}

// badURL is the answer for a URL that leads to nothing (RFC 4469 §3). The URL is
// told as it came, unless it can't stand in quotes.
func badURL(text string) error {
	if len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' || r == ']' }) {
		text = ""
	}
	return refusal(`[BADURL "` + text + `"] No such message`)
}
