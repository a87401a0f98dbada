package control

import (
	"context"

	"facteur/internal/base/lookup"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// Mailbox is one mailbox of an account.
type Mailbox struct {
	Name string `json:"name"`
	// Exists is false for a name that is only subscribed, or only a parent.
	Exists     bool   `json:"exists"`
	Subscribed bool   `json:"subscribed"`
	SpecialUse string `json:"special_use,omitempty"`
	Messages   uint32 `json:"messages"`
	Unseen     uint32 `json:"unseen"`
	// Deleted is how many letters are marked \Deleted, and not expunged.
	Deleted uint32 `json:"deleted"`
	// Size is in bytes.
	Size          int64  `json:"size"`
	UIDValidity   uint32 `json:"uid_validity,omitempty"`
	UIDNext       uint32 `json:"uid_next,omitempty"`
	HighestModSeq uint64 `json:"highest_modseq,omitempty"`
}

// Mailboxes implements Office.
func (s *Stores) Mailboxes(ctx context.Context, n AccountName) (list []Mailbox, err error) {
	err = s.withMailboxes(ctx, n.Address, func(a *mailbox.Account, _ directory.Account) error {
		infos, err := a.List(ctx)
		if err != nil {
			return err
		}
		for _, i := range infos {
			m := Mailbox{Name: i.Name, Exists: i.Exists, Subscribed: i.Subscribed, SpecialUse: i.SpecialUse}
			if err := m.ask(ctx, a); err != nil {
				return err
			}
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// ask fills in what STATUS tells.
func (m *Mailbox) ask(ctx context.Context, a *mailbox.Account) error {
	if !m.Exists {
		return nil
	}
	st, err := a.Status(ctx, m.Name)
	if err != nil {
		return about(m.Name, err)
	}
	m.Messages, m.Unseen, m.Deleted, m.Size = st.Messages, st.Unseen, st.Deleted, st.Size
	m.UIDValidity, m.UIDNext, m.HighestModSeq = st.UIDValidity, st.UIDNext, st.HighestModSeq
	return nil
}

// WayBack is what WriteDovecot could not write.
type WayBack struct {
	// Keywords is how many names of keywords found no room in Dovecot's files.
	Keywords int `json:"keywords_left"`
}

// WriteDovecot implements Office.
func (s *Stores) WriteDovecot(ctx context.Context, n AccountName) (w WayBack, err error) {
	err = s.withMailboxes(ctx, n.Address, func(a *mailbox.Account, _ directory.Account) error {
		w.Keywords, err = a.WriteDovecot(ctx)
		return err
	})
	return w, err
}

// withMailboxes runs fn with the mailboxes of an account. They are shared with the
// sessions of a running server; without one, nobody else can have them, because
// whoever works here has the Claim.
func (s *Stores) withMailboxes(ctx context.Context, name string, fn func(*mailbox.Account, directory.Account) error) error {
	found, err := s.account(ctx, name)
	if err != nil {
		return err
	}
	a, err := s.mailboxes.Open(ctx, s.owner(found))
	if err != nil {
		return about(name, err)
	}
	defer a.Close()
	return about(name, fn(a, found))
}

// account looks up an account by the name that a command was given.
func (s *Stores) account(ctx context.Context, name string) (directory.Account, error) {
	a, err := accountAddress(name)
	if err != nil {
		return directory.Account{}, err
	}
	answer := s.directory.Account(ctx, a)
	if answer.State() != lookup.Found {
		return directory.Account{}, about(name, answer.Err())
	}
	return answer.Value(), nil
}

// Mailboxes implements Office.
func (c *client) Mailboxes(ctx context.Context, n AccountName) (list []Mailbox, err error) {
	err = c.call(ctx, "/mailboxes", n, &list)
	return list, err
}

// WriteDovecot implements Office.
func (c *client) WriteDovecot(ctx context.Context, n AccountName) (w WayBack, err error) {
	err = c.call(ctx, "/mailboxes/dovecot", n, &w)
	return w, err
}
