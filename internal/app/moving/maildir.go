package moving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
)

const (
	maxSmallFile = 16 << 20 // bytes that are read of subscriptions, keywords and ACLs
	maxLevels    = 20       // of LAYOUT=fs
	lookAgain    = 2        // times, for letters that were renamed beside us
)

// Maildir is a Source: a Maildir++ as Dovecot, Courier and others have it, or a tree of
// directories (LAYOUT=fs), or one without folders. Nothing of its owner's can make us
// read elsewhere: symbolic links that lead out of it are not followed.
type Maildir struct {
	root *os.Root
	path string
	// Link has letters linked instead of copied: they must be on the file system of the
	// mailboxes here and belong to the user that these belong to. Move removes them
	// there when they are safe.
	Link, Move bool
	// Except are the bases of letters that are left out.
	Except map[string]bool
}

// Bases are those of all letters in a Maildir++; none if it is missing.
func Bases(dir string) (map[string]bool, error) {
	all := map[string]bool{}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	m := &Maildir{root: root}
	defer m.Close()
	var list []Box
	if err := m.find(".", "", 0, &list); err != nil {
		return nil, err
	}
	for i := range list {
		files, err := m.files(&list[i])
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			all[f.base()] = true
		}
	}
	return all, nil
}

// OpenMaildir opens one.
func OpenMaildir(path string) (*Maildir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	m := &Maildir{root: root, path: abs}
	if boxes, err := m.Boxes(context.Background()); err != nil || len(boxes) == 0 {
		root.Close()
		return nil, errors.Join(fmt.Errorf("%s: there is no Maildir", path), err)
	}
	return m, nil
}

// Close implements Source.
func (m *Maildir) Close() error { return m.root.Close() }

// Boxes implements Source.
func (m *Maildir) Boxes(ctx context.Context) ([]Box, error) {
	var list []Box
	if err := m.find(".", "", 0, &list); err != nil {
		return nil, err
	}
	subscribed := map[string]bool{}
	for _, file := range []string{"subscriptions", "courierimapsubscribed"} {
		text, err := m.small(file)
		if err != nil {
			return nil, err
		}
		for _, name := range subscriptions(text) {
			subscribed[name] = true
		}
	}
	for i := range list {
		b := &list[i]
		b.Subscribed = subscribed[b.Name]
		if err := m.describe(ctx, b); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b Box) int { return cmp.Compare(order(a.Name), order(b.Name)) })
	return list, nil
}

// order puts INBOX first.
func order(name string) string {
	if name == "INBOX" {
		return ""
	}
	return name
}

// subscriptions reads what Dovecot and Courier write. With LAYOUT=fs levels are divided
// by slashes.
func subscriptions(text string) []string {
	var plain strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(line, "INBOX.") // Courier
		plain.WriteString(strings.ReplaceAll(line, "/", "."))
	}
	return mailbox.ForeignSubscriptions(plain.String())
}

// find lists the mailboxes in dir: it itself, those of Maildir++ in it, and those of
// LAYOUT=fs below it.
func (m *Maildir) find(dir, name string, depth int, list *[]Box) error {
	if m.isMailbox(dir) {
		*list = append(*list, Box{Name: cmp.Or(name, "INBOX"), ID: dir, place: dir})
	}
	if depth >= maxLevels {
		return nil
	}
	return m.each(dir, func(e fs.DirEntry) error {
		if !e.IsDir() || slices.Contains([]string{"cur", "new", "tmp"}, e.Name()) {
			return nil
		}
		sub := path.Join(dir, e.Name())
		if e.Name()[0] == '.' {
			folder, err := maildir.FolderName(e.Name())
			if err == nil && depth == 0 && m.isMailbox(sub) {
				*list = append(*list, Box{Name: folder, ID: sub, place: sub})
			}
			return nil
		}
		level, err := maildir.FolderName("." + e.Name())
		if err != nil || level == "" || strings.Contains(level, maildir.Separator) {
			return nil
		}
		return m.find(sub, strings.TrimPrefix(name+maildir.Separator+level, maildir.Separator), depth+1, list)
	})
}

func (m *Maildir) isMailbox(dir string) bool {
	info, err := m.root.Stat(path.Join(dir, "cur"))
	return err == nil && info.IsDir()
}

// dirPart is how many names of a directory are read at once.
const dirPart = 1024

// each gives what is in a directory to fn.
func (m *Maildir) each(dir string, fn func(fs.DirEntry) error) error {
	d, err := m.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(dirPart)
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// small reads a small file; "" if there is none.
func (m *Maildir) small(name string) (string, error) {
	f, err := m.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSmallFile))
	return string(text), err
}

// open opens a regular file, and no link: what its owner can replace by a pipe or a
// device is not waited for.
func (m *Maildir) open(name string) (*os.File, error) {
	f, err := m.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// describe fills in what stands beside the letters of a mailbox.
func (m *Maildir) describe(_ context.Context, b *Box) (err error) {
	if b.ACL, err = m.small(path.Join(b.place, "dovecot-acl")); err != nil {
		return err
	}
	if b.Validity, b.UIDNext, err = m.uids(b, func(uint32, []byte, []byte) {}); err != nil {
		return err
	}
	b.Bytes = -1 // sizes would take a look at every file
	for _, sub := range []string{"cur", "new"} {
		err := m.each(path.Join(b.place, sub), func(e fs.DirEntry) error {
			if isLetter(e) {
				b.Count++
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func isLetter(e fs.DirEntry) bool { return e.Type().IsRegular() && e.Name()[0] != '.' }

// uids reads Dovecot's list; one that can't be read as such is none.
func (m *Maildir) uids(b *Box, each func(uid uint32, base, uidl []byte)) (validity, next uint32, err error) {
	f, err := m.open(path.Join(b.place, "dovecot-uidlist"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	validity, next, err = mailbox.ForeignUIDs(f, each)
	if err != nil {
		return 0, 0, nil
	}
	return validity, next, nil
}

// file is a letter's file.
type file struct {
	name string // below the mailbox: "cur/…" or "new/…"
	uid  uint32
	uidl string
}

// base names the letter whatever its flags.
func (f file) base() string {
	base, _, _ := strings.Cut(f.name[len("cur/"):], ":")
	return base
}

// Letters implements Source. What other programs rename beside us is looked for again,
// and told if it is gone each time: it may be there under another name.
func (m *Maildir) Letters(ctx context.Context, b *Box, have func(mailbox.Key) bool, give func(Letter, io.Reader) error, bad func(string, error)) error {
	text, err := m.small(path.Join(b.place, "dovecot-keywords"))
	if err != nil {
		return err
	}
	words := mailbox.ForeignKeywords(text)
	for try := 0; ; try++ {
		files, err := m.files(b)
		if err != nil {
			return err
		}
		again := false
		for _, f := range files {
			if m.Except[f.base()] {
				continue
			}
			if have(keyOf(f.base())) {
				if err := m.came(b, f); err != nil {
					bad(filepath.Join(m.path, b.place, f.name), err)
				}
				continue
			}
			err := m.letter(ctx, b, f, words, give)
			switch source := (*control.SourceError)(nil); {
			case err == nil:
			case errors.Is(err, fs.ErrNotExist) && errors.As(err, &source) && try < lookAgain:
				again = true
			case errors.As(err, &source):
				bad(filepath.Join(m.path, b.place, f.name), source.Err)
			default:
				return err
			}
		}
		if !again {
			return nil
		}
	}
}

// came is for a letter that an earlier run brought: one that was ended before it could
// remove it, or was not to.
func (m *Maildir) came(b *Box, f file) error {
	if !m.Move {
		return nil
	}
	if err := m.root.Remove(path.Join(b.place, f.name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// files lists the letters of a mailbox in order of their UIDs, then of arrival.
func (m *Maildir) files(b *Box) ([]file, error) {
	var list []file
	for _, sub := range []string{"new", "cur"} {
		err := m.each(path.Join(b.place, sub), func(e fs.DirEntry) error {
			if isLetter(e) {
				list = append(list, file{name: sub + "/" + e.Name()})
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	// What was renamed while we looked was seen twice; that in "cur" comes first.
	slices.SortFunc(list, func(x, y file) int { return cmp.Or(cmp.Compare(x.base(), y.base()), cmp.Compare(x.name, y.name)) })
	list = slices.CompactFunc(list, func(x, y file) bool { return x.base() == y.base() })
	validity, _, err := m.uids(b, func(uid uint32, base, uidl []byte) {
		if i, ok := slices.BinarySearchFunc(list, string(base), func(f file, base string) int { return cmp.Compare(f.base(), base) }); ok {
			list[i].uid, list[i].uidl = uid, string(uidl)
		}
	})
	if err != nil {
		return nil, err
	}
	if validity == 0 {
		for i := range list {
			list[i].uid, list[i].uidl = 0, ""
		}
	}
	slices.SortFunc(list, func(x, y file) int {
		if x.uid == 0 || y.uid == 0 {
			if x.uid != y.uid {
				return cmp.Compare(y.uid, x.uid)
			}
			return cmp.Or(cmp.Compare(maildir.ParseName(x.base()).Sec, maildir.ParseName(y.base()).Sec), cmp.Compare(x.base(), y.base()))
		}
		return cmp.Compare(x.uid, y.uid)
	})
	return list, nil
}

// letter gives one.
func (m *Maildir) letter(_ context.Context, b *Box, f file, words [26]string, give func(Letter, io.Reader) error) error {
	name := path.Join(b.place, f.name)
	in, err := m.open(name)
	if err != nil {
		return &control.SourceError{Err: err}
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return &control.SourceError{Err: err}
	}
	n := maildir.ParseName(path.Base(f.name))
	l := Letter{Size: info.Size(), ImportLetter: control.ImportLetter{Key: keyOf(f.base()), UID: f.uid, UIDL: f.uidl,
		System: mailbox.ForeignFlags(n.Flags), Keywords: mailbox.ForeignWords(n.Flags, words), Received: arrival(n, info.ModTime())}}
	if m.Link {
		l.File = filepath.Join(m.path, name)
	}
	if m.Move {
		l.After = func() error { return m.root.Remove(name) }
	}
	return give(l, in)
}

// arrival is INTERNALDATE: Dovecot and mbsync keep it in the file's mtime if it is older
// than the letter's name.
func arrival(n maildir.Name, modified time.Time) time.Time {
	if n.Sec > 0 && n.Sec < modified.Unix() || modified.Unix() <= 0 {
		return time.Unix(n.Sec, 0)
	}
	return time.Unix(modified.Unix(), 0)
}
