package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// CutPrefix begins the names of directories in the data directory that Cut makes.
const CutPrefix = "cut-"

// Cut is a copy of the data directory that is to be made inside of it. What is large in
// it are links, so that it takes little time and room.
type Cut struct {
	// Name is a new directory in the data directory; it begins with CutPrefix.
	Name string `json:"name"`
}

// CutPart tells that a part of a Cut is done.
type CutPart struct {
	What string `json:"what"`
	// Missing says why it is not in the copy.
	Missing string `json:"missing,omitempty"`
}

// Cut implements Office. The queue comes first and the mailboxes after it: a letter that
// is delivered meanwhile is in both, and none is in neither; nor is one that goes from
// one account to another meanwhile (mailbox.Cutting). The directory comes after
// them, so that it has all accounts that have mail.
func (s *Stores) Cut(ctx context.Context, c Cut, told func(CutPart) error) error {
	if !strings.HasPrefix(c.Name, CutPrefix) || !filepath.IsLocal(c.Name) || strings.Contains(c.Name, "/") {
		return fmt.Errorf("%q is no name for a copy", c.Name)
	}
	data := s.dataDir()
	dir := filepath.Join(data, c.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	cutting, err := s.mailboxes.BeginCut(func(home string) (string, bool) {
		below, err := filepath.Rel(data, home)
		return filepath.Join(dir, below), err == nil && filepath.IsLocal(below)
	})
	if err != nil {
		return err
	}
	defer cutting.End()
	if err := s.queue.CutTo(ctx, dir); err != nil {
		return fmt.Errorf("the queue: %w", err)
	}
	if err := told(CutPart{What: "queue"}); err != nil {
		return err
	}
	if err := s.cutMail(ctx, cutting, told); err != nil {
		return err
	}
	if err := s.directory.CutTo(ctx, filepath.Join(dir, "facteur.db")); err != nil {
		return fmt.Errorf("facteur.db: %w", err)
	}
	// Of an owner's words the journal comes before the counts, by its name: one of older
	// counts is passed over, and no lesson is lost.
	for _, name := range []string{"shared-mailboxes", "tls", "dkim", "forwarding.key", "lexicon"} {
		if err := copyTree(filepath.Join(data, name), filepath.Join(dir, name), 3); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return told(CutPart{What: "accounts"})
}

// dataDir is where the queue is.
func (s *Stores) dataDir() string { return filepath.Dir(s.queue.Dir()) }

// cutMail copies the mail of all accounts, by their homes: also of those that a directory
// has that does not list them, or does not answer, and of those that were removed.
func (s *Stores) cutMail(ctx context.Context, cutting *mailbox.Cutting, told func(CutPart) error) error {
	mail := filepath.Join(s.dataDir(), "mail")
	homes, err := filepath.Glob(filepath.Join(mail, "*", "*"))
	if err != nil {
		return err
	}
	for _, home := range homes {
		below, _ := filepath.Rel(mail, home)
		whose, ok := directory.AddressIn(below)
		if !ok {
			continue
		}
		part := CutPart{What: whose.String()}
		switch err := s.cutHome(ctx, whose, home, cutting); {
		case errors.Is(err, mailbox.ErrElsewhere):
			part.Missing = err.Error()
		case err != nil:
			return about(part.What, err)
		}
		if err := told(part); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stores) cutHome(ctx context.Context, whose address.Address, home string, cutting *mailbox.Cutting) error {
	found := s.directory.Account(ctx, whose)
	if found.State() != lookup.Found {
		return cutting.TakeHome(ctx, home)
	}
	owner := s.owner(found.Value())
	if owner.Home != home {
		return mailbox.ErrElsewhere
	}
	a, err := s.mailboxes.Open(ctx, owner)
	if err != nil {
		return err
	}
	defer a.Close()
	return cutting.Take(ctx, a)
}

// copyTree copies a file, or a directory of a few small ones.
func copyTree(from, to string, depth int) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		return copyFile(from, to)
	}
	if !info.IsDir() || depth == 0 {
		return nil
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	for _, e := range entries {
		if err == nil {
			err = copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), depth-1)
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			err = nil
		}
	}
	return err
}

func copyFile(from, to string) error {
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

// Cut implements Office.
func (c *client) Cut(ctx context.Context, cut Cut, told func(CutPart) error) error {
	return readStream(ctx, c, "/cut", cut, told)
}
