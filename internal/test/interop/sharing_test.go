package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSharing: two users of the real server share a mailbox, by a list of rights that
// Dovecot wrote and by the admin's command; what is taken away is gone at once.
func TestSharing(t *testing.T) {
	t.Parallel()
	const bob = "bob@example.org"
	f := NewFacteur(t, Setup{Accounts: []string{alice, bob}})
	f.Start()
	b := DialIMAP(t, f.Addr("imap"), bob)
	b.Do("CREATE Work")
	appendLetter(b, "Work", 1, "")
	b.Do("LOGOUT")
	f.Stop()
	list := "owner lrwstipekxa\nuser=" + alice + " lrs\n-user=carol@example.org r\n"
	WriteFile(t, filepath.Join(f.Maildir(bob), ".Work", "dovecot-acl"), list)
	os.Remove(filepath.Join(f.Data(), "shared-mailboxes"))
	f.Start()
	a, b := DialIMAP(t, f.Addr("imap"), alice), DialIMAP(t, f.Addr("imap"), bob)
	const shared = "Users/" + bob + "/Work"
	if got := a.Do(`LIST "" Users/*`).Lines; !slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, shared) }) {
		t.Errorf("LIST: %q", got)
	}
	a.Do("SELECT %s", shared)
	a.Do(`STORE 1 +FLAGS (\Seen)`)
	if got := b.Do("STATUS Work (UNSEEN)").Lines; !slices.Contains(got, "* STATUS Work (UNSEEN 0)") {
		t.Errorf("\\Seen is shared: %q", got)
	}
	if got := a.Try("EXPUNGE").Status; !strings.HasPrefix(got, "NO [NOPERM]") {
		t.Error("EXPUNGE without e:", got)
	}
	f.Command("", "mailbox", "acl", bob, "Work", alice, "ls")
	if got := a.Try("FETCH 1 BODY[]"); len(got.Literals) > 0 || strings.HasPrefix(got.Status, "OK") {
		t.Errorf("IMAP-021 read after the right to was taken away: %+v", got)
	}
	text, err := os.ReadFile(filepath.Join(f.Maildir(bob), ".Work", "dovecot-acl"))
	if err != nil || !strings.Contains(string(text), "user="+alice+" ls\n") || !strings.Contains(string(text), "-user=carol@example.org r\n") {
		t.Errorf("what is left for Dovecot: %q %v", text, err)
	}
}

// aclConf makes a Dovecot go by lists of rights, and share.
const aclConf = `
mail_plugins = acl
protocol imap {
  mail_plugins = acl imap_acl
}
plugin {
  acl = vfile
}
namespace others {
  type = shared
  separator = /
  prefix = Users/%%%%u/
  location = maildir:%s/%%%%d/%%%%n/Maildir
  subscriptions = no
  list = no
}
`

// TestRightsInDovecot: what we write of rights means the same to Dovecot, and the
// other way round.
func TestRightsInDovecot(t *testing.T) {
	t.Parallel()
	const bob, carol = "bob@example.org", "carol@example.org"
	root := Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecot(t, root)
	text, err := os.ReadFile(dovecot.Config())
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, dovecot.Config(), string(text)+fmt.Sprintf(aclConf, root))
	f := NewFacteur(t, Setup{Accounts: []string{alice, bob, carol}})
	f.Start()
	b := DialIMAP(t, f.Addr("imap"), bob)
	b.Do("CREATE Work")
	appendLetter(b, "Work", 1, "")
	b.Do("SETACL Work %s lrswit", alice)
	b.Do("SETACL Work anyone lr")
	b.Do("SETACL Work -%s r", carol)
	b.Do("LOGOUT")
	f.Stop()
	copyTree(t, f.Maildir(bob), mailboxPath(root, bob))
	chownTree(t, root)
	dovecot.Start()
	const shared = "Users/" + bob + "/Work"
	rights := func(addr, who string) string {
		t.Helper()
		c := DialIMAP(t, addr, who)
		defer c.conn.Close()
		answer := c.Try("MYRIGHTS " + shared)
		if len(answer.Lines) != 1 {
			t.Fatalf("%s: %+v", who, answer)
		}
		letters := []byte(answer.Lines[0][strings.LastIndexByte(answer.Lines[0], ' ')+1:])
		letters = slices.DeleteFunc(letters, func(c byte) bool { return c == 'c' || c == 'd' }) // RFC 2086
		slices.Sort(letters)
		return string(letters)
	}
	if got := rights(dovecot.Addr(), alice); got != "ilrstw" {
		t.Error("Dovecot gives alice", got)
	}
	if got := rights(dovecot.Addr(), carol); got != "l" {
		t.Error("Dovecot gives carol", got)
	}
	b = DialIMAP(t, dovecot.Addr(), bob)
	b.Do("SETACL Work %s lre", alice)
	b.Do("SETACL Work -%s l", carol)
	b.Do("LOGOUT")
	dovecot.Stop()
	copyTree(t, mailboxPath(root, bob), f.Maildir(bob))
	f.Start()
	if got := rights(f.Addr("imap"), alice); got != "elr" {
		t.Error("we give alice", got)
	}
	if got := DialIMAP(t, f.Addr("imap"), carol).Try("MYRIGHTS " + shared).Status; !strings.HasPrefix(got, "NO [NONEXISTENT]") {
		t.Error("we tell carol", got)
	}
}
