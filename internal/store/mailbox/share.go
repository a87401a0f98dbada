package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"facteur/internal/base/vfs"
)

// ErrNoPermission is said to somebody who may know that the mailbox exists.
var ErrNoPermission = errors.New("no permission")

var errLongACL = errors.New("the list of rights is too long: " + aclFile)

// aclCache is a mailbox's ACL as it was last read. It has its own lock: what
// sessions may do is asked for at each operation.
type aclCache struct {
	mu    sync.Mutex
	read  bool
	stamp vfs.Info // of the file; zero without one
	list  ACL
}

func (b *box) aclPath() string { return filepath.Join(b.dir.Path, aclFile) }

// acl is the mailbox's list: a stat if the file did not change.
func (b *box) acl() (ACL, error) {
	b.shared.mu.Lock()
	defer b.shared.mu.Unlock()
	return b.readACL()
}

// readACL is acl for who holds the lock.
func (b *box) readACL() (ACL, error) {
	c := &b.shared
	info, err := b.dir.FS.Stat(b.aclPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.read, c.stamp, c.list = true, vfs.Info{}, nil
		return nil, nil
	case err != nil:
		return nil, err
	case c.read && c.stamp == info:
		return c.list, nil
	}
	data, err := vfs.ReadFile(b.dir.FS, b.aclPath(), maxACLFile)
	if err != nil {
		return nil, err
	}
	if len(data) >= maxACLFile {
		return nil, errLongACL // half of it could say too much
	}
	list := ParseACL(string(data))
	if len(list) > maxEntries {
		return nil, errLongACL
	}
	c.read, c.stamp, c.list = true, info, list
	return c.list, nil
}

// writeACL replaces the file: old or new after a crash.
func (b *box) writeACL(list ACL) error {
	if len(list) > maxEntries {
		return ErrLimit
	}
	b.shared.read = false
	return vfs.WriteFile(b.dir.FS, b.aclPath(), []byte(list.String()), 0o600)
}

// rights is what somebody may do. Where the list can't be read, nobody but the
// owner may do anything.
func (b *box) rights(s Subject) Rights {
	list, err := b.acl()
	if err != nil {
		b.acct.warn("rights of a mailbox can't be read: " + err.Error())
		list = nil
	}
	return list.Rights(s)
}

// inherit gives a new mailbox the list of the nearest mailbox above it.
func (a *Account) inherit(b *box) error {
	for name := parent(b.name); name != ""; name = parent(name) {
		if above := a.boxes[name]; above != nil {
			list, err := above.acl()
			if err != nil || len(list) == 0 {
				return err
			}
			b.shared.mu.Lock()
			defer b.shared.mu.Unlock()
			return b.writeACL(list)
		}
	}
	return nil
}

// at finds a mailbox for an operation on it alone.
func (a *Account) at(ctx context.Context, name string) (*box, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	return a.find(name)
}

// Rights is what somebody may do with a mailbox; ErrNoMailbox if there is none.
func (a *Account) Rights(ctx context.Context, name string, s Subject) (Rights, error) {
	b, err := a.at(ctx, name)
	if err != nil {
		return NoRights, err
	}
	return b.rights(s), nil
}

// Validity is the UIDVALIDITY of a mailbox.
func (a *Account) Validity(ctx context.Context, name string) (uint32, error) {
	b, err := a.at(ctx, name)
	if err != nil {
		return 0, err
	}
	return b.validity, nil
}

// RightsAbove is what somebody may do with the nearest mailbox above a name,
// which need not exist: who may create there. NoRights if there is none.
func (a *Account) RightsAbove(ctx context.Context, name string, s Subject) (Rights, error) {
	for name = parent(name); name != ""; name = parent(name) {
		r, err := a.Rights(ctx, name, s)
		if !errors.Is(err, ErrNoMailbox) {
			return r, err
		}
	}
	return NoRights, nil
}

// ACL is the list of a mailbox.
func (a *Account) ACL(ctx context.Context, name string) (ACL, error) {
	b, err := a.at(ctx, name)
	if err != nil {
		return nil, err
	}
	return b.acl()
}

// ChangeACL replaces the entry of one name by what change makes of its rights; an
// entry without any is removed. The list is durable when it returns.
func (a *Account) ChangeACL(ctx context.Context, name, who string, negative bool, change func(Rights) Rights) error {
	b, err := a.at(ctx, name)
	if err != nil {
		return err
	}
	b.shared.mu.Lock()
	defer b.shared.mu.Unlock()
	list, err := b.readACL()
	if err != nil {
		return err
	}
	e := list.entry(who, negative)
	e.Rights = change(e.Rights)
	if err := b.writeACL(list.with(e)); err != nil {
		return err
	}
	return nil
}

// SetACL replaces the whole list.
func (a *Account) SetACL(ctx context.Context, name string, list ACL) error {
	b, err := a.at(ctx, name)
	if err != nil {
		return err
	}
	b.shared.mu.Lock()
	defer b.shared.mu.Unlock()
	return b.writeACL(list)
}

// Grants is who may look up any mailbox of an account beside its owner, sorted: keys
// of addresses, and "anyone". It reads the files of the Maildir alone, whether or not
// the account is open.
func (s *Store) Grants(o Owner) ([]string, error) {
	var out []string
	f := o.files(s.fs)
	err := eachFolder(f, o.root(), func(folder string) error {
		text, err := readIn(f, folder, aclFile, maxACLFile)
		out = append(out, ParseACL(text).Grants()...)
		return err
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

// eachFolder gives the directories of the mailboxes of a Maildir, as far as they are
// on the disk.
func eachFolder(f vfs.FS, root string, fn func(path string) error) error {
	entries, err := f.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fn(root)
	}
	for _, e := range entries {
		if err != nil {
			break
		}
		if strings.HasPrefix(e.Name, ".") && !strings.HasPrefix(e.Name, "..") {
			err = fn(filepath.Join(root, e.Name))
		}
	}
	return err
}

// readIn reads a file of a folder; one that is not there is empty.
func readIn(f vfs.FS, folder, name string, limit int64) (string, error) {
	data, err := vfs.ReadFile(f, filepath.Join(folder, name), limit)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		err = nil
	}
	return string(data), err
}

// all is the mailboxes there are, in no order.
func (a *Account) all(ctx context.Context) ([]*box, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	boxes := make([]*box, 0, len(a.boxes))
	for _, b := range a.boxes {
		boxes = append(boxes, b)
	}
	return boxes, nil
}

// ListFor is List as somebody else may see it: those of the visible mailboxes that he
// may look up, and what stands above them. Subscriptions are the owner's and are left
// out.
func (a *Account) ListFor(ctx context.Context, s Subject, visible func(name string) bool) ([]Info, error) {
	boxes, err := a.all(ctx)
	if err != nil {
		return nil, err
	}
	infos := infoTree{}
	for _, b := range boxes {
		if r := b.rights(s); r.Has(RightLookup) && visible(b.name) {
			infos.add(b.name).Rights = r
		}
	}
	return infos.sorted(), nil
}

// Restrict lets the session do only what somebody may, and nothing once the mailbox is
// not visible. Both are asked at each operation: a change counts from then on.
func (v *View) Restrict(s Subject, visible func() bool) {
	b := v.box
	v.may = func() Rights {
		if !visible() {
			return NoRights
		}
		return b.rights(s)
	}
}

// Rights is what the session may do with the mailbox now.
func (v *View) Rights() Rights {
	if v.may == nil {
		return AllRights
	}
	return v.may()
}

// needs is an error unless the session has all of these rights. To somebody who
// may no longer look up the mailbox, it is not there.
func (v *View) needs(want Rights) error {
	switch r := v.Rights(); {
	case r.Has(want):
		return nil
	case !r.Has(RightLookup):
		return ErrMailboxGone
	}
	return ErrNoPermission
}

// Readable is an error when the session may no longer read the mailbox.
func (v *View) Readable() error {
	if v.may == nil {
		return nil
	}
	return v.needs(RightRead)
}

// changeable is the flags among f that the session may change, with an error if
// it is none of them (RFC 4314 §4).
func (v *View) changeable(f Flags) (Flags, error) {
	if v.may == nil {
		return f, nil
	}
	if err := v.needs(RightRead); err != nil {
		return Flags{}, err
	}
	r := v.Rights()
	out := r.Permitted(f)
	asked := f.System != 0 || len(f.Keywords) > 0
	none := out.System == 0 && len(out.Keywords) == 0
	if asked && none || r&(RightSeen|RightWrite|RightDeleteMail) == 0 {
		return out, ErrNoPermission
	}
	return out, nil
}

// reflagging is a change of flags, as far as the session may make it.
type reflagging struct {
	op       FlagOp
	flags    SystemFlags
	mask     SystemFlags // what may change
	keywords bool        // they may change
}

func (v *View) reflagging(op FlagOp, f SystemFlags) reflagging {
	const all = Seen | Answered | Flagged | Deleted | Draft
	r := reflagging{op: op, flags: f, mask: all, keywords: true}
	if v.may != nil {
		may := v.Rights()
		r.mask, r.keywords = may.Permitted(Flags{System: all}).System, may.Has(RightWrite)
	}
	return r
}

// system is what becomes of a letter's system flags.
func (r reflagging) system(old SystemFlags) SystemFlags {
	return combine(r.op, old, r.flags)&r.mask | old&^r.mask
}
