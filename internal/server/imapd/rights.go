package imapd

import (
	"context"
	"errors"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// rightsCommand is the commands about who may do what (RFC 4314).
func (s *session) rightsCommand(name string) (handler, when) {
	switch name {
	case "SETACL", "DELETEACL":
		return s.setACL, afterLogin
	case "GETACL":
		return s.getACL, afterLogin
	case "LISTRIGHTS":
		return s.listRights, afterLogin
	case "MYRIGHTS":
		return s.myRights, afterLogin
	}
	return nil, 0
}

var rightsCapabilities = []string{"ACL", "RIGHTS=texk", "LIST-MYRIGHTS"}

// setACL is SETACL and DELETEACL, which is SETACL to nothing. Rights that we do not
// know are a mistake of the client (RFC 4314 §3.1).
func (s *session) setACL(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.SetACL)
	rights, err := mailbox.ParseRights(a.Rights)
	if err != nil {
		return "", &imap.SyntaxError{Text: "Unknown right"}
	}
	err = s.space.SetACL(ctx, a.Mailbox, a.Identifier, func(old mailbox.Rights) mailbox.Rights {
		switch a.Op {
		case '+':
			return old | rights
		case '-':
			return old &^ rights
		}
		return rights
	})
	if errors.Is(err, mailbox.ErrBadIdentifier) {
		return "", refusal("[CANNOT] Not an identifier that somebody here can have")
	}
	return c.Name + " completed", err
}

func (s *session) getACL(ctx context.Context, c imap.Command) (string, error) {
	name := string(c.Args.(imap.Mailbox))
	list, owner, err := s.space.ACL(ctx, name)
	if err != nil {
		return "", err
	}
	s.enc.Raw("* ACL ")
	s.enc.Mailbox(name)
	for _, e := range list {
		s.enc.Raw(" ")
		s.enc.AString(e.Identifier(owner))
		s.enc.Raw(" ")
		s.enc.AString(e.Rights.Compatible())
	}
	s.enc.Raw("\r\n")
	return "GETACL completed", nil
}

// listRights tells what can be given: everything to everybody, each right by
// itself. "c" and "d" are told as the sets that they stand for now. The owner
// keeps "l" and "a" whatever is set.
func (s *session) listRights(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.ListRights)
	_, owner, err := s.space.ACL(ctx, a.Mailbox)
	if err != nil {
		return "", err
	}
	who, negative, err := mailbox.ParseIdentifier(a.Identifier, owner)
	if err != nil {
		return "", refusal("[CANNOT] Not an identifier that somebody here can have")
	}
	always, optional := `""`, "l r s w i p k x t e a c d"
	if who == "owner" && !negative {
		always, optional = "la", "r s w i p k x t e c d"
	}
	s.enc.Raw("* LISTRIGHTS ")
	s.enc.Mailbox(a.Mailbox)
	s.enc.Raw(" ")
	s.enc.AString(a.Identifier)
	s.enc.Raw(" " + always + " " + optional + "\r\n")
	return "LISTRIGHTS completed", nil
}

func (s *session) myRights(ctx context.Context, c imap.Command) (string, error) {
	name := string(c.Args.(imap.Mailbox))
	rights, err := s.space.Rights(ctx, name)
	if err == nil {
		s.sayRights(name, rights)
	}
	return "MYRIGHTS completed", err
}

func (s *session) sayRights(name string, rights mailbox.Rights) {
	s.enc.Raw("* MYRIGHTS ")
	s.enc.Mailbox(name)
	s.enc.Raw(" ")
	s.enc.AString(rights.Compatible())
	s.enc.Raw("\r\n")
}

// permanent is the flags that the user may change in the selected mailbox, and
// whether he may make up new ones.
func (s *session) permanent(flags []string) []string {
	if s.view.ReadOnly() {
		return nil
	}
	rights := s.view.Rights()
	var out []string
	for _, f := range flags {
		may := rights.Permitted(toFlags([]string{f}))
		if may.System != 0 || len(may.Keywords) > 0 {
			out = append(out, f)
		}
	}
	if rights.Has(mailbox.RightWrite) {
		out = append(out, `\*`)
	}
	return out
}

// uses writes the special uses of a mailbox as attributes.
func uses(f mailbox.Info) []string { return strings.Fields(f.SpecialUse) }
