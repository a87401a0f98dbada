package mailbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/internal/base/vfs"
	"facteur/internal/store/quota"
)

// Row 234: the letters of an account stand in another place than its index, and another
// file system leads there: nothing of the one is looked for in the other.
func TestMaildirElsewhere(t *testing.T) {
	t.Parallel()
	letters, err := vfs.Rooted(t.TempDir())
	must(t, err)
	home := filepath.Join(t.TempDir(), "jdoe")
	o := Owner{Address: "jdoe@example.org", Home: home, Maildir: "Maildir", FS: letters, Quota: quota.Limits{Bytes: 1 << 20, Warnings: []int{50}}}
	f := openAs(t, o)
	f.append("INBOX", "one", 0)
	f.append("Sent", "two", 0)
	must(t, f.Create(bg, "Work"))
	must(t, f.Subscribe(bg, "Work", true))
	used, err := f.store.Usage(bg, o)
	must(t, err)
	if used.Messages != 2 {
		t.Fatalf("usage %+v", used)
	}
	f.shut()
	for _, name := range []string{"Maildir/.Work/cur", "Maildir/subscriptions", "Maildir/facteur-uids", "Maildir/maildirsize"} {
		if _, err := letters.Stat(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(home)
	must(t, err)
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s stands in the home of the account", e.Name())
		}
	}
	if _, err := os.Stat(filepath.Join(home, "index.db")); err != nil {
		t.Error(err)
	}
	again, err := f.store.Open(bg, o)
	must(t, err)
	defer again.Close()
	s, err := again.Status(bg, "INBOX")
	if err != nil || s.Messages != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	n, err := f.store.ExpireOld(bg, Owner{Home: home, Maildir: "Maildir", FS: letters, Expire: []ExpireRule{{Mailbox: "Sent", After: time.Nanosecond}}})
	if err != nil || len(n) != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
}
