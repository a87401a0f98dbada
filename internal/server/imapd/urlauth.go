package imapd

import (
	"context"
	"errors"
	"io"

	"facteur/internal/mail/imap"
	"facteur/internal/store/urlauth"
)

// urlCommand is the commands about URLs that carry a right.
func (s *session) urlCommand(name string) (handler, when) {
	if s.server.config.URLs == nil {
		return nil, 0
	}
	switch name {
	case "GENURLAUTH":
		return s.genURLAuth, afterLogin
	case "URLFETCH":
		return s.urlFetch, afterLogin
	case "RESETKEY":
		return s.resetKey, afterLogin
	}
	return nil, 0
}

func (s *session) urlCapabilities() []string {
	if s.server.config.URLs == nil {
		return nil
	}
	return []string{"URLAUTH", "URLAUTH=BINARY"}
}

// genURLAuth signs URLs of the user's own letters (RFC 4467 §7): all of them, or
// none if there is anything against one.
func (s *session) genURLAuth(ctx context.Context, c imap.Command) (string, error) {
	var signed []string
	for _, x := range c.Args.(imap.GenURLAuth) {
		u, err := imap.ParseURL(x.URL)
		if err != nil {
			return "", err
		}
		if x.Mechanism != urlauth.Mechanism {
			return "", refusal("[URLMECH " + urlauth.Mechanism + "] No such mechanism")
		}
		text, err := s.server.config.URLs.Sign(ctx, s.space, u)
		if err != nil {
			return "", urlError(err)
		}
		signed = append(signed, text)
	}
	s.enc.Raw("* GENURLAUTH")
	for _, text := range signed {
		s.enc.Raw(" ")
		s.enc.String(text)
	}
	s.enc.Raw("\r\n")
	return "GENURLAUTH completed", nil
}

func urlError(err error) error {
	switch {
	case errors.Is(err, urlauth.ErrRefused):
		return refusal("[CANNOT] No right is given to this URL")
	case errors.Is(err, urlauth.ErrNotThere):
		return refusal("[NONEXISTENT] No such mailbox")
	}
	return err
}

// urlFetch gives the octets of each URL, and NIL for those that are not for this
// user, or lead nowhere.
func (s *session) urlFetch(ctx context.Context, c imap.Command) (string, error) {
	for _, w := range c.Args.(imap.URLFetch) {
		if err := s.fetchURL(ctx, w); err != nil {
			return "", err
		}
	}
	return "URLFETCH completed", nil
}

func (s *session) fetchURL(ctx context.Context, w imap.URLWanted) error {
	letter, err := s.server.config.URLs.Fetch(ctx, w.URL, urlauth.Who{User: s.space.User()})
	if errors.Is(err, urlauth.ErrNotThere) {
		letter, err = nil, nil
	}
	if err != nil {
		return err
	}
	if letter != nil {
		defer letter.Close()
	}
	s.enc.Raw("* URLFETCH ")
	s.enc.AString(w.URL)
	if err = s.sayFetched(w, letter); err != nil {
		return s.breakOff(err)
	}
	s.enc.Raw("\r\n")
	return nil
}

// sayFetched writes what was asked for; letter is nil where there is none.
func (s *session) sayFetched(w imap.URLWanted, letter *urlauth.Letter) error {
	if !w.Structure && !w.Body && !w.Binary {
		s.enc.Raw(" ")
		return s.sayOctets("", letter)
	}
	if w.Structure {
		s.enc.Raw(" (BODYPARTSTRUCTURE ")
		if letter == nil {
			s.enc.Raw("NIL")
		} else {
			s.enc.BodyStructure(letter.Part, true)
		}
		s.enc.Raw(")")
	}
	if !w.Body && !w.Binary {
		return nil
	}
	name, mark := "BODY", ""
	if w.Binary {
		name, mark = "BINARY", "~"
	}
	s.enc.Raw(" (" + name + " ")
	if w.Binary && letter != nil {
		known, err := letter.Decode()
		if err != nil {
			return err
		}
		if !known {
			letter = nil
		}
	}
	err := s.sayOctets(mark, letter)
	s.enc.Raw(")")
	return err
}

// sayOctets writes a literal, or NIL for no letter. With the mark of a literal8 the
// octets are what they are.
func (s *session) sayOctets(mark string, letter *urlauth.Letter) error {
	if letter == nil {
		s.enc.Raw("NIL")
		return nil
	}
	out := s.enc.Writer()
	if mark == "" {
		out = textWriter{s}
	}
	s.enc.Raw(mark)
	s.enc.Literal(letter.Size)
	n, err := io.CopyN(out, letter, letter.Size)
	if err == nil && n < letter.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// resetKey makes worthless all URLs of a mailbox that were ever signed, or those of
// all mailboxes.
func (s *session) resetKey(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.ResetKey)
	for _, m := range a.Mechanisms {
		if m != urlauth.Mechanism {
			return "", refusal("[URLMECH " + urlauth.Mechanism + "] No such mechanism")
		}
	}
	var err error
	if a.Mailbox == "" {
		err = s.server.config.URLs.ResetAll(s.space)
	} else {
		err = s.server.config.URLs.Reset(ctx, s.space, a.Mailbox)
	}
	return "[URLMECH " + urlauth.Mechanism + "] RESETKEY completed", err
}
