package namespace

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/store/mailbox"
)

// Space is what one session of a user sees. It is used by one goroutine at a
// time. Names are those of the wire, in UTF-8.
type Space struct {
	house    *House // nil: only the user's own mailboxes
	settings *Settings
	own      *mailbox.Account
	user     string // address of the account

	selected *Place // of the view
}

// Place is a mailbox, there or not, in the account that it is in.
type Place struct {
	Account *mailbox.Account
	Name    string          // within the account
	Subject mailbox.Subject // the user, as the account sees him
	Wire    string          // the one name on the wire

	name     name
	borrowed bool // the account is another's, opened for this place
}

// Close gives the account back.
func (p *Place) Close() {
	if p != nil && p.borrowed {
		p.Account.Close()
		p.borrowed = false
	}
}

// Own says that the mailbox is in the user's own account.
func (p *Place) Own() bool { return p.name.kind == personal }

// Close ends the use.
func (s *Space) Close() error {
	s.selected.Close()
	s.selected = nil
	return s.own.Close()
}

// Account is the user's own mailboxes, without prefixes and without restraint.
func (s *Space) Account() *mailbox.Account { return s.own }

// User is the address of the user's account.
func (s *Space) User() string { return s.user }

// Separator divides the levels of names.
func (s *Space) Separator() string { return s.settings.sep() }

// Prefixes of the namespaces; "" for users' and public ones that do not exist.
func (s *Space) Prefixes() (personal, users, public string) {
	personal = s.settings.Personal
	if s.house != nil {
		users = s.settings.Users
		if len(s.settings.PublicMailboxes) > 0 {
			public = s.settings.Public
		}
	}
	return personal, users, public
}

// Resolve finds the account that a name leads into, and opens it if it is another's.
// It says nothing of whether the mailbox exists. An account that shares nothing
// with the user is like one that does not exist. The Place is to be closed.
func (s *Space) Resolve(ctx context.Context, wire string) (*Place, error) {
	n, ok := s.settings.parse(wire)
	if !ok {
		return nil, mailbox.ErrNoMailbox
	}
	p := &Place{Name: n.inner, Wire: s.settings.wire(n), name: n, Subject: mailbox.Subject{Address: s.user, Owner: true}}
	switch {
	case n.kind == personal:
		p.Account = s.own
		return p, nil
	case n.kind == users && key(n.owner) == key(s.user):
		return nil, mailbox.ErrNoMailbox // his own have one name
	}
	p.Subject.Owner = false
	owner, err := s.ownerOf(ctx, n)
	if err != nil {
		return nil, err
	}
	if p.Account, err = s.house.store.Open(ctx, owner); err != nil {
		return nil, err
	}
	p.borrowed = true
	return p, nil
}

// ownerOf is whose account a name leads into, if he lets the user in.
func (s *Space) ownerOf(ctx context.Context, n name) (mailbox.Owner, error) {
	switch {
	case s.house == nil:
		return mailbox.Owner{}, mailbox.ErrNoMailbox
	case n.kind == public && !s.house.offers(n.inner):
		return mailbox.Owner{}, mailbox.ErrNoMailbox
	case n.kind == public:
		return s.house.public, nil
	case !s.house.shares.lets(key(n.owner), key(s.user)):
		return mailbox.Owner{}, mailbox.ErrNoMailbox
	}
	found := s.house.find(ctx, n.owner)
	switch found.State() {
	case lookup.Found:
		return found.Value(), nil
	case lookup.NotFound:
		return mailbox.Owner{}, mailbox.ErrNoMailbox
	}
	return mailbox.Owner{}, found.Err()
}

// visible says that a name is not one of a public mailbox that is offered no more.
func (s *Space) visible(n name) bool { return n.kind != public || s.house.offers(n.inner) }

// rights is what the user may do with a place; ErrNoMailbox unless he may look it up.
func (p *Place) rights(ctx context.Context) (mailbox.Rights, error) {
	r, err := p.Account.Rights(ctx, p.Name, p.Subject)
	if err == nil && !r.Has(mailbox.RightLookup) {
		err = mailbox.ErrNoMailbox
	}
	return r, err
}

// needs is an error unless the user has these rights.
func (p *Place) needs(ctx context.Context, want mailbox.Rights) (mailbox.Rights, error) {
	r, err := p.rights(ctx)
	if err == nil && !r.Has(want) {
		err = mailbox.ErrNoPermission
	}
	return r, err
}

// Enter is Resolve for a mailbox that exists and with which the user may do what
// want says.
func (s *Space) Enter(ctx context.Context, wire string, want mailbox.Rights) (*Place, mailbox.Rights, error) {
	p, err := s.Resolve(ctx, wire)
	if err != nil {
		return nil, 0, err
	}
	r, err := p.needs(ctx, want)
	if err != nil {
		p.Close()
		return nil, 0, err
	}
	return p, r, nil
}

// Select opens a mailbox. It is read-only where nothing but reading is allowed.
// The view is to be closed by Deselect.
func (s *Space) Select(ctx context.Context, wire string, readOnly bool) (*mailbox.View, error) {
	p, r, err := s.Enter(ctx, wire, mailbox.RightRead)
	if err != nil {
		return nil, err
	}
	const changing = mailbox.RightSeen | mailbox.RightWrite | mailbox.RightDeleteMail | mailbox.RightExpunge | mailbox.RightInsert
	view, err := p.Account.Select(ctx, p.Name, readOnly || r&changing == 0)
	if err != nil {
		p.Close()
		return nil, err
	}
	if r != mailbox.AllRights || !p.Own() {
		view.Restrict(p.Subject, func() bool { return s.visible(p.name) })
	}
	s.selected = p
	return view, nil
}

// Deselect closes the view that Select gave.
func (s *Space) Deselect(v *mailbox.View) error {
	err := v.Close()
	s.selected.Close()
	s.selected = nil
	return err
}

// Selected is the place of the view, nil without one.
func (s *Space) Selected() *Place { return s.selected }

// Holds says whether the selected mailbox has this name, or stands below it.
func (s *Space) Holds(wire string) bool {
	n, ok := s.settings.parse(wire)
	if !ok || s.selected == nil {
		return false
	}
	name := s.settings.wire(n)
	return s.selected.Wire == name || strings.HasPrefix(s.selected.Wire, name+s.Separator())
}

// Status is what STATUS tells of a mailbox.
type Status struct {
	mailbox.Status
	MailboxID string
}

// Status tells about a mailbox.
func (s *Space) Status(ctx context.Context, wire string) (Status, error) {
	p, _, err := s.Enter(ctx, wire, mailbox.RightRead)
	if err != nil {
		return Status{}, err
	}
	defer p.Close()
	st, err := p.Account.Status(ctx, p.Name)
	return Status{st, p.MailboxID(st.UIDValidity)}, err
}

// DeletedSize is the bytes of a mailbox's letters that are \\Deleted.
func (s *Space) DeletedSize(ctx context.Context, wire string) (int64, error) {
	p, _, err := s.Enter(ctx, wire, mailbox.RightRead)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return p.Account.DeletedSize(ctx, p.Name)
}

// MailboxID is the id of a mailbox that the user may look up (RFC 8474 §4).
func (s *Space) MailboxID(ctx context.Context, wire string) (string, error) {
	p, _, err := s.Enter(ctx, wire, 0)
	if err != nil {
		return "", err
	}
	defer p.Close()
	validity, err := p.Account.Validity(ctx, p.Name)
	return p.MailboxID(validity), err
}

// MailboxID makes the id of a UIDVALIDITY, which is unique in its account: "F" and
// the number, in others' accounts with a mark of whose it is.
func (p *Place) MailboxID(validity uint32) string {
	id := fmt.Sprintf("F%d", validity)
	if p.Own() {
		return id
	}
	mark := sha256.Sum256([]byte(key(p.name.owner)))
	return fmt.Sprintf("%s-%x", id, mark[:6])
}

// Append stores a message; flags that the user may not set are left out.
func (s *Space) Append(ctx context.Context, wire string, r io.Reader, size int64, o mailbox.AppendOptions) (validity, uid uint32, err error) {
	p, has, err := s.Enter(ctx, wire, mailbox.RightInsert)
	if err != nil {
		return 0, 0, err
	}
	defer p.Close()
	o.Flags = has.Permitted(o.Flags)
	return p.Account.Append(ctx, p.Name, r, size, o)
}

// Create makes a mailbox. In others' accounts somebody must have allowed it for
// the nearest mailbox above, whose list of rights the new one gets; the special
// uses of RFC 6154 are only for one's own.
func (s *Space) Create(ctx context.Context, wire string, uses ...string) error {
	p, err := s.toCreate(ctx, wire)
	if err != nil {
		return err
	}
	defer p.Close()
	if len(uses) > 0 && !p.Own() {
		return mailbox.ErrUse
	}
	if err := p.Account.CreateFor(ctx, p.Name, strings.Join(uses, " ")); err != nil {
		return err
	}
	return s.sharesChanged(ctx, p)
}

// toCreate is the place of a mailbox that the user may make.
func (s *Space) toCreate(ctx context.Context, wire string) (*Place, error) {
	p, err := s.Resolve(ctx, wire)
	switch {
	case errors.Is(err, mailbox.ErrNoMailbox):
		return nil, mailbox.ErrBadName // no account, or none that lets the user in
	case err == nil && p.Own() && s.settings.reserved(wire):
		return nil, mailbox.ErrBadName
	case err != nil || p.Own():
		return p, err
	}
	above, err := p.Account.RightsAbove(ctx, p.Name, p.Subject)
	switch {
	case err != nil:
	case !above.Has(mailbox.RightLookup):
		err = mailbox.ErrBadName
	case !above.Has(mailbox.RightCreate):
		err = mailbox.ErrNoPermission
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Delete removes a mailbox.
func (s *Space) Delete(ctx context.Context, wire string) error {
	p, _, err := s.Enter(ctx, wire, mailbox.RightDelete)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Account.Delete(ctx, p.Name); err != nil {
		return err
	}
	return s.sharesChanged(ctx, p)
}

// Rename renames within one account.
func (s *Space) Rename(ctx context.Context, from, to string) error {
	p, err := s.toRename(ctx, from)
	if err != nil {
		return err
	}
	defer p.Close()
	target, err := s.toCreate(ctx, to)
	if err != nil {
		return err
	}
	defer target.Close()
	if target.Account != p.Account {
		return mailbox.ErrBadName
	}
	if err := p.Account.Rename(ctx, p.Name, target.Name); err != nil {
		return err
	}
	return s.sharesChanged(ctx, p)
}

// toRename is a place that the user may rename. Of his own, that can be a parent
// without a mailbox.
func (s *Space) toRename(ctx context.Context, wire string) (*Place, error) {
	p, err := s.Resolve(ctx, wire)
	if err != nil {
		return nil, err
	}
	_, err = p.needs(ctx, mailbox.RightDelete)
	if p.Own() && errors.Is(err, mailbox.ErrNoMailbox) {
		err = nil
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Subscribe puts a name on the user's list or takes it off, whether or not there
// is such a mailbox: the answer tells nothing.
func (s *Space) Subscribe(ctx context.Context, wire string, on bool) error {
	n, ok := s.settings.parse(wire)
	if !ok {
		return mailbox.ErrBadName
	}
	return s.own.Subscribe(ctx, s.settings.subscription(n), on)
}

// Copy copies letters of the selected mailbox, all or none, with the flags that the user
// may set where they come to.
func (s *Space) Copy(ctx context.Context, v *mailbox.View, uids []uint32, to string) (validity uint32, pairs []mailbox.UIDPair, err error) {
	p, has, err := s.Enter(ctx, to, mailbox.RightInsert)
	if err != nil {
		return 0, nil, err
	}
	defer p.Close()
	validity, pairs, err = v.CopyTo(ctx, uids, p.Account, p.Name, has)
	if err == nil {
		s.transferred(ctx, p, pairs)
	}
	return validity, pairs, err
}

// Move moves letters of the selected mailbox, all or none, with flags as Copy.
func (s *Space) Move(ctx context.Context, v *mailbox.View, uids []uint32, to string) (validity uint32, pairs []mailbox.UIDPair, err error) {
	p, has, err := s.Enter(ctx, to, mailbox.RightInsert)
	if err != nil {
		return 0, nil, err
	}
	defer p.Close()
	validity, pairs, err = v.MoveTo(ctx, uids, p.Account, p.Name, has)
	if err == nil {
		s.transferred(ctx, p, pairs)
	}
	return validity, pairs, err
}

// sharesChanged keeps the list of who shares with whom right after a change.
func (s *Space) sharesChanged(ctx context.Context, p *Place) error {
	owner := p.owner(s)
	if s.house == nil || p.name.kind == public || !s.house.shares.any(owner) {
		return nil
	}
	return s.house.learn(owner, p.Account.Owner())
}

// owner is the key of the account that a place is in.
func (p *Place) owner(s *Space) string {
	if p.name.kind == users {
		return key(p.name.owner)
	}
	return key(s.user)
}

// learn reads what an account shares.
func (h *House) learn(owner string, o mailbox.Owner) error {
	grants, err := h.store.Grants(o)
	if err != nil {
		return err
	}
	return h.shares.set(owner, grants)
}

// meet is learn for an owner who comes for the first time in this run: another
// program may have shared something of his.
func (h *House) meet(o mailbox.Owner) error {
	owner := key(o.Address)
	if !h.shares.first(owner) {
		return nil
	}
	return h.learn(owner, o)
}

// Canonical is the one form of a name; what can be no name stays as it is.
func (s *Space) Canonical(wire string) string {
	if n, ok := s.settings.parse(wire); ok {
		return s.settings.wire(n)
	}
	return wire
}

// IsSelected says whether this is the mailbox of the view.
func (s *Space) IsSelected(wire string) bool {
	return s.selected != nil && s.Same(s.selected.Wire, wire)
}

// IsPersonal says whether a name is one of the user's own.
func (s *Space) IsPersonal(wire string) bool {
	n, ok := s.settings.parse(wire)
	return ok && n.kind == personal
}

// Same says whether two names mean the same mailbox.
func (s *Space) Same(a, b string) bool {
	x, ok := s.settings.parse(a)
	y, good := s.settings.parse(b)
	return ok && good && x == y
}

// Below says whether a name is below another.
func (s *Space) Below(parent, wire string) bool {
	n, ok := s.settings.parse(parent)
	return ok && strings.HasPrefix(wire, s.settings.wire(n)+s.Separator())
}

// Subscribed is the names that the user is subscribed to.
func (s *Space) Subscribed(ctx context.Context) (map[string]bool, error) {
	names, err := s.own.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(names))
	for _, inner := range names {
		n, _ := s.settings.subscribedName(inner)
		out[s.settings.wire(n)] = true
	}
	return out, nil
}
