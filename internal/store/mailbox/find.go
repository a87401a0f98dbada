package mailbox

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

// maxLooked bounds the mailboxes that are asked for their special use when a letter
// arrives.
const maxLooked = 1000

// Find finds the mailbox that a letter is to be put into: the one with a special use where
// folder begins with a backslash, else the one of that name. It asks the files, not the
// index, so that it costs nobody a wait who has the account open. "" is none; INBOX is never
// found.
//
// A use that was given to a mailbox goes before that of a name. An account of the server's
// whose mailboxes nobody has opened yet has the default ones by then: that one is made. The
// Maildir of a Unix user is his, and nothing is made in it; nor is what somebody deleted.
func (s *Store) Find(o Owner, folder string) (name string, at maildir.Dir, err error) {
	files, root := o.files(s.fs), o.root()
	if use := SpecialUse(folder); use != "" {
		folder = use
	}
	if !strings.HasPrefix(folder, `\`) {
		return byName(files, root, folder)
	}
	folders, err := folderNames(files, root)
	if err != nil {
		return "", at, err
	}
	usual := ""
	for _, f := range folders {
		uses, given := givenUses(files, path.Join(root, f.dir))
		switch {
		case given && slices.Contains(strings.Fields(uses), folder):
			return openFolder(files, root, f)
		case !given && usual == "" && s.useOf(f.name) == folder:
			usual = f.name
		}
	}
	if usual != "" {
		if name, at, err = byName(files, root, usual); name != "" || err != nil {
			return name, at, err
		}
		// Another letter is just making it, or a crash left half of it.
	}
	return s.makeUsed(o, files, root, folder)
}

// folderAt is a directory of a Maildir that is a mailbox.
type folderAt struct{ name, dir string }

// folderNames are the mailboxes of a Maildir beside INBOX, by their names.
func folderNames(files vfs.FS, root string) (out []folderAt, err error) {
	entries, err := files.ReadDir(root)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name[0] != '.' || !e.Type.IsDir() && e.Type&fs.ModeSymlink == 0 {
			continue
		}
		if name, err := maildir.FolderName(e.Name); err == nil {
			out = append(out, folderAt{name, e.Name})
		}
	}
	slices.SortFunc(out, func(a, b folderAt) int { return strings.Compare(a.name, b.name) })
	return out[:min(len(out), maxLooked)], nil
}

// givenUses are the special uses that were given to a mailbox, which may be none.
func givenUses(files vfs.FS, dir string) (uses string, given bool) {
	var n notes
	if n.load(files, path.Join(dir, metadataFile)) != nil {
		return "", false
	}
	uses, given = n.values[noteKey{"", specialUseNote}]
	return uses, given
}

// byName is the mailbox of a name, if it is there.
func byName(files vfs.FS, root, name string) (string, maildir.Dir, error) {
	name, err := maildir.Canonical(name)
	if err != nil {
		return "", maildir.Dir{}, nil
	}
	dir, err := maildir.Folder(name)
	if err != nil || dir == "" {
		return "", maildir.Dir{}, nil
	}
	return openFolder(files, root, folderAt{name, dir})
}

func openFolder(files vfs.FS, root string, f folderAt) (string, maildir.Dir, error) {
	at, err := maildir.Open(files, path.Join(root, f.dir))
	if errors.Is(err, maildir.ErrNoMaildir) {
		return "", maildir.Dir{}, nil
	}
	if err != nil {
		return "", maildir.Dir{}, err
	}
	return f.name, at, nil
}

// makeUsed makes the default mailbox with a use, where the first Open would.
func (s *Store) makeUsed(o Owner, files vfs.FS, root, use string) (string, maildir.Dir, error) {
	if o.FS != nil {
		return "", maildir.Dir{}, nil
	}
	if _, err := files.Stat(path.Join(root, subscriptionFile)); !errors.Is(err, fs.ErrNotExist) {
		return "", maildir.Dir{}, err
	}
	for _, d := range *s.defaults.Load() {
		if d.Use == use {
			at, err := maildir.CreateFolder(files, root, d.Name)
			if err != nil {
				return "", maildir.Dir{}, err
			}
			return d.Name, at, nil
		}
	}
	return "", maildir.Dir{}, nil
}
