package interop

import (
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
