package interop

import (
	"fmt"
	"net/textproto"
	"strings"
	"testing"
)

// uniqueIDs logs in over POP3 and gives what UIDL and LIST say.
func uniqueIDs(t *testing.T, addr string) []string {
	t.Helper()
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ReadLine(); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, command := range []string{"USER " + alice, "PASS " + Password, "UIDL", "LIST", "QUIT"} {
		if err := c.PrintfLine("%s", command); err != nil {
			t.Fatal(err)
		}
		line, err := c.ReadLine()
		if err != nil || !strings.HasPrefix(line, "+OK") {
			t.Fatalf("%s: %s, %v", command, line, err)
		}
		if command == "UIDL" || command == "LIST" {
			lines, err := c.ReadDotLines()
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, lines...)
		}
	}
	return list
}

// TestTakeoverPOP3 moves an account from Dovecot to facteur and back: clients that
// leave their letters on the server download none of them again.
func TestTakeoverPOP3(t *testing.T) {
	t.Parallel()
	root := Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecot(t, root)
	dovecot.ServePOP3()
	facteur := NewFacteur(t, Setup{Accounts: []string{alice}, Services: []string{"smtp", "imap", "pop3"}})
	theirs, ours := mailboxPath(root, alice), facteur.Maildir(alice)

	Plant(t, theirs, 20, 700)
	chownTree(t, root)
	dovecot.Start()
	c := DialIMAP(t, dovecot.Addr(), alice)
	c.Do("SELECT INBOX")
	c.Do("STORE 3,7 +FLAGS (\\Deleted)") // so that numbers and UIDs differ
	c.Do("EXPUNGE")
	c.conn.Close()
	before := uniqueIDs(t, Loopback(dovecot.pop3))
	if len(before) != 2*18 {
		t.Fatal(before)
	}
	dovecot.Stop()

	copyTree(t, theirs, ours)
	facteur.Handover(alice)
	facteur.Start()
	if got := uniqueIDs(t, facteur.Addr("pop3")); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("POP-001: with facteur\n%q, want\n%q", got, before)
	}
	d := DialIMAP(t, facteur.Addr("imap"), alice)
	d.Do("SELECT INBOX")
	d.Do("STORE 1:* +FLAGS (\\Seen)") // files get other names
	appendLetter(d, "INBOX", 77, "")
	d.conn.Close()
	after := uniqueIDs(t, facteur.Addr("pop3"))
	if fmt.Sprint(after[:18]) != fmt.Sprint(before[:18]) || len(after) != 2*19 {
		t.Errorf("POP-001: after changes of flags\n%q, want\n%q", after, before)
	}
	facteur.Stop()

	copyTree(t, ours, theirs)
	chownTree(t, root)
	dovecot.Start()
	if got := uniqueIDs(t, Loopback(dovecot.pop3)); fmt.Sprint(got) != fmt.Sprint(after) {
		t.Errorf("with Dovecot again\n%q, want\n%q", got, after)
	}
}
