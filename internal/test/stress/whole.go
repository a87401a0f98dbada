package stress

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// whole reads every letter in a session of its own, from its first octet to the last,
// and compares with the files: what an index or a cache tells of a letter does not prove
// that it is there. It tells what does not fit, "" if all does. A command that was sent
// before a connection was torn may still go on: then the next look decides, and the book
// knows whether a letter that went meanwhile was allowed to.
func (w *world) whole() (reason string, err error) {
	c := w.client("reader", 1<<31)
	defer c.disconnect()
	if err := c.connect(); err != nil {
		return "", err
	}
	for _, name := range w.Mailboxes {
		ids, reason, err := c.readAll(name)
		if err == nil && reason == "" && w.Maildir != "" {
			reason, err = w.onDisk(name, ids)
		}
		if err != nil || reason != "" {
			return reason, err
		}
	}
	return "", nil
}

// readAll fetches all letters of a mailbox and returns which they are.
func (c *client) readAll(name string) (ids []string, reason string, err error) {
	if err := c.openWith("EXAMINE "+name, name, true); err != nil {
		return nil, "", err
	}
	if len(c.view.messages) == 0 {
		return nil, "", nil
	}
	told := len(c.view.messages)
	status, err := c.run(fmt.Sprintf("FETCH 1:%d (UID RFC822.SIZE BODY.PEEK[])", told))
	if err != nil {
		return nil, "", err
	}
	for n, m := range c.view.messages {
		if !m.read {
			return nil, fmt.Sprintf("%s: FETCH ended with %s and without the text of letter %d of %d", name, status, n+1, told), nil
		}
		ids = append(ids, c.book.letterOf(name, m.uid))
	}
	return ids, "", nil
}

// letterOf tells which letter a UID is.
func (b *Book) letterOf(name string, uid uint32) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.box(name).fact(uid).id
}

// onDisk compares the letters that were read from a mailbox with its files.
func (w *world) onDisk(name string, read []string) (reason string, err error) {
	files, err := filepath.Glob(filepath.Join(w.folder(name), "[cn][ue][rw]", "*"))
	if err != nil {
		return "", err
	}
	var stored []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Sprintf("%s: %v", name, err), nil
		}
		head := strings.ReplaceAll(string(text), "\r\n", "\n")
		stored = append(stored, field(strings.ReplaceAll(head, "\n", "\r\n"), "X-Letter"))
	}
	slices.Sort(stored)
	slices.Sort(read)
	if !slices.Equal(stored, read) {
		return fmt.Sprintf("%s: the files are of letters %q, and those that can be read are %q", name, stored, read), nil
	}
	return "", nil
}

// folder is where Maildir++ keeps a mailbox.
func (w *world) folder(name string) string {
	if name == "INBOX" {
		return w.Maildir
	}
	return filepath.Join(w.Maildir, "."+strings.ReplaceAll(name, "/", "."))
}
