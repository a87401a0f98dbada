package moving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/mail/mbox"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
)

// Export writes mailboxes for other programs.
type Export struct {
	Address string
	// Only is the mailbox that is written; "": all.
	Only string
	Show *Progress
}

// each gives what is to be written.
func (e *Export) each(ctx context.Context, o control.Office, fn func(control.Mailbox) error) error {
	boxes, err := o.Mailboxes(ctx, control.AccountName{Address: e.Address})
	if err != nil {
		return err
	}
	found := false
	for _, b := range boxes {
		if !b.Exists || e.Only != "" && b.Name != e.Only {
			continue
		}
		found = true
		e.Show.expect(Box{Count: int64(b.Messages), Bytes: b.Size})
	}
	if !found {
		return fmt.Errorf("%s: there is no mailbox %q", e.Address, e.Only)
	}
	for _, b := range boxes {
		if b.Exists && (e.Only == "" || b.Name == e.Only) {
			if err := fn(b); err != nil {
				return fmt.Errorf("%s: %w", b.Name, err)
			}
		}
	}
	return nil
}

// letters gives a mailbox's letters.
func (e *Export) letters(ctx context.Context, o control.Office, name string, fn func(control.ImportLetter, io.Reader) error) error {
	return o.Export(ctx, control.Exported{Address: e.Address, Mailbox: name}, func(l control.ImportLetter, r io.Reader) error {
		err := fn(l, &meter{r: r, show: e.Show})
		if err == nil {
			e.Show.came(1)
		}
		return err
	})
}

// Mbox writes one mailbox to w in the form mboxrd.
func (e *Export) Mbox(ctx context.Context, o control.Office, w io.Writer) error {
	return e.each(ctx, o, func(b control.Mailbox) error { return e.mbox(ctx, o, b, w) })
}

func (e *Export) mbox(ctx context.Context, o control.Office, b control.Mailbox, w io.Writer) error {
	out := mbox.NewWriter(w)
	base := mbox.Base{Validity: b.UIDValidity, LastUID: b.UIDNext - 1}
	err := e.letters(ctx, o, b.Name, func(l control.ImportLetter, r io.Reader) error {
		return out.Write(mbox.Outgoing{Received: l.Received, Marks: marksOf(l), Base: base}, r)
	})
	if err == nil {
		err = out.Flush()
	}
	return err
}

func marksOf(l control.ImportLetter) mbox.Marks {
	is := func(f mailbox.SystemFlags) bool { return l.System&f != 0 }
	return mbox.Marks{Seen: is(mailbox.Seen), Answered: is(mailbox.Answered), Flagged: is(mailbox.Flagged), Deleted: is(mailbox.Deleted),
		Draft: is(mailbox.Draft), Keywords: l.Keywords, UID: l.UID}
}

// MboxTree writes each mailbox into a file of its own below a new directory, those below
// another into a directory NAME.sbd beside it, as Thunderbird has them.
func (e *Export) MboxTree(ctx context.Context, o control.Office, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return e.each(ctx, o, func(b control.Mailbox) error {
		levels := strings.Split(b.Name, maildir.Separator)
		for i := range levels {
			levels[i] = strings.ReplaceAll(levels[i], "\x00", "")
		}
		parent := strings.Join(levels[:len(levels)-1], ".sbd/")
		if parent != "" {
			parent += ".sbd/"
			if err := root.MkdirAll(parent, 0o700); err != nil {
				return err
			}
		}
		f, err := root.OpenFile(parent+levels[len(levels)-1], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = e.mbox(ctx, o, b, f)
		if err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	})
}

// Maildir writes a Maildir++ into a new directory, with the files in which Dovecot keeps
// UIDs, keywords and subscriptions.
func (e *Export) Maildir(ctx context.Context, o control.Office, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	boxes, err := o.Mailboxes(ctx, control.AccountName{Address: e.Address})
	if err != nil {
		return err
	}
	var subscribed strings.Builder
	for _, b := range boxes {
		folder, err := maildir.Folder(b.Name)
		if err == nil && b.Subscribed {
			fmt.Fprintln(&subscribed, strings.TrimPrefix(orInbox(folder), "."))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "subscriptions"), []byte(subscribed.String()), 0o600); err != nil {
		return err
	}
	return e.each(ctx, o, func(b control.Mailbox) error {
		folder, err := maildir.Folder(b.Name)
		if err != nil {
			return err
		}
		return e.folder(ctx, o, b, filepath.Join(dir, folder))
	})
}

func orInbox(folder string) string {
	if folder == "" {
		return "INBOX"
	}
	return folder
}

// folder writes one mailbox.
func (e *Export) folder(ctx context.Context, o control.Office, b control.Mailbox, dir string) error {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	list, err := os.OpenFile(filepath.Join(dir, "dovecot-uidlist"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer list.Close()
	k := keyOf(e.Address, b.Name)
	fmt.Fprintf(list, "3 V%d N%d G%x00000000\n", b.UIDValidity, b.UIDNext, k[:])
	words := &letterNames{}
	n := 0
	err = e.letters(ctx, o, b.Name, func(l control.ImportLetter, r io.Reader) error {
		n++
		base := fmt.Sprintf("%d.E%06dU%d.facteur-export", l.Received.Unix(), n, l.UID)
		flags := maildir.SetFlags(words.spell(l.Keywords), systemLetters(l.System))
		if err := writeLetter(filepath.Join(dir, "cur", base+":2,"+flags), l.Received, r); err != nil {
			return err
		}
		_, err := fmt.Fprintf(list, "%d :%s\n", l.UID, base)
		return err
	})
	if err != nil {
		return err
	}
	if words.left > 0 {
		e.Show.note(fmt.Sprintf("%s: %d keywords found no room in file names", b.Name, words.left))
	}
	return words.write(filepath.Join(dir, "dovecot-keywords"))
}

func writeLetter(path string, received time.Time, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Chtimes(path, received, received)
}

func systemLetters(f mailbox.SystemFlags) (out string) {
	for _, p := range []struct {
		flag   mailbox.SystemFlags
		letter string
	}{{mailbox.Draft, "D"}, {mailbox.Flagged, "F"}, {mailbox.Answered, "R"}, {mailbox.Seen, "S"}, {mailbox.Deleted, "T"}} {
		if f&p.flag != 0 {
			out += p.letter
		}
	}
	return out
}

// letterNames are the keywords that have a letter in file names.
type letterNames struct {
	names []string
	left  int
}

func (n *letterNames) spell(words []string) (out string) {
	for _, word := range words {
		i := 0
		for i < len(n.names) && !strings.EqualFold(n.names[i], word) {
			i++
		}
		if i == 26 {
			n.left++
			continue
		}
		if i == len(n.names) {
			n.names = append(n.names, word)
		}
		out += string(rune('a' + i))
	}
	return out
}

func (n *letterNames) write(path string) error {
	if len(n.names) == 0 {
		return nil
	}
	var out strings.Builder
	for i, name := range n.names {
		fmt.Fprintf(&out, "%d %s\n", i, name)
	}
	return os.WriteFile(path, []byte(out.String()), 0o600)
}
