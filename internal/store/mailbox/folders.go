package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

const (
	maxMailboxes     = 10_000
	maxSubscriptions = 10_000
	subscriptionFile = "subscriptions" // Dovecot's name and form
	maxSubscribeFile = 4 << 20         // bytes
	deletedPrefix    = "deleted."      // in tmp/ of INBOX: mailboxes on their way out
)

// Default is a mailbox that every new account gets, and the special use that the
// name has.
type Default struct{ Name, Use string }

// Defaults are those of an account unless the settings name others.
func Defaults() []Default {
	return []Default{
		{"Drafts", `\Drafts`}, {"Sent", `\Sent`}, {"Junk", `\Junk`}, {"Trash", `\Trash`}, {"Archive", `\Archive`},
	}
}

// SetDefaults takes over other names, in the language of the users maybe.
func (s *Store) SetDefaults(list []Default) { s.defaults.Store(&list) }

// useOf is the special use that a name has by itself.
func (s *Store) useOf(name string) string {
	for _, d := range *s.defaults.Load() {
		if d.Name == name {
			return d.Use
		}
	}
	return ""
}

// createDefaults gives a new account its mailboxes and subscribes to them.
func (a *Account) createDefaults(ctx context.Context) error {
	_, err := a.fs.Stat(filepath.Join(a.root, subscriptionFile))
	fresh := errors.Is(err, fs.ErrNotExist)
	names := []string{"INBOX"}
	for _, d := range *a.store.defaults.Load() {
		if a.boxes[d.Name] == nil {
			if err := a.create(ctx, d.Name, ""); err != nil {
				return err
			}
		}
		names = append(names, d.Name)
	}
	if fresh {
		return a.writeSubscriptions(names)
	}
	return nil
}

// refresh brings the list of mailboxes up to date with the directories.
// Callers hold mu.
func (a *Account) refresh(ctx context.Context) error {
	info, err := a.fs.Stat(a.root)
	if err != nil {
		return err
	}
	stamp := info.ModTime.UnixNano()
	if stamp == a.rootStamp {
		return nil
	}
	now := time.Now()
	folders, err := a.folders()
	if err != nil {
		return err
	}
	for name, b := range a.boxes {
		if folders[name] == b.folder {
			delete(folders, name)
		} else if _, err := a.fs.Stat(b.dir.Cur("")); errors.Is(err, fs.ErrNotExist) {
			if err := a.drop(ctx, b); err != nil {
				return err
			}
		} else {
			delete(folders, name) // another directory with the same name
		}
	}
	if err := a.meet(ctx, folders); err != nil {
		return err
	}
	a.rootStamp = trust(stamp, now)
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// folders reads the directories that are mailboxes: name → folder. Where two
// have the same name (one in raw UTF-8, one encoded) the encoded one counts.
func (a *Account) folders() (map[string]string, error) {
	entries, err := a.fs.ReadDir(a.root)
	if err != nil {
		return nil, err
	}
	out := map[string]string{"INBOX": ""}
	for _, e := range entries {
		if !e.Type.IsDir() && e.Type&fs.ModeSymlink == 0 || e.Name[0] != '.' {
			continue
		}
		name, err := maildir.FolderName(e.Name)
		if err != nil || len(out) >= 2*maxMailboxes {
			continue
		}
		if old := a.boxes[name]; old == nil || old.folder != e.Name {
			if _, err := maildir.Open(a.fs, filepath.Join(a.root, e.Name)); err != nil {
				continue
			}
		}
		if canonical, _ := maildir.Folder(name); out[name] == "" || canonical == e.Name {
			out[name] = e.Name
		}
	}
	return out, nil
}

// drop takes a mailbox out of the index. Its sessions end.
func (a *Account) drop(ctx context.Context, b *box) error {
	err := a.write(ctx, func(tx *sql.Tx) error {
		if err := b.clearPages(tx); err != nil {
			return err
		}
		for _, q := range []string{
			"DELETE FROM keyword WHERE mailbox = ?", "DELETE FROM mailbox WHERE id = ?"} {
			if _, err := tx.Exec(q, b.id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.end()
	a.unwatch(b)
	delete(a.boxes, b.name)
	a.tell(b.name, NoticeDeleted)
	a.store.quota.Stale(a.root)
	return nil
}

// List gives every mailbox, every subscribed name and every parent of a
// mailbox, sorted, INBOX first.
func (a *Account) List(ctx context.Context) ([]Info, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	subscribed, err := a.readSubscriptions()
	if err != nil {
		return nil, err
	}
	infos := infoTree{}
	for name, b := range a.boxes {
		infos.add(name).SpecialUse = b.use()
	}
	for _, name := range subscribed {
		infos.at(name).Subscribed = true
	}
	return infos.sorted(), nil
}

// infoTree is the lines of LIST by name.
type infoTree map[string]*Info

func (t infoTree) at(name string) *Info {
	if t[name] == nil {
		t[name] = &Info{Name: name}
	}
	return t[name]
}

// add puts in a mailbox and what stands above it.
func (t infoTree) add(name string) *Info {
	i := t.at(name)
	i.Exists = true
	for p := parent(name); p != ""; p = parent(p) {
		t.at(p).HasChildren = true
	}
	return i
}

// sorted is the lines by name, INBOX first.
func (t infoTree) sorted() []Info {
	list := make([]Info, 0, len(t))
	for _, i := range t {
		list = append(list, *i)
	}
	sort.Slice(list, func(i, j int) bool {
		x, y := list[i].Name, list[j].Name
		if x == "INBOX" || y == "INBOX" {
			return x == "INBOX" && y != "INBOX"
		}
		return x < y
	})
	return list
}

func parent(name string) string {
	return name[:max(strings.LastIndex(name, maildir.Separator), 0)]
}

// Create makes a mailbox; its parents are there by being part of its name. A
// separator at the end says that it is to have children (RFC 9051 §6.3.4), as
// all may. "*" and "%" are refused: LIST could not name such a mailbox.
func (a *Account) Create(ctx context.Context, name string) error { return a.CreateFor(ctx, name, "") }

// CreateFor is Create of a mailbox with special uses, with blanks between them
// (RFC 6154 §3). None of them is taken from another mailbox: there may be two for
// one use.
func (a *Account) CreateFor(ctx context.Context, name, uses string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	name, err := NewName(strings.TrimSuffix(name, maildir.Separator))
	if err != nil {
		return err
	}
	if a.boxes[name] != nil {
		return ErrExists
	}
	return a.create(ctx, name, uses)
}

// NewName is Canonical for a name that is to be made.
func NewName(name string) (string, error) {
	name, err := maildir.Canonical(name)
	if err != nil || strings.ContainsAny(name, "*%") || name[0] == '#' {
		return "", ErrBadName
	}
	if _, err := maildir.Folder(name); err != nil {
		return "", ErrBadName
	}
	return name, nil
}

// create makes the directory, durably, then the index's row.
func (a *Account) create(ctx context.Context, name, uses string) error {
	if len(a.boxes) >= maxMailboxes {
		return ErrLimit
	}
	if err := checkUses(uses); err != nil {
		return err
	}
	if _, err := maildir.CreateFolder(a.fs, a.root, name); err != nil {
		return err
	}
	folder, err := maildir.Folder(name)
	if err != nil {
		return err
	}
	b := a.newBox(name, folder)
	if err := errors.Join(a.inherit(b), b.dedicate(uses)); err != nil {
		return err
	}
	b.validity = a.nextValidity()
	return a.register(ctx, b)
}

// Delete removes the mailbox and its letters; INBOX can't be deleted. One that
// has children stays as a bare parent (\NoSelect). The directory is moved away
// in one step, then emptied: a crash leaves the mailbox whole or gone.
func (a *Account) Delete(ctx context.Context, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	b, err := a.find(name)
	if err != nil {
		return err
	}
	if b.folder == "" {
		return ErrBadName
	}
	a.beforeRemoval(ctx)
	if err := a.keepAll(ctx, b); err != nil {
		return err
	}
	grave := filepath.Join(a.root, "tmp", deletedPrefix+a.unique())
	if err := a.fs.Rename(b.dir.Path, grave); err != nil {
		return err
	}
	if err := a.fs.SyncDir(a.root); err != nil {
		return err
	}
	if err := a.drop(ctx, b); err != nil {
		return err
	}
	return removeAll(a.fs, grave, 4)
}

// sweep removes what a crash left of deleted mailboxes.
func (a *Account) sweep() {
	tmp := filepath.Join(a.root, "tmp")
	entries, err := a.fs.ReadDir(tmp)
	for _, e := range entries {
		if err == nil && e.Type.IsDir() && strings.HasPrefix(e.Name, deletedPrefix) {
			removeAll(a.fs, filepath.Join(tmp, e.Name), 4)
		}
	}
}

// removeAll removes a directory and what is in it, at most depth levels deep.
func removeAll(f vfs.FS, dir string, depth int) error {
	entries, err := f.ReadDir(dir)
	if err != nil || depth == 0 {
		return err
	}
	for _, e := range entries {
		if e.Type.IsDir() {
			err = errors.Join(err, removeAll(f, filepath.Join(dir, e.Name), depth-1))
		} else {
			err = errors.Join(err, f.Remove(filepath.Join(dir, e.Name)))
		}
	}
	return errors.Join(err, f.Remove(dir))
}

// Rename renames with all children. Renaming INBOX moves its letters into the
// new mailbox and leaves INBOX empty (RFC 9051 §6.3.6). Letters keep UIDs and
// UIDVALIDITY, but for those of INBOX.
func (a *Account) Rename(ctx context.Context, from, to string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	to, err := NewName(strings.TrimSuffix(to, maildir.Separator))
	if err != nil {
		return err
	}
	from, err = maildir.Canonical(from)
	if err != nil {
		return ErrNoMailbox
	}
	if from == "INBOX" {
		return a.renameInbox(ctx, to)
	}
	if to == "INBOX" || strings.HasPrefix(to, from+maildir.Separator) {
		return ErrBadName
	}
	return a.renameTree(ctx, from, to)
}

func (a *Account) renameInbox(ctx context.Context, to string) error {
	inbox := a.boxes["INBOX"]
	if a.boxes[to] != nil {
		return ErrExists
	}
	if err := inbox.sync(ctx); err != nil {
		return err
	}
	if err := a.create(ctx, to, ""); err != nil {
		return err
	}
	uids, err := inbox.allUIDs(ctx)
	if err != nil || len(uids) == 0 {
		return err
	}
	_, err = a.transfer(ctx, inbox, uids, a.boxes[to], AllRights, moving)
	return err
}

// renaming is one mailbox of a tree that is renamed.
type renaming struct {
	b            *box
	name, folder string
}

// renameTree decides in the index, then renames the directories: after a crash
// the rest is renamed when the account is opened.
func (a *Account) renameTree(ctx context.Context, from, to string) error {
	var list []renaming
	for name, b := range a.boxes {
		rest, ok := strings.CutPrefix(name, from)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		folder, err := maildir.Folder(to + rest)
		if err != nil {
			return ErrBadName
		}
		list = append(list, renaming{b, to + rest, folder})
	}
	if len(list) == 0 {
		return ErrNoMailbox
	}
	for _, r := range list {
		if a.boxes[r.name] != nil {
			return ErrExists
		}
		if _, err := a.fs.Stat(filepath.Join(a.root, r.folder)); !errors.Is(err, fs.ErrNotExist) {
			return ErrExists // a directory that is no mailbox is in the way
		}
	}
	return a.renameAll(ctx, list)
}

func (a *Account) renameAll(ctx context.Context, list []renaming) error {
	if err := pinUses(list); err != nil {
		return err
	}
	todos := make([]todo, len(list))
	for i, r := range list {
		todos[i] = todo{source: r.b.folder, target: r.folder}
	}
	err := a.write(ctx, func(tx *sql.Tx) error {
		for _, r := range list {
			if _, err := tx.Exec("UPDATE mailbox SET name = ?, folder = ? WHERE id = ?", r.name, r.folder, r.b.id); err != nil {
				return err
			}
		}
		return a.plan(tx, todos)
	})
	if err != nil {
		return err
	}
	a.todos = todos
	for _, r := range list {
		// Sessions have the mailbox under the old name: for them it is gone.
		fresh := r.b.renamed(r.name, r.folder)
		r.b.end()
		a.unwatch(r.b)
		delete(a.boxes, r.b.name)
		a.boxes[r.name] = fresh
		a.tellRename(r.b.name, r.name)
	}
	err = a.finish(ctx)
	a.store.quota.Stale(a.root)
	a.watchAll()
	return err
}

// renamed is the mailbox under another name, without sessions.
func (b *box) renamed(name, folder string) *box {
	return &box{acct: b.acct, id: b.id, name: name, folder: folder,
		dir:      maildir.Dir{FS: b.dir.FS, Path: filepath.Join(b.acct.root, folder)},
		validity: b.validity, recent: b.recent, count: b.count, bytes: b.bytes,
		newStamp: b.newStamp, curStamp: b.curStamp, ownStamp: b.ownStamp, lastScan: b.lastScan, patience: b.patience, doubtful: b.doubtful,
		listStamp: b.listStamp, listNext: b.listNext, listCount: b.listCount, heir: b.heir, listSeen: b.listSeen,
		historyFloor: b.historyFloor, historySize: b.historySize, unseen: b.unseen, deleted: b.deleted,
		unsaved: true, uidNext: b.uidNext, modSeq: b.modSeq}
}

// Subscribe puts a name on the list of subscriptions or takes it off. The name
// need not exist (RFC 9051 §6.3.7 lets us choose; clients restore lists).
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	name, err := maildir.Canonical(strings.TrimSuffix(name, maildir.Separator))
	if err != nil {
		return ErrBadName
	}
	if _, err := maildir.Folder(name); err != nil {
		return ErrBadName
	}
	return a.subscribe(name, on)
}

// subscribe is Subscribe for a good name. Callers hold mu.
func (a *Account) subscribe(name string, on bool) error {
	list, err := a.readSubscriptions()
	if err != nil {
		return err
	}
	i := slices.Index(list, name)
	switch {
	case on == (i >= 0):
		return nil
	case !on:
		list = slices.Delete(list, i, i+1)
	case len(list) >= maxSubscriptions:
		return ErrLimit
	default:
		list = append(list, name)
	}
	err = a.writeSubscriptions(list)
	if err == nil {
		a.tell(name, NoticeSubscribed)
	}
	return err
}

// Subscriptions is the names on the list, there or not.
func (a *Account) Subscriptions(ctx context.Context) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	return a.readSubscriptions()
}

// readSubscriptions reads the file of subscriptions, which may be missing.
func (a *Account) readSubscriptions() ([]string, error) {
	data, err := vfs.ReadFile(a.fs, filepath.Join(a.root, subscriptionFile), maxSubscribeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSubscriptions(string(data)), nil
}

func (a *Account) writeSubscriptions(list []string) error {
	var out strings.Builder
	for _, name := range list {
		folder, err := maildir.Folder(name)
		if err != nil {
			continue
		}
		if folder == "" {
			folder = ".INBOX"
		}
		out.WriteString(folder[1:] + "\n")
	}
	return vfs.WriteFile(a.fs, path.Join(a.root, subscriptionFile), []byte(out.String()), 0o600)
}
