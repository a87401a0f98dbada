package mailbox

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
	"sync"

	"facteur/internal/base/vfs"
	"facteur/internal/store/maildir"
)

// This file is about copies of an account as it is at one moment, and about accounts
// that come back from one.

// ErrElsewhere: letters that are not below the account's home are not in its copy.
var ErrElsewhere = errors.New("its letters are not kept below the data directory")

// Cutting is a copy of all accounts that is being made, one after the other. A letter
// that is in an account at its beginning is in the copy of that account, unless the
// account's copy came first: whoever expunges something from an account whose copy is
// still to come makes that copy before. So nothing that goes from one account to another
// meanwhile is missing in both.
type Cutting struct {
	store *Store
	where func(home string) (string, bool)

	mu   sync.Mutex
	done map[string]error // by home
}

// ErrCutting: one copy at a time.
var ErrCutting = errors.New("another backup is being begun")

// BeginCut begins a copy. where gives the directory that an account's home is copied to,
// on the same file system; it is asked from many goroutines. Call End.
func (s *Store) BeginCut(where func(home string) (string, bool)) (*Cutting, error) {
	c := &Cutting{store: s, where: where, done: map[string]error{}}
	if !s.cutting.CompareAndSwap(nil, c) {
		return nil, ErrCutting
	}
	return c, nil
}

// End ends it: accounts that have no copy yet get none.
func (c *Cutting) End() { c.store.cutting.CompareAndSwap(c, nil) }

// Take makes the copy of an account, unless that was done.
func (c *Cutting) Take(ctx context.Context, a *Account) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return err
	}
	return c.take(ctx, a)
}

// TakeHome is Take for a home of which nobody can say now whose it is. What never was a
// Maildir of ours is left out.
func (c *Cutting) TakeHome(ctx context.Context, home string) error {
	c.store.mu.Lock()
	open := c.store.accounts[home]
	c.store.mu.Unlock()
	owner := Owner{Address: filepath.Base(home), Home: home}
	if open != nil {
		owner = open.Owner()
	}
	if _, found, err := readState(c.store.fs, owner.root()); err != nil || !found {
		return err
	}
	a, err := c.store.Open(ctx, owner)
	if err != nil {
		return err
	}
	defer a.Close()
	return c.Take(ctx, a)
}

// take is Take for who has the account.
func (c *Cutting) take(ctx context.Context, a *Account) error {
	c.mu.Lock()
	err, done := c.done[a.home]
	c.mu.Unlock()
	if done {
		return err
	}
	if to, ok := c.where(a.home); ok {
		err = a.cutTo(ctx, to)
	} else {
		err = ErrElsewhere
	}
	c.mu.Lock()
	c.done[a.home] = err
	c.mu.Unlock()
	return err
}

// beforeRemoval is called before letters leave the account, by who has it.
func (a *Account) beforeRemoval(ctx context.Context) {
	if c := a.store.cutting.Load(); c != nil {
		c.take(context.WithoutCancel(ctx), a) // who makes the whole copy hears of an error
	}
}

// cutTo writes the account as it is at one moment into a new directory on the same file
// system: letters as links, whose bytes never change, and the rest as copies. No
// operation of ours on the account runs meanwhile, but for the queue's deliveries. What
// a queue is landing (maildir.DeliveredHere) comes with tmp/.
func (a *Account) cutTo(ctx context.Context, home string) error {
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

// letterDirs are those of a mailbox, in the order in which a letter goes through them.
var letterDirs = [...]string{"tmp", "new", "cur"}

// cutTree copies a Maildir: letters are linked, other files copied.
func cutTree(from, to string, depth int) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	letters := false
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir() && slices.Contains(letterDirs[:], e.Name()):
			letters = true
		case e.IsDir() && depth < 1:
			err = cutTree(source, target, depth+1)
		case e.Type().IsRegular():
			err = copySmall(source, target)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another program took it
			return err
		}
	}
	if letters {
		return cutLetters(from, to)
	}
	return nil
}

// mostLooks bounds how often a mailbox is looked at whose files others rename.
const mostLooks = 5

// cutLetters links the letters of a mailbox. Others rename beside us: the queue from
// tmp/ to new/, mail programs from new/ to cur/ and within cur/. Looking in that order
// finds what goes forward once or twice, never not at all; where a file was gone when it
// was to be linked, it is looked for again under its new name.
func cutLetters(from, to string) error {
	gone := true
	looks := 0
	for ; gone && looks < mostLooks; looks++ {
		gone = false
		for _, sub := range letterDirs {
			some, err := linkLetters(filepath.Join(from, sub), filepath.Join(to, sub), sub == "tmp")
			if err != nil {
				return err
			}
			gone = gone || some
		}
	}
	return dropDoubles(to, looks > 1)
}

// linkLetters links those of a directory; of tmp only what a queue is landing. gone tells
// that some were no longer there.
func linkLetters(from, to string, tmp bool) (gone bool, err error) {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return false, err
	}
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || tmp && !strings.Contains(e.Name(), maildir.DeliveredHere) {
			continue
		}
		err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone = true
		case err != nil && !errors.Is(err, fs.ErrExist):
			return gone, err
		}
	}
	return gone, err
}

// dropDoubles removes the earlier name of a file that was linked under two.
func dropDoubles(dir string, again bool) error {
	linked := map[string]string{} // by the base of the name
	for _, sub := range letterDirs {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, sub, e.Name())
			base := e.Name()
			if i := strings.IndexAny(base, ",:"); i > 0 {
				base = base[:i]
			}
			if old := linked[base]; old != "" && sameFile(old, path) {
				if err := os.Remove(old); err != nil {
					return err
				}
			}
			if sub != "cur" || again {
				linked[base] = path
			}
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	one, err := os.Lstat(a)
	two, err2 := os.Lstat(b)
	return err == nil && err2 == nil && os.SameFile(one, two)
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
	s.Open, s.Gap, s.Boxes, s.Taking = true, restoredGap, nil, taking{}
	if err := writeState(vfs.OS{}, root, s); err != nil {
		return fmt.Errorf("%s: %w", root, err)
	}
	return nil
}
