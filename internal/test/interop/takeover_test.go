package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var uidLine = regexp.MustCompile(`UID (\d+)`)

// told is UIDVALIDITY, and "UID subject keywords" of each message of a mailbox.
func told(t *testing.T, addr, mailbox string) (validity string, list []string) {
	t.Helper()
	c := DialIMAP(t, addr, alice)
	defer c.conn.Close()
	all := strings.Join(c.Do("SELECT %q", mailbox).Lines, "\n")
	found := uidValidity.FindStringSubmatch(all)
	if found == nil {
		t.Fatalf("SELECT without UIDVALIDITY:\n%s", all)
	}
	answer := c.Do("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	subjects := answer.Literals
	for _, line := range answer.Lines {
		uid := uidLine.FindStringSubmatch(line)
		if uid == nil || !strings.Contains(line, "SUBJECT") {
			continue
		}
		words := ""
		for _, w := range []string{"Work", "$Forwarded"} {
			if strings.Contains(line, w) {
				words += " " + w
			}
		}
		list = append(list, uid[1]+" "+strings.TrimSpace(string(subjects[0]))+words)
		subjects = subjects[1:]
	}
	return found[1], list
}

func appendLetter(c *IMAP, mailbox string, n int, flags string) {
	c.t.Helper()
	text := strings.ReplaceAll(PlantedLetter(n, 300), "\n", "\r\n")
	c.Do("APPEND %q (%s) {%d+}\r\n%s", mailbox, flags, len(text), text)
}

// copyTree takes a Maildir to another server, with its times.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	os.RemoveAll(to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// TestTakeover moves an account from Dovecot to facteur and back, twice: no
// UID becomes another and no UIDVALIDITY changes (INV-10).
func TestTakeover(t *testing.T) {
	t.Parallel()
	root := Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecot(t, root)
	facteur := NewFacteur(t, Setup{Accounts: []string{alice}})
	theirs, ours := mailboxPath(root, alice), facteur.Maildir(alice)
	expect := func(addr, where, mailbox, validity string, want []string) {
		t.Helper()
		v, list := told(t, addr, mailbox)
		if v != validity || fmt.Sprint(list) != fmt.Sprint(want) {
			t.Errorf("%s, %s: UIDVALIDITY %s\n%q, want %s\n%q", where, mailbox, v, list, validity, want)
		}
	}

	dovecot.Start()
	c := DialIMAP(t, dovecot.Addr(), alice)
	c.Do("CREATE Projects")
	for n := 1; n <= 6; n++ {
		appendLetter(c, "INBOX", n, []string{"", `\Seen Work`, `$Forwarded`}[n%3])
		appendLetter(c, "Projects", n, "")
	}
	c.Do("SELECT INBOX")
	c.Do(`STORE 1,4,6 +FLAGS.SILENT (\Deleted)`)
	c.Do("EXPUNGE")
	c.Do("LOGOUT")
	v, inbox := told(t, dovecot.Addr(), "INBOX")
	w, projects := told(t, dovecot.Addr(), "Projects")
	dovecot.Stop()
	if len(inbox) != 3 || len(projects) != 6 || v == w {
		t.Fatalf("Dovecot: %s %q %s %q", v, inbox, w, projects)
	}

	for round := range 2 {
		copyTree(t, theirs, ours)
		facteur.Start()
		expect(facteur.Addr("imap"), "facteur", "INBOX", v, inbox)
		expect(facteur.Addr("imap"), "facteur", "Projects", w, projects)
		c = DialIMAP(t, facteur.Addr("imap"), alice)
		appendLetter(c, "INBOX", 10+round, "")
		c.Do("SELECT INBOX")
		c.Do(`STORE 1 +FLAGS.SILENT (\Deleted)`)
		c.Do("EXPUNGE")
		c.Do("UID MOVE %s Projects", strings.Fields(inbox[1])[0])
		c.Do("LOGOUT")
		before := inbox
		v, inbox = told(t, facteur.Addr("imap"), "INBOX")
		w, projects = told(t, facteur.Addr("imap"), "Projects")
		if len(inbox) != len(before)-1 {
			t.Fatalf("facteur: %q", inbox)
		}
		facteur.Stop()

		copyTree(t, ours, theirs)
		chownTree(t, root)
		dovecot.Start()
		// Dovecot doesn't know the keywords that facteur gave; those of its own stay.
		expect(dovecot.Addr(), "Dovecot again", "INBOX", v, inbox)
		expectUIDs(t, dovecot.Addr(), "Projects", w, projects)
		c = DialIMAP(t, dovecot.Addr(), alice)
		appendLetter(c, "INBOX", 20+round, "")
		appendLetter(c, "INBOX", 30+round, `\Deleted`)
		appendLetter(c, "INBOX", 40+round, "")
		c.Do("SELECT INBOX")
		c.Do("EXPUNGE")
		c.Do("LOGOUT")
		_, inbox = told(t, dovecot.Addr(), "INBOX")
		_, projects = told(t, dovecot.Addr(), "Projects")
		dovecot.Stop()
	}
	if list, err := os.ReadFile(filepath.Join(theirs, "dovecot-uidlist")); err != nil || !strings.HasPrefix(string(list), "3 V"+v+" ") {
		t.Errorf("Dovecot's list at the end: %v\n%s", err, list)
	} else {
		t.Logf("\n%s", list)
	}
	if log := dovecot.Log(); strings.Contains(log, "Error:") || strings.Contains(strings.ReplaceAll(log, "Warning: Killed", ""), "Warning:") {
		t.Errorf("Dovecot complains:\n%s", log)
	}
}

// expectUIDs is expect without keywords.
func expectUIDs(t *testing.T, addr, mailbox, validity string, want []string) {
	t.Helper()
	v, list := told(t, addr, mailbox)
	bare := func(list []string) (out []string) {
		for _, s := range list {
			out = append(out, strings.NewReplacer(" Work", "", " $Forwarded", "").Replace(s))
		}
		return out
	}
	if v != validity || fmt.Sprint(bare(list)) != fmt.Sprint(bare(want)) {
		t.Errorf("%s: UIDVALIDITY %s\n%q, want %s\n%q", mailbox, v, list, validity, want)
	}
}

func chownTree(t *testing.T, root string) {
	t.Helper()
	if out, err := exec.Command("chown", "-R", "mail:mail", root).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}
