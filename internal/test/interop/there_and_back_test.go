package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An account goes from Dovecot to facteur and back under mbsync: nothing is downloaded
// again, and keywords and subscriptions that were given at one are known to the other
// (INV-10).
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	mbsync, root := Need(t, "mbsync"), Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecot(t, root)
	facteur := NewFacteur(t, Setup{Accounts: []string{alice}})
	theirs, ours := mailboxPath(root, alice), facteur.Maildir(alice)
	near := t.TempDir()
	os.Mkdir(filepath.Join(near, "mail"), 0o700)
	sync := func(addr string) {
		t.Helper()
		_, port, _ := strings.Cut(addr, ":")
		rc := WriteFile(t, filepath.Join(near, "rc"), fmt.Sprintf(mbsyncrc, port, alice, Password, filepath.Join(near, "mail")))
		if out := strings.ReplaceAll(Run(t, "", mbsync, "-c", rc, "all"), clearText, ""); strings.Contains(out, "Error") || strings.Contains(out, "Warning") {
			t.Errorf("mbsync: %s", out)
		}
	}

	dovecot.Start()
	c := DialIMAP(t, dovecot.Addr(), alice)
	c.Do("CREATE Projects")
	c.Do("SUBSCRIBE Projects")
	for n := 1; n <= 20; n++ {
		appendLetter(c, "INBOX", n, []string{"", `\Seen Work`, `$Forwarded`}[n%3])
		appendLetter(c, "Projects", n, "Work")
	}
	c.Do("SELECT INBOX")
	c.Do(`STORE 1,4,6 +FLAGS.SILENT (\Deleted)`)
	c.Do("EXPUNGE")
	c.Do("LOGOUT")
	sync(dovecot.Addr())
	letters := nearLetters(t, near)
	if len(letters) != 37 {
		t.Fatalf("%d letters came down from Dovecot", len(letters))
	}
	stay := func(where string) {
		t.Helper()
		if now := nearLetters(t, near); !slices.Equal(now, letters) {
			t.Errorf("%s: mbsync has other files now:\n%q\n%q", where, now, letters)
		}
	}
	dovecot.Stop()

	copyTree(t, theirs, ours)
	facteur.Start()
	sync(facteur.Addr("imap"))
	stay("at facteur")
	c = DialIMAP(t, facteur.Addr("imap"), alice)
	c.Do("CREATE Later")
	c.Do("SUBSCRIBE Later")
	c.Do("SELECT INBOX")
	c.Do(`STORE 2 FLAGS.SILENT (Work $Forwarded)`)
	c.Do("SELECT Projects")
	c.Do(`STORE 3:5 -FLAGS.SILENT (Work)`)
	c.Do("LOGOUT")
	sync(facteur.Addr("imap"))
	stay("after changes at facteur")
	want := everythingTold(t, facteur.Addr("imap"))
	facteur.Command("", "mailbox", "dovecot", alice)
	facteur.Stop()

	copyTree(t, ours, theirs)
	chownTree(t, root)
	dovecot.Start()
	if got := everythingTold(t, dovecot.Addr()); got != want {
		t.Errorf("Dovecot tells\n%s\nand facteur told\n%s", got, want)
	}
	sync(dovecot.Addr())
	stay("at Dovecot again")
}

// nearLetters are the files that mbsync has written, without flags.
func nearLetters(t *testing.T, near string) (bases []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(near, "mail", "*", "[nc][eu][wr]", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base, _, _ := strings.Cut(filepath.Base(file), ":")
		base, _, _ = strings.Cut(base, ",U=")
		bases = append(bases, base)
	}
	slices.Sort(bases)
	return bases
}

// everythingTold is what a server tells of an account: subscriptions, and letters with
// their keywords.
func everythingTold(t *testing.T, addr string) string {
	t.Helper()
	var out []string
	for _, mailbox := range []string{"INBOX", "Projects"} {
		validity, list := told(t, addr, mailbox)
		out = append(out, mailbox+" "+validity)
		out = append(out, list...)
	}
	c := DialIMAP(t, addr, alice)
	defer c.conn.Close()
	for _, mailbox := range []string{"INBOX", "Projects", "Later"} {
		lines := strings.Join(c.Do("LSUB \"\" %s", mailbox).Lines, "\n")
		out = append(out, fmt.Sprint(mailbox, " is subscribed: ", strings.Contains(lines, "* LSUB")))
	}
	return strings.Join(out, "\n")
}
