package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// accountWith makes an account, and puts letters into its INBOX as another program
// would.
func accountWith(t *testing.T, file, address string, letters map[string]string) (maildir string) {
	t.Helper()
	good(t, "secret\n", "account", "add", address, "--password-stdin", "-c", file)
	good(t, "", "mailbox", "list", address, "-c", file)
	local, domain, _ := strings.Cut(address, "@")
	maildir = filepath.Join(filepath.Dir(file), "data", "mail", domain, local, "Maildir")
	for name, text := range letters {
		if err := os.WriteFile(filepath.Join(maildir, "new", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return maildir
}

func TestMailboxListAndStatus(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	accountWith(t, file, "alice@example.org", map[string]string{"1700000000.a.host": "Subject: one\r\n\r\nHello.\r\n"})
	list := good(t, "", "mailbox", "list", "alice@example.org", "-c", file)
	if lines := strings.Split(list, "\n"); !strings.HasPrefix(lines[0], "MAILBOX") || !strings.HasPrefix(lines[1], "INBOX") ||
		!strings.Contains(list, `Trash    \Trash    subscribed`) {
		t.Error(list)
	}
	var inbox map[string]any
	first, _, _ := strings.Cut(good(t, "", "mailbox", "status", "alice@example.org", "--json", "-c", file), "\n")
	if err := json.Unmarshal([]byte(first), &inbox); err != nil || inbox["name"] != "INBOX" || inbox["messages"] != 1.0 || inbox["size"] != 24.0 {
		t.Errorf("%v %v", inbox, err)
	}
	status, _, stderr := call(t, "", "mailbox", "list", "bob@example.org", "-c", file)
	if status != 1 || !strings.Contains(stderr, "bob@example.org: there is no such account") {
		t.Errorf("%d %s", status, stderr)
	}
}

// TestMailboxDovecot: UIDs of letters that just came are in Dovecot's list.
func TestMailboxDovecot(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	maildir := accountWith(t, file, "alice@example.org", map[string]string{"1700000000.a.host": "Subject: one\r\n\r\nHello.\r\n"})
	good(t, "", "mailbox", "dovecot", "alice@example.org", "-c", file)
	list, err := os.ReadFile(filepath.Join(maildir, "dovecot-uidlist"))
	if err != nil || !strings.Contains(string(list), "1 :1700000000.a.host\n") {
		t.Errorf("%q %v", list, err)
	}
	status, _, stderr := call(t, "", "mailbox", "dovecot", "bob@example.org", "-c", file)
	if status != 1 || !strings.Contains(stderr, "bob@example.org: there is no such account") {
		t.Errorf("%d %s", status, stderr)
	}
}

func TestMailboxesAreMadeAndShared(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	accountWith(t, file, "bob@example.org", nil)
	box := func(args ...string) string {
		return good(t, "", append(append([]string{"mailbox"}, args...), "-c", file)...)
	}
	box("create", "bob@example.org", "Work/2026")
	box("create", "bob@example.org", "Wichtig", "--special-use", `\Important`)
	box("rename", "bob@example.org", "Work", "Projects")
	box("acl", "bob@example.org", "Projects/2026", "alice@example.org", "lrs")
	box("acl", "bob@example.org", "Projects/2026", "alice@example.org", "+i")
	if got := box("acl", "bob@example.org", "Projects/2026"); !strings.Contains(got, "alice@example.org  lrsi") ||
		!strings.Contains(got, "bob@example.org    lrswipkxtea") {
		t.Error(got)
	}
	shared, err := os.ReadFile(filepath.Join(filepath.Dir(file), "data", "shared-mailboxes"))
	if err != nil || string(shared) != "bob@example.org\talice@example.org\n" {
		t.Errorf("%q %v", shared, err)
	}
	if got := box("list", "bob@example.org"); !strings.Contains(got, "Projects/2026") || !strings.Contains(got, `Wichtig        \Important`) {
		t.Error(got)
	}
	box("delete", "bob@example.org", "Projects/2026")
	for _, bad := range [][]string{
		{"acl", "bob@example.org", "Trash", "alice@example.org", "lq"}, {"acl", "bob@example.org", "Trash", "alice", "lr"},
		{"acl", "bob@example.org", "Nothing"}, {"create", "bob@example.org", "../x"}, {"delete", "bob@example.org", "INBOX"},
	} {
		if status, _, _ := call(t, "", append(append([]string{"mailbox"}, bad...), "-c", file)...); status == 0 {
			t.Error(bad, "was let pass")
		}
	}
}
