package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
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
}

// ErrNotEmpty is a data directory that has something in it.
var ErrNotEmpty = errors.New("there is something in it; --force moves it aside")

// Run reads the backup into a new directory beside To, and renames that at the end. The
// caller has made sure that no server works in To.
func (r *Restore) Run(ctx context.Context) error {
	r.To = filepath.Clean(r.To)
	if err := r.clear(); err != nil {
		return fmt.Errorf("%s: %w", r.To, err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(r.To), filepath.Base(r.To)+".restoring-")
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
	if err := r.hold(ctx, data); err != nil {
		return err
	}
	if err := syncTree(fresh); err != nil {
		return err
	}
	return r.install(fresh)
}

// clear looks whether something is in the way.
func (r *Restore) clear() error {
	entries, err := os.ReadDir(r.To)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(filepath.Dir(r.To), 0o700)
	}
	for _, e := range entries {
		if e.Name() != "lock" && !r.Aside {
			return ErrNotEmpty
		}
	}
	return err
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

// hold puts the queue on hold.
func (r *Restore) hold(ctx context.Context, data string) error {
	if r.Release {
		return nil
	}
	q, err := queue.Open(data)
	if err != nil {
		return err
	}
	n, err := q.Hold(ctx, queue.Filter{})
	if err == nil && n.Items > 0 {
		r.Note(fmt.Sprintf("%d messages of the queue are on hold, for they may have been delivered after the backup was made; \"facteur queue release\" lets them go", n.Items))
	}
	return errors.Join(err, q.Close())
}

// install puts the new directory in its place.
func (r *Restore) install(fresh string) error {
	if _, err := os.Stat(r.To); err == nil && r.Aside {
		old := r.To + ".before-" + strings.TrimPrefix(filepath.Base(fresh), filepath.Base(r.To)+".restoring-")
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
	if err := os.Rename(filepath.Join(fresh, "data"), r.To); err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Join(fresh, "settings")); err == nil && info.IsDir() {
		if err := os.Rename(filepath.Join(fresh, "settings"), filepath.Join(r.To, "restored-settings")); err != nil {
			return err
		}
		r.Note("settings and keys of the backup are in " + filepath.Join(r.To, "restored-settings"))
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
