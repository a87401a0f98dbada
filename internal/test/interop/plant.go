package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// PlantedLetter is the n-th letter of Plant, with LF line ends.
func PlantedLetter(n, size int) string {
	head := fmt.Sprintf("From: Bob <bob@example.net>\nTo: alice@example.org\nSubject: planted letter %d\n"+
		"Message-ID: <planted-%d@example.net>\nDate: Thu, 01 Jan 2026 12:00:00 +0000\nMIME-Version: 1.0\n"+
		"Content-Type: text/plain; charset=us-ascii\n\n", n, n)
	body := fmt.Sprintf("This is letter %d of many.\n", n)
	for len(head)+len(body) < size {
		body += "The quick brown fox jumps over the lazy dog, and then some more of it.\n"
	}
	return head + body
}

// Plant puts letters 1 to count into cur of a Maildir, as another program
// would, and gives the whole tree to the owner of the account's directory.
func Plant(t testing.TB, maildir string, count, size int) {
	t.Helper()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(maildir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= count; n++ {
		name := fmt.Sprintf("cur/%d.P1Q%d.planted:2,S", 1767268800+n, n)
		if err := os.WriteFile(filepath.Join(maildir, name), []byte(PlantedLetter(n, size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Handover gives an account's directory to the user under whom Debian's
// servers read it here. Facteur's accounts need nothing: it runs as the test
// does.
func (d *Debian) Handover(address string) {
	d.t.Helper()
	uid, gid := Chown(d.t, d.root, "mail")
	err := filepath.WalkDir(d.root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// Handover implements Post.
func (f *Facteur) Handover(string) {}

// IndexFiles implements Post: Dovecot's caches, but not its list of UIDs.
func (d *Debian) IndexFiles(address string) []string {
	files, _ := filepath.Glob(filepath.Join(d.Maildir(address), "dovecot.index*"))
	return files
}
