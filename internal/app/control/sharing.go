package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// MailboxName is a mailbox of an account, "/" between the levels of its name.
type MailboxName struct {
	Address string `json:"address"`
	Mailbox string `json:"mailbox"`
	// SpecialUse is for a mailbox to be: "\\Sent" and the like, or "".
	SpecialUse string `json:"special_use,omitempty"`
}

func (n MailboxName) what() string { return n.Address + " " + n.Mailbox }

// MailboxRename is a mailbox and the name that it is to have.
type MailboxRename struct {
	Address string `json:"address"`
	Mailbox string `json:"mailbox"`
	To      string `json:"to"`
}

func (r MailboxRename) what() string { return r.Address + " " + r.Mailbox + " → " + r.To }

// MailboxRights is what somebody may do with a mailbox.
type MailboxRights struct {
	Address string `json:"address"`
	Mailbox string `json:"mailbox"`
	// Who is an address, "anyone" or "authenticated"; with "-" in front, who may not.
	Who string `json:"who"`
	// Rights are letters of RFC 4314; none takes the entry away. In a change they may
	// begin with "+" or "-".
	Rights string `json:"rights"`
}

func (r MailboxRights) what() string {
	return fmt.Sprintf("%s %s: %s %q", r.Address, r.Mailbox, r.Who, r.Rights)
}

// Sharing says who keeps the list of who shares with whom.
func (s *Stores) Sharing(h *namespace.House) *Stores {
	s.spaces = h
	return s
}

// withSpace runs fn with the mailboxes of an account as its owner has them, under
// the names that they have inside.
func (s *Stores) withSpace(ctx context.Context, name string, fn func(*namespace.Space) error) error {
	found, err := s.account(ctx, name)
	if err != nil {
		return err
	}
	space, err := s.spaces.Inside(ctx, s.owner(found))
	if err != nil {
		return about(name, err)
	}
	defer space.Close()
	return about(name, fn(space))
}

// findOwner finds the account that a name of a shared mailbox leads into.
func (s *Stores) findOwner(ctx context.Context, name string) lookup.Answer[mailbox.Owner] {
	found, err := s.account(ctx, name)
	if err != nil {
		return lookup.Later[mailbox.Owner](err)
	}
	return lookup.Yes(s.owner(found))
}

// forget takes an account that is to be removed out of what others share. That comes
// first: if it can't be done the account stays, and nobody can get its address.
func (s *Stores) forget(ctx context.Context, found directory.Account) error {
	accounts, err := s.directory.Accounts(ctx)
	if err != nil {
		return err
	}
	owners := make([]mailbox.Owner, len(accounts))
	for i, account := range accounts {
		owners[i] = s.owner(account)
	}
	return s.spaces.Forget(ctx, found.Address, owners)
}

// CreateMailbox implements Office.
func (s *Stores) CreateMailbox(ctx context.Context, n MailboxName) error {
	return s.withSpace(ctx, n.Address, func(space *namespace.Space) error {
		return about(n.Mailbox, space.Create(ctx, n.Mailbox, strings.Fields(n.SpecialUse)...))
	})
}

// DeleteMailbox implements Office.
func (s *Stores) DeleteMailbox(ctx context.Context, n MailboxName) error {
	return s.withSpace(ctx, n.Address, func(space *namespace.Space) error {
		return about(n.Mailbox, space.Delete(ctx, n.Mailbox))
	})
}

// RenameMailbox implements Office.
func (s *Stores) RenameMailbox(ctx context.Context, r MailboxRename) error {
	return s.withSpace(ctx, r.Address, func(space *namespace.Space) error {
		return about(r.Mailbox, space.Rename(ctx, r.Mailbox, r.To))
	})
}

// MailboxRights implements Office.
func (s *Stores) MailboxRights(ctx context.Context, n MailboxName) (list []MailboxRights, err error) {
	err = s.withSpace(ctx, n.Address, func(space *namespace.Space) error {
		acl, owner, err := space.ACL(ctx, n.Mailbox)
		for _, e := range acl {
			list = append(list, MailboxRights{n.Address, n.Mailbox, e.Identifier(owner), e.Rights.String()})
		}
		return about(n.Mailbox, err)
	})
	return list, err
}

// errRights is a mistake of the admin.
var errRights = errors.New(`rights are letters of "lrswipkxtea"`)

// SetMailboxRights implements Office.
func (s *Stores) SetMailboxRights(ctx context.Context, r MailboxRights) error {
	letters := strings.TrimLeft(r.Rights, "+-")
	rights, err := mailbox.ParseRights(letters)
	if err != nil || len(r.Rights)-len(letters) > 1 {
		return errRights
	}
	return s.withSpace(ctx, r.Address, func(space *namespace.Space) error {
		return about(r.Mailbox, space.SetACL(ctx, r.Mailbox, r.Who, func(old mailbox.Rights) mailbox.Rights {
			switch {
			case strings.HasPrefix(r.Rights, "+"):
				return old | rights
			case strings.HasPrefix(r.Rights, "-"):
				return old &^ rights
			}
			return rights
		}))
	})
}

// CreateMailbox implements Office.
func (c *client) CreateMailbox(ctx context.Context, n MailboxName) error {
	return c.call(ctx, "/mailboxes/create", n, nil)
}

// DeleteMailbox implements Office.
func (c *client) DeleteMailbox(ctx context.Context, n MailboxName) error {
	return c.call(ctx, "/mailboxes/delete", n, nil)
}

// RenameMailbox implements Office.
func (c *client) RenameMailbox(ctx context.Context, r MailboxRename) error {
	return c.call(ctx, "/mailboxes/rename", r, nil)
}

// MailboxRights implements Office.
func (c *client) MailboxRights(ctx context.Context, n MailboxName) (list []MailboxRights, err error) {
	err = c.call(ctx, "/mailboxes/rights", n, &list)
	return list, err
}

// SetMailboxRights implements Office.
func (c *client) SetMailboxRights(ctx context.Context, r MailboxRights) error {
	return c.call(ctx, "/mailboxes/rights/set", r, nil)
}
