package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// source writes files below a new directory.
func sourceTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			os.MkdirAll(path, 0o700)
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, time.Unix(1700000000, 0), time.Unix(1700000000, 0))
	}
	return root
}

const letter = "Subject: x\r\n\r\nHello.\r\n"

// A Maildir comes with UIDs, keywords, subscriptions and ACLs; what can't be read
// is told, others go on, and the exit status says so.
func TestImportMaildir(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	good(t, "secret\n", "account", "add", "alice@example.org", "--password-stdin", "-c", file)
	source := sourceTree(t, map[string]string{
		"cur/1600000000.a.host:2,RSa": letter, "cur/1600000100.b.host:2,": letter, "new/1600000200.c.host": letter,
		"dovecot-uidlist":          "3 V1500000000 N9 G00112233445566778899aabbccddeeff\n4 Pold-id :1600000000.a.host\n7 :1600000100.b.host\n",
		"dovecot-keywords":         "0 Work\n",
		"subscriptions":            "V\t2\n\nWork\t2024\n",
		".Work.2024/cur/":          "",
		".Work.2024/new/1.d.host":  letter,
		".Work.2024/dovecot-acl":   "user=bob@example.org lr\n",
		"Not.a.mailbox/x":          "",
		".Gel&APY-scht/cur/9.x.h:": letter,
	})
	os.Symlink("/etc/passwd", filepath.Join(source, "cur", "1600000300.link.host:2,"))
	maildir := filepath.Join(filepath.Dir(file), "data/mail/example.org/alice/Maildir")
	status := func(want string) {
		t.Helper()
		got := good(t, "", "mailbox", "status", "alice@example.org", "--json", "-c", file)
		for _, w := range strings.Split(want, "\n") {
			if !strings.Contains(got, w) {
				t.Errorf("no %s in\n%s", w, got)
			}
		}
	}
	out := good(t, "", "import", "maildir", source, "alice@example.org", "--dry-run", "-c", file)
	if fields := strings.Fields(out); fmt.Sprint(fields) != "[MAILBOX MESSAGES SIZE INBOX 3 - Gelöscht 1 - Work/2024 1 -]" {
		t.Error(fields)
	}
	for range 2 { // nothing comes twice
		good(t, "", "import", "maildir", source, "alice@example.org", "-c", file)
		status(`"name":"INBOX","exists":true,"subscribed":true,"messages":3,"unseen":2,"deleted":0,"size":66,"uid_validity":1500000000,"uid_next":10` + "\n" +
			`"name":"Work/2024","exists":true,"subscribed":true,"messages":1` + "\n" + `"name":"Gelöscht","exists":true`)
	}
	list, err := os.ReadFile(filepath.Join(maildir, "dovecot-uidlist"))
	if text := string(list); err != nil || !strings.Contains(text, "4 Pold-id :1600000000.") || !strings.Contains(text, "\n7 :1600000100.") || !strings.Contains(text, "\n9 :1600000200.") {
		t.Errorf("%s %v", list, err)
	}
	acl := good(t, "", "mailbox", "acl", "alice@example.org", "Work/2024", "-c", file)
	if !strings.Contains(acl, "bob@example.org    lr") {
		t.Error(acl)
	}
	// Unreadable, and a pipe that nobody writes to.
	if os.Geteuid() != 0 {
		os.WriteFile(filepath.Join(source, "cur", "1600000400.secret.host:2,"), []byte(letter), 0)
		code, _, errs := call(t, "", "import", "maildir", source, "alice@example.org", "-c", file)
		if code != 1 || !strings.Contains(errs, "permission denied") || !strings.Contains(errs, "not everything could be read") {
			t.Error(code, errs)
		}
	}
	code, _, errs := call(t, "", "import", "maildir", "/nowhere", "alice@example.org", "-c", file)
	if code != 1 || !strings.Contains(errs, "no such file") {
		t.Error(code, errs)
	}
}

// Many accounts at once, files linked, and removed when they are safe.
func TestImportTree(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	for _, a := range []string{"alice@example.org", "bob@example.org"} {
		good(t, "secret\n", "account", "add", a, "--password-stdin", "-c", file)
	}
	source := sourceTree(t, map[string]string{
		"example.org/alice/Maildir/cur/1.a.h:2,S": letter,
		"example.org/bob/Maildir/cur/1.b.h:2,S":   letter, "example.org/bob/Maildir/Work/Deep/cur/1.c.h:2,S": letter,
		"example.org/zoe/Maildir/cur/1.d.h:2,S": letter,
	})
	code, _, errs := call(t, "", "import", "maildir", "--tree", "--link", "--move", source+"/%d/%n/Maildir", "-c", file)
	if code != 1 || !strings.Contains(errs, "zoe@example.org: there is no such account") {
		t.Error(code, errs)
	}
	got := good(t, "", "mailbox", "status", "bob@example.org", "--json", "-c", file)
	if !strings.Contains(got, `"Work/Deep","exists":true,"subscribed":false,"messages":1`) {
		t.Error(got)
	}
	left, _ := filepath.Glob(source + "/example.org/*/Maildir/cur/*")
	if len(left) != 1 || !strings.Contains(left[0], "zoe") {
		t.Error(left)
	}
	// A run that was killed between the two, or that was not to remove, is ended by another.
	again := sourceTree(t, map[string]string{"cur/1.b.h:2,S": letter, "cur/2.x.h:2,S": letter})
	good(t, "", "import", "maildir", again, "alice@example.org", "-c", file)
	if left, _ := filepath.Glob(again + "/cur/*"); len(left) != 2 {
		t.Error(left)
	}
	out := good(t, "", "import", "maildir", again, "alice@example.org", "--move", "-c", file)
	if left, _ := filepath.Glob(again + "/cur/*"); len(left) != 0 || !strings.Contains(out, "(2 came before)") {
		t.Error(left, out)
	}
}

// An mbox from a file, from the standard input, and a directory of them.
func TestImportMbox(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	good(t, "secret\n", "account", "add", "alice@example.org", "--password-stdin", "-c", file)
	const from = "From a@b Thu Nov 24 18:22:48 1986\n"
	source := sourceTree(t, map[string]string{
		"inbox":       from + "X-IMAPbase: 1500000000 9 Work\nX-UID: 5\nStatus: RO\nX-Keywords: Work\nSubject: 1\n\n>From x\n\n" + from + "X-UID: 8\nSubject: 2\n\ny\n\n",
		"Work/2024.b": from + "Subject: 3\n\nz\n\n", "empty": "", ".imap/x": "junk", "picture": "\x89PNG",
		".subscriptions": "Work/2024.b\n",
	})
	for range 2 {
		good(t, "", "import", "mbox", source, "alice@example.org", "-c", file)
		good(t, from+"Subject: 4\n\nx\n\n"+from+"Subject: 4\n\nx\n\n", "import", "mbox", "-", "alice@example.org", "--mailbox", "Old", "-c", file)
	}
	got := good(t, "", "mailbox", "status", "alice@example.org", "--json", "-c", file)
	for _, want := range []string{`"INBOX","exists":true,"subscribed":true,"messages":2,"unseen":1,"deleted":0,"size":39,"uid_validity":1500000000,"uid_next":10`,
		`"Work/2024.b","exists":true,"subscribed":true,"messages":1`, `"empty","exists":true`, `"Old","exists":true,"subscribed":false,"messages":2`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	code, _, errs := call(t, "\x7fELF", "import", "mbox", "-", "alice@example.org", "-c", file)
	if code != 1 || !strings.Contains(errs, "not an mbox") {
		t.Error(code, errs)
	}
}
