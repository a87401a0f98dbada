package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

// This file is about copies of an account as it is at one moment, and about accounts
// that come back from one.

// ErrElsewhere: letters that are not below the account's home are not in its copy.
var ErrElsewhere = errors.New("its letters are not kept below the data directory")

// CutTo writes the account as it is at one moment into a new directory on the same file
// system: letters as links, whose bytes never change, and the rest as copies. No
// operation of ours runs meanwhile. What a queue is landing (maildir.DeliveredHere) comes
// with tmp/.
func (a *Account) CutTo(ctx context.Context, home string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	if a.root != filepath.Join(a.home, "Maildir") || a.owner.FS != nil {
		return ErrElsewhere
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := cutTree(a.root, filepath.Join(home, "Maildir"), 0); err != nil {
		return err
	}
	if _, err := a.idx.db.ExecContext(ctx, "VACUUM INTO ?", filepath.Join(home, "index.db")); err != nil {
		return err
	}
	for _, sub := range []string{"imports", "urlauth"} {
		if err := cutTree(filepath.Join(a.home, sub), filepath.Join(home, sub), 1); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// cutTree copies a Maildir: letters are linked, other files copied.
func cutTree(from, to string, depth int) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	letters := isLetterDir(from)
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir() && depth < 2 && !strings.HasPrefix(e.Name(), deletedPrefix):
			err = cutTree(source, target, depth+1)
		case !e.Type().IsRegular() || filepath.Base(from) == "tmp" && !strings.Contains(e.Name(), maildir.DeliveredHere):
			continue
		case letters:
			err = os.Link(source, target)
		default:
			err = copySmall(source, target)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another program took it
			return err
		}
	}
	return nil
}

func isLetterDir(dir string) bool {
	switch filepath.Base(dir) {
	case "cur", "new", "tmp":
		return true
	}
	return false
}

func copySmall(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// restoredGap is how many UIDs and MODSEQs are passed over in each mailbox of an account
// that came back from a copy: those that were given after it was made, and that clients
// may know, must not be given to other letters (INV-10, INV-11).
const restoredGap = 1 << 20

// Restored tells the Maildir of an account that it came back from a copy: its mailboxes
// keep their UIDVALIDITY, and what comes from now on gets UIDs above all that were given
// before, as long as those were less than a million in each. Nobody may have it open.
func Restored(home string) error {
	root := filepath.Join(home, "Maildir")
	s, found, err := readState(vfs.OS{}, root)
	if err != nil || !found {
		return err
	}
	s.Open, s.Gap, s.Boxes = true, restoredGap, nil
	if err := writeState(vfs.OS{}, root, s); err != nil {
		return fmt.Errorf("%s: %w", root, err)
	}
	return nil
}
