package namespace

import (
	"context"
	"slices"

	"facteur/internal/store/mailbox"
)

// Rights is what the user may do with a mailbox.
func (s *Space) Rights(ctx context.Context, wire string) (mailbox.Rights, error) {
	p, r, err := s.Enter(ctx, wire, 0)
	if err != nil {
		return 0, err
	}
	p.Close()
	return r, nil
}

// ACL is the list of a mailbox, for who may administer it, and the address that
// "owner" stands for; the owner is in it in any case.
func (s *Space) ACL(ctx context.Context, wire string) (list mailbox.ACL, owner string, err error) {
	p, _, err := s.Enter(ctx, wire, mailbox.RightAdmin)
	if err != nil {
		return nil, "", err
	}
	defer p.Close()
	list, err = p.Account.ACL(ctx, p.Name)
	if owner = p.ownerName(s); owner != "" && !slices.ContainsFunc(list, func(e mailbox.Entry) bool { return e.Who == "owner" }) {
		list = slices.Insert(slices.Clone(list), 0, mailbox.Entry{Who: "owner", Rights: mailbox.AllRights})
	}
	return list, owner, err
}

// ownerName is the address of the account that a place is in, "" if it is nobody's.
func (p *Place) ownerName(s *Space) string {
	switch p.name.kind {
	case users:
		return p.name.owner
	case public:
		return ""
	}
	return s.user
}

// SetACL changes what an identifier, as IMAP writes it, may do. Nobody can change
// the lists that the settings declare.
func (s *Space) SetACL(ctx context.Context, wire, identifier string, change func(mailbox.Rights) mailbox.Rights) error {
	p, _, err := s.Enter(ctx, wire, mailbox.RightAdmin)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.name.kind == public && s.settings.declared(p.Name) {
		return mailbox.ErrNoPermission
	}
	who, negative, err := mailbox.ParseIdentifier(identifier, p.ownerName(s))
	if err != nil {
		return err
	}
	if err := p.Account.ChangeACL(ctx, p.Name, who, negative, change); err != nil {
		return err
	}
	if s.house == nil || p.name.kind == public {
		return nil
	}
	return s.house.learn(p.owner(s), p.Account.Owner())
}
