package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"facteur/internal/base/vfs"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
	"facteur/internal/store/queue"
)

// Restore is a backup to be read back.
type Restore struct {
	From string
	// To is the data directory: missing, or empty.
	To string
	// Release lets the queue go; otherwise all of it is on hold, for what was delivered
	// after the backup was made would be delivered again.
	Release bool
	// Aside lets what is in To be moved away first, to a name that is told.
	Aside bool
	Note  func(string)

	// inside: To is a volume of its own, or its parent is not ours, so that it can't be
	// replaced as a whole.
	inside bool
}

const (
	restoring = ".restoring-"
	before    = ".before-"
)

// ErrNotEmpty is a data directory that has something in it.
var ErrNotEmpty = errors.New("there is something in it; --force moves it aside")

// Run reads the backup into a new directory beside To, and renames that at the end. The
// caller has made sure that no server works in To.
func (r *Restore) Run(ctx context.Context) error {
	r.To = filepath.Clean(r.To)
	if err := r.clear(); err != nil {
		return fmt.Errorf("%s: %w", r.To, err)
	}
	fresh, err := r.workplace()
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := r.unpack(ctx, fresh); err != nil {
		return err
	}
	data := filepath.Join(fresh, "data")
	if err := checkDatabases(ctx, data); err != nil {
		return err
	}
	if err := settle(data); err != nil {
		return err
	}
	if err := r.settleQueue(ctx, data); err != nil {
		return err
	}
	if err := syncTree(fresh); err != nil {
		return err
	}
	return r.install(fresh)
}

// workplace makes the directory in which the backup is unpacked, on the same file system:
// beside the data directory, or in it where that is a volume of its own (as in a
// container) or its parent belongs to somebody else.
func (r *Restore) workplace() (string, error) {
	if dir, err := os.MkdirTemp(filepath.Dir(r.To), filepath.Base(r.To)+restoring); err == nil {
		if sameDevice(dir, r.To) {
			return dir, nil
		}
		os.Remove(dir)
	} else if _, serr := os.Stat(r.To); serr != nil || !errors.Is(err, fs.ErrPermission) {
		return "", err
	}
	r.inside = true
	return os.MkdirTemp(r.To, restoring)
}

// sameDevice tells whether what is in one can be renamed into the other's place.
func sameDevice(dir, to string) bool {
	one, err := os.Stat(dir)
	two, err2 := os.Stat(to)
	if err != nil || err2 != nil {
		return errors.Is(err2, fs.ErrNotExist)
	}
	a, ok := one.Sys().(*syscall.Stat_t)
	b, ok2 := two.Sys().(*syscall.Stat_t)
	return ok && ok2 && a.Dev == b.Dev
}

// clear looks whether something is in the way.
func (r *Restore) clear() error {
	left, _ := filepath.Glob(filepath.Join(r.To, restoring+"*"))
	beside, _ := filepath.Glob(r.To + restoring + "*")
	for _, dir := range append(left, beside...) {
		r.Note(dir + " is left of a restore that was ended; remove it")
	}
	entries, err := os.ReadDir(r.To)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(filepath.Dir(r.To), 0o700)
	}
	for _, e := range entries {
		if !r.stays(e.Name()) && !r.Aside {
			return ErrNotEmpty
		}
	}
	return err
}

// stays tells what a data directory may have in it that is not the server's data.
func (r *Restore) stays(name string) bool {
	return name == "lock" || name == "lost+found" || strings.HasPrefix(name, restoring) || strings.HasPrefix(name, before)
}

// unpack writes the files of the backup, and proves that all are there.
func (r *Restore) unpack(ctx context.Context, fresh string) error {
	root, err := os.OpenRoot(fresh)
	if err != nil {
		return err
	}
	defer root.Close()
	err = read(ctx, r.From, func(f File, in io.Reader) error { return writeFile(root, f, in) })
	if err != nil {
		return fmt.Errorf("%s: %w", r.From, err)
	}
	return nil
}

// settle makes what directories are missing, which a manifest does not name, and tells
// all accounts that they come from a backup.
func settle(data string) error {
	homes, err := filepath.Glob(filepath.Join(data, "mail", "*", "*"))
	if err != nil {
		return err
	}
	for _, home := range homes {
		if err := fillDirectories(filepath.Join(home, "Maildir")); err != nil {
			return err
		}
		if err := mailbox.Restored(home); err != nil {
			return err
		}
	}
	return nil
}

// fillDirectories makes cur, new and tmp where one of them came.
func fillDirectories(maildir string) error {
	folders, err := filepath.Glob(filepath.Join(maildir, ".*"))
	if err != nil {
		return err
	}
	for _, dir := range append(folders, maildir) {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	return nil
}

// settleQueue ends what came into its mailbox between the moment that the backup has the
// queue of and the one that it has the mailbox of, and puts the rest on hold.
func (r *Restore) settleQueue(ctx context.Context, data string) error {
	q, err := queue.Open(data)
	if err != nil {
		return err
	}
	err = endDelivered(ctx, q, filepath.Join(data, "mail"))
	if err == nil && !r.Release {
		err = r.hold(ctx, q)
	}
	return errors.Join(err, q.Close())
}

// endDelivered ends the recipients whose letter is in a mailbox.
func endDelivered(ctx context.Context, q *queue.Queue, mail string) error {
	there := map[string]bool{} // whether a letter that the queue has is in a mailbox too
	err := q.Select(ctx, queue.Filter{}, func(it *queue.Item) bool {
		for _, r := range it.Recipients {
			there[deliveryName(it, r)] = false
		}
		return true
	})
	if err != nil || len(there) == 0 {
		return err
	}
	err = filepath.WalkDir(mail, func(p string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "tmp":
			return fs.SkipDir
		}
		name, _, _ := strings.Cut(e.Name(), ":")
		name, _, _ = strings.Cut(name, ",")
		if _, ours := there[name]; ours {
			there[name] = true
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	_, err = q.Delivered(ctx, func(it *queue.Item, r queue.Recipient) bool { return there[deliveryName(it, r)] })
	return err
}

func deliveryName(it *queue.Item, r queue.Recipient) string {
	return maildir.DeliveryName(it.ID.String(), r.N, it.Arrived)
}

// hold puts the queue on hold.
func (r *Restore) hold(ctx context.Context, q *queue.Queue) error {
	n, err := q.Hold(ctx, queue.Filter{})
	if err == nil && n.Items > 0 {
		r.Note(fmt.Sprintf("%d messages of the queue are on hold, for they may have been delivered after the backup was made; \"facteur queue release\" lets them go", n.Items))
	}
	return err
}

// install puts the new directory in its place.
func (r *Restore) install(fresh string) error {
	data := filepath.Join(fresh, "data")
	if info, err := os.Stat(filepath.Join(fresh, "settings")); err == nil && info.IsDir() {
		if err := os.Rename(filepath.Join(fresh, "settings"), filepath.Join(data, "restored-settings")); err != nil {
			return err
		}
		r.Note("settings and keys of the backup are in " + filepath.Join(r.To, "restored-settings"))
	}
	old := r.To + before + strings.TrimPrefix(filepath.Base(fresh), filepath.Base(r.To)+restoring)
	if r.inside {
		return r.fillIn(data, filepath.Join(r.To, before+strings.TrimPrefix(filepath.Base(fresh), restoring)))
	}
	if _, err := os.Stat(r.To); err == nil && r.Aside {
		if err := os.Rename(r.To, old); err != nil {
			return err
		}
		r.Note("what was in " + r.To + " is in " + old + " now")
	} else if err == nil {
		os.Remove(filepath.Join(r.To, "lock"))
		if err := os.Remove(r.To); err != nil {
			return err
		}
	}
	if err := os.Rename(data, r.To); err != nil {
		return err
	}
	return (vfs.OS{}).SyncDir(filepath.Dir(r.To))
}

// fillIn moves what is in the data directory into old, and what is in data into it:
// facteur.db comes last.
func (r *Restore) fillIn(data, old string) error {
	if err := r.empty(old); err != nil {
		return err
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(lastly(a), lastly(b)) })
	for _, e := range entries {
		if err := os.Rename(filepath.Join(data, e.Name()), filepath.Join(r.To, e.Name())); err != nil {
			return err
		}
	}
	return (vfs.OS{}).SyncDir(r.To)
}

func lastly(e fs.DirEntry) string {
	if e.Name() == "facteur.db" {
		return "1"
	}
	return "0"
}

// empty moves what is in the data directory into old, if there is something.
func (r *Restore) empty(old string) error {
	entries, err := os.ReadDir(r.To)
	if err != nil {
		return err
	}
	moved := false
	for _, e := range entries {
		if r.stays(e.Name()) {
			continue
		}
		if !moved {
			if err := os.Mkdir(old, 0o700); err != nil {
				return err
			}
			moved = true
		}
		if err := os.Rename(filepath.Join(r.To, e.Name()), filepath.Join(old, e.Name())); err != nil {
			return err
		}
	}
	if moved {
		r.Note("what was in " + r.To + " is in " + old + " now")
	}
	return nil
}

// HomeIn is the home of an account in a backup that is a directory.
func HomeIn(from, address string) (string, error) {
	below, err := directory.HomeOf(address)
	if err != nil {
		return "", err
	}
	home := filepath.Join(from, "data", "mail", below)
	if info, err := os.Stat(home); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s: %s has no mail in it", from, address)
	}
	return home, nil
}
