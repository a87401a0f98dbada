package mailbox

import (
	"context"
	"maps"
	"slices"
)

// Mentions says whether a list of rights, or a private annotation, in the account of
// an owner is about somebody. It reads the files alone, whether or not the account
// is open.
func (s *Store) Mentions(o Owner, address string) (found bool, err error) {
	user := accountKey(address)
	f := o.files(s.fs)
	err = eachFolder(f, o.root(), func(folder string) error {
		acl, err := readIn(f, folder, aclFile, maxACLFile)
		if err != nil {
			return err
		}
		notes, err := readIn(f, folder, metadataFile, 4*maxMetadata)
		found = found || ParseACL(acl).names(user) || annotated(parseNotes(notes), user)
		return err
	})
	return found, err
}

// Forget takes somebody out of the lists of rights of all mailboxes, and removes his
// private annotations: whoever gets the address next has nothing of either. A crash
// leaves some mailboxes done and others not; to do it again does the rest.
func (a *Account) Forget(ctx context.Context, address string) error {
	boxes, err := a.all(ctx)
	if err != nil {
		return err
	}
	user := accountKey(address)
	for _, b := range boxes {
		if err := b.forget(user); err != nil {
			return err
		}
	}
	return nil
}

func (b *box) forget(user string) error {
	if err := b.forgetRights(user); err != nil {
		return err
	}
	n := &b.notes
	n.mu.Lock()
	err := n.load(b.dir.FS, b.notesPath())
	there := annotated(n.values, user)
	n.mu.Unlock()
	if err != nil || !there {
		return err
	}
	return n.change(b.dir.FS, b.notesPath(), 0, func(values map[noteKey]string) error {
		maps.DeleteFunc(values, func(k noteKey, _ string) bool { return k.user == user })
		return nil
	})
}

func (b *box) forgetRights(user string) error {
	b.shared.mu.Lock()
	defer b.shared.mu.Unlock()
	list, err := b.readACL()
	if err != nil || !list.names(user) {
		return err
	}
	return b.writeACL(slices.DeleteFunc(slices.Clone(list), func(e Entry) bool { return e.Who == "user="+user }))
}

// names says whether an entry is about a user.
func (list ACL) names(user string) bool {
	return slices.ContainsFunc(list, func(e Entry) bool { return e.Who == "user="+user })
}

// annotated says whether a user has private entries.
func annotated(values map[noteKey]string, user string) bool {
	for k := range values {
		if k.user == user {
			return true
		}
	}
	return false
}
