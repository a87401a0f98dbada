package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const mbsyncrc = `
FSync no

IMAPAccount far
Host 127.0.0.1
Port %s
User %s
Pass %s
SSLType None
AuthMechs LOGIN
Timeout 300
PipelineDepth 50

IMAPStore far
Account far

MaildirStore near
Path %[4]s/
Inbox %[4]s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
`

// clearText is what mbsync has to say about loopback without TLS.
const clearText = "*** IMAP Warning *** Password is being sent in the clear"

// mbsync has 10,000 letters down and its changes back, and again after the
// index was deleted (INV-13): UIDs and UIDVALIDITY are the same, although a
// letter was expunged before.
func TestMbsync(t *testing.T) {
	t.Parallel()
	count := 10_000
	if testing.Short() {
		count = 500
	}
	setup := Setup{Accounts: []string{alice}}
	t.Run("facteur", func(t *testing.T) {
		t.Parallel()
		mbsyncStory(t, NewFacteur(t, setup), count)
	})
	t.Run("debian", func(t *testing.T) {
		t.Parallel()
		mbsyncStory(t, NewDebian(t, setup), min(count, 2000))
	})
}

func mbsyncStory(t *testing.T, post Post, count int) {
	mbsync := Need(t, "mbsync")
	Plant(t, post.Maildir(alice), count, 2000)
	post.Handover(alice)
	post.Start()
	near := t.TempDir()
	_, port, _ := strings.Cut(post.Addr("imap"), ":")
	rc := WriteFile(t, filepath.Join(near, "rc"), fmt.Sprintf(mbsyncrc, port, alice, Password, filepath.Join(near, "mail")))
	os.Mkdir(filepath.Join(near, "mail"), 0o700)
	sync := func() {
		t.Helper()
		out := strings.ReplaceAll(Run(t, "", mbsync, "-c", rc, "all"), clearText, "")
		if strings.Contains(out, "Error") || strings.Contains(out, "Warning") {
			t.Errorf("mbsync: %s", out)
		}
	}
	inbox := filepath.Join(near, "mail", "INBOX")
	sync()
	expectLetters(t, inbox, count, count)
	// Back: one letter changed, one gone, one new, one folder new.
	changeNear(t, inbox)
	sync()
	expectServer(t, post, "INBOX", count) // one gone, one new
	expectServer(t, post, "Projects", 1)

	before := uids(t, post)
	loseIndex(t, post)
	if after := uids(t, post); after != before {
		t.Errorf("after the index was deleted: UIDVALIDITY %s, was %s; same UIDs: %t", after.validity, before.validity, after.list == before.list)
	}
	sync()
	expectServer(t, post, "INBOX", count)
	expectLetters(t, inbox, count, count-1)
}

// loseIndex deletes the index: facteur's while it runs, once the account is at
// rest; Dovecot's while it is down.
func loseIndex(t *testing.T, post Post) {
	t.Helper()
	facteur, ok := post.(*Facteur)
	if !ok {
		post.Stop()
		dropIndex(t, post)
		post.Start()
		return
	}
	WaitUntil(t, "the account to be at rest", func() bool {
		state, _ := os.ReadFile(filepath.Join(facteur.Maildir(alice), "facteur-uids"))
		return strings.Contains(string(state), "open false")
	})
	dropIndex(t, post)
}

func dropIndex(t *testing.T, post Post) {
	t.Helper()
	files := post.IndexFiles(alice)
	if len(files) == 0 {
		t.Error("there is no index to delete")
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// changeNear does what a user does between two synchronisations.
func changeNear(t *testing.T, inbox string) {
	t.Helper()
	files, err := filepath.Glob(inbox + "/cur/*")
	if err != nil || len(files) < 2 {
		t.Fatalf("nothing to change in %s: %v", inbox, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(files[1], files[1]+"F"); err != nil { // …:2,S → …:2,SF
		t.Fatal(err)
	}
	written := "From: alice@example.org\nSubject: written on the train\n\nhello\n"
	WriteFile(t, inbox+"/new/1767300000.1.train", written)
	for _, sub := range []string{"new", "cur", "tmp"} {
		os.MkdirAll(filepath.Join(filepath.Dir(inbox), "Projects", sub), 0o700)
	}
	WriteFile(t, filepath.Join(filepath.Dir(inbox), "Projects/new/1767300000.2.train"), written)
}

// expectLetters compares what mbsync wrote with what was planted.
func expectLetters(t *testing.T, inbox string, files, planted int) {
	t.Helper()
	found, _ := filepath.Glob(inbox + "/[nc][eu][wr]/*")
	if len(found) != files {
		t.Errorf("%d letters in %s, want %d", len(found), inbox, files)
	}
	same := 0
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if samePlanted(string(text)) {
			same++
		}
	}
	if same != planted {
		t.Errorf("%d letters are the planted ones byte for byte, want %d", same, planted)
	}
}

var (
	plantedSubject = regexp.MustCompile(`(?m)^Subject: planted letter (\d+)$`)
	tuid           = regexp.MustCompile(`(?m)^X-TUID: .*\n`)
)

// samePlanted compares with the letter of that number; X-TUID is mbsync's own.
func samePlanted(text string) bool {
	text = tuid.ReplaceAllString(strings.ReplaceAll(text, "\r\n", "\n"), "")
	number := plantedSubject.FindStringSubmatch(text)
	if number == nil {
		return false
	}
	var n int
	fmt.Sscan(number[1], &n)
	return text == PlantedLetter(n, 2000)
}

func expectServer(t *testing.T, post Post, mailbox string, count int) {
	t.Helper()
	c := DialIMAP(t, post.Addr("imap"), alice)
	defer c.conn.Close()
	if got := c.Exists(mailbox); got != count {
		t.Errorf("%s has %d messages on the server, want %d", mailbox, got, count)
	}
}

// identity is how IMAP names the messages of INBOX.
type identity struct{ validity, list string }

var uidValidity = regexp.MustCompile(`UIDVALIDITY (\d+)`)

func uids(t *testing.T, post Post) identity {
	t.Helper()
	c := DialIMAP(t, post.Addr("imap"), alice)
	defer c.conn.Close()
	all := strings.Join(c.Do("SELECT INBOX").Lines, "\n")
	found := uidValidity.FindStringSubmatch(all)
	if found == nil {
		t.Fatalf("SELECT without UIDVALIDITY:\n%s", all)
	}
	return identity{found[1], strings.Join(c.Do("FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])").lineAndLiterals(), "\n")}
}

func (a Answer) lineAndLiterals() []string {
	list := append([]string(nil), a.Lines...)
	for _, literal := range a.Literals {
		list = append(list, string(literal))
	}
	return list
}

// TestRow175MbsyncTeaches: mbsync moves letters by storing them in another mailbox. Into Junk
// and out of it, that teaches.
func TestRow175MbsyncTeaches(t *testing.T) {
	t.Parallel()
	mbsync := Need(t, "mbsync")
	post := NewFacteur(t, Setup{Accounts: []string{alice}})
	Plant(t, post.Maildir(alice), 3, 2000)
	post.Start()
	near := t.TempDir()
	_, port, _ := strings.Cut(post.Addr("imap"), ":")
	rc := WriteFile(t, filepath.Join(near, "rc"), fmt.Sprintf(mbsyncrc, port, alice, Password, filepath.Join(near, "mail")))
	os.Mkdir(filepath.Join(near, "mail"), 0o700)
	taught := func(want string) {
		t.Helper()
		Run(t, "", mbsync, "-c", rc, "all")
		WaitUntil(t, "the filter to have learnt "+want, func() bool {
			return strings.Contains(post.Command("", "learn", "status", alice, "--json"), want)
		})
	}
	// move moves a letter as a mail program does that works on the copy at home: its new name
	// says nothing of where it was.
	moved := 0
	move := func(from, to string) {
		t.Helper()
		files, _ := filepath.Glob(filepath.Join(near, "mail", from, "cur", "*"))
		if len(files) == 0 {
			t.Fatalf("nothing in %s", from)
		}
		moved++
		if err := os.Rename(files[0], filepath.Join(near, "mail", to, "cur", fmt.Sprintf("1767300000.%d.near:2,S", moved))); err != nil {
			t.Fatal(err)
		}
	}
	taught(`"spam":0,"ham":0`)
	move("INBOX", "Junk")
	taught(`"spam":1,"ham":0`)
	move("Junk", "INBOX")
	taught(`"spam":0,"ham":1`)
	// What it stores elsewhere says nothing.
	move("INBOX", "Archive")
	taught(`"spam":0,"ham":1`)
	if log := post.Log(); strings.Count(log, "learnt a letter as") != 2 {
		t.Errorf("not two lessons: %s", log)
	}
}
