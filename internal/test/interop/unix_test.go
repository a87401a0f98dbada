package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hamlet is a facteur with a Unix user, jdoe, whom the machine does not have: it runs
// where another /etc/passwd stands in the place of the machine's, and our sendmail in the
// place of Postfix's.
type hamlet struct {
	*Facteur
	home string
	into []string // what a command is run under, to be there
}

const hamletUID = 58888

func newHamlet(t *testing.T, config string) *hamlet {
	t.Helper()
	NeedRoot(t)
	for _, p := range []string{"unshare", "setpriv", "mount"} {
		Need(t, p)
	}
	dir := Room(t)
	h := &hamlet{home: filepath.Join(dir, "jdoe")}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"passwd": string(users) + fmt.Sprintf("jdoe:x:%d:%[1]d:John Doe:%s:/bin/sh\n", hamletUID, h.home),
		"group":  string(groups) + fmt.Sprintf("jdoe:x:%d:\n", hamletUID),
		"shadow": "jdoe:$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.:19000:0:99999:7:::\n",
	}
	if err := os.Link(Binary(t), filepath.Join(dir, "facteur")); err != nil { // where it was built, jdoe may not look
		t.Fatal(err)
	}
	put := func(name, text string) {
		WriteFile(t, filepath.Join(dir, name), text)
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		put(name, text)
	}
	h.Facteur = NewFacteur(t, Setup{Accounts: []string{"alice@example.org"}, Services: []string{"smtp", "imap", "pop3", local},
		Config: fmt.Sprintf("[[directory]]\nname = \"users\"\nkind = \"unix\"\nsource = %q\ndomains = [\"example.org\"]\nunix_users = true\nmaildir = \"~/Maildir\"\n\n%s", dir+"/passwd", config)})
	put("sendmail", "#!/bin/sh\nFACTEUR_SENDMAIL_SOCKET="+h.Socket()+" exec "+filepath.Join(dir, "facteur")+" sendmail \"$@\"\n")
	if err := os.Mkdir(h.home, 0o700); err != nil {
		t.Fatal(err)
	}
	own(t, h.home)
	h.into = []string{"unshare", "-m", "sh", "-c", fmt.Sprintf(`mount --bind %[1]s/passwd /etc/passwd && mount --bind %[1]s/group /etc/group && mount --bind %[1]s/sendmail /usr/sbin/sendmail && exec "$0" "$@"`, dir)}
	h.StartWith(h.into...)
	return h
}

func own(t *testing.T, path string) {
	t.Helper()
	if err := os.Chown(path, hamletUID, hamletUID); err != nil {
		t.Fatal(err)
	}
}

// write makes a file of jdoe's.
func (h *hamlet) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(h.home, name)
	WriteFile(t, path, text)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	own(t, path)
}

// letters are those in a directory of jdoe's home that have a text.
func (h *hamlet) letters(dir, text string) (n int) {
	files, _ := filepath.Glob(filepath.Join(h.home, dir, "*"))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if strings.Contains(string(b), text) {
			n++
		}
	}
	return n
}

func (h *hamlet) send(t *testing.T, from, to, subject string) {
	t.Helper()
	out, code := h.Sendmail(from, []string{to}, fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nMessage-ID: <%d@example.org>\n\nHello\n", from, to, subject, time.Now().UnixNano()))
	if code != 0 {
		t.Fatal(out)
	}
}

// TestUnixUser: row 234, ~/Maildir with IMAP and POP3, files of the user's own; the first
// letter makes the directories (row 66).
func TestUnixUser(t *testing.T) {
	h := newHamlet(t, "")
	h.send(t, "alice@example.org", "jdoe@example.org", "the first")
	WaitUntil(t, "the letter is in ~/Maildir", func() bool { return h.letters("Maildir/new", "Subject: the first") == 1 })
	curl := Need(t, "curl")
	got := Run(t, "", curl, "-sS", "--max-time", "60", "-u", "jdoe@example.org:secret", "imap://"+h.Addr("imap")+"/INBOX;MAILINDEX=1")
	if !strings.Contains(got, "Subject: the first") {
		t.Errorf("IMAP gives %q", got)
	}
	Run(t, "", curl, "-sS", "--max-time", "60", "-u", "jdoe@example.org:secret", "imap://"+h.Addr("imap")+"/INBOX", "-X", "STORE 1 +FLAGS (\\Seen)")
	Run(t, "", curl, "-sS", "--max-time", "60", "-u", "jdoe@example.org:secret", "imap://"+h.Addr("imap"), "-X", "CREATE Work")
	if n := h.letters("Maildir/cur", "Subject: the first"); n != 1 {
		t.Errorf("%d letters in cur", n)
	}
	got = Run(t, "", curl, "-sS", "--max-time", "60", "-u", "jdoe@example.org:secret", "pop3://"+h.Addr("pop3")+"/1")
	if !strings.Contains(got, "Subject: the first") {
		t.Errorf("POP3 gives %q", got)
	}
	err := filepath.Walk(h.home, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != hamletUID {
			t.Errorf("%s is not jdoe's", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestUnixLedger: the server is killed again and again while mail for a Unix user comes;
// what got its yes is there once.
func TestUnixLedger(t *testing.T) {
	h := newHamlet(t, "")
	var mu sync.Mutex
	taken := make(map[int]bool)
	done := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if _, code := h.Sendmail("alice@example.org", []string{"jdoe@example.org"}, fmt.Sprintf("Subject: number %d.\n\nx\n", i)); code == 0 {
				mu.Lock()
				taken[i] = true
				mu.Unlock()
			}
		}
	})
	for range 4 {
		time.Sleep(400 * time.Millisecond)
		h.Kill()
		h.StartWith(h.into...)
	}
	close(done)
	sender.Wait()
	WaitUntil(t, "the queue is empty", func() bool { h.Flush(); n, err := h.Queued(); return err == nil && n == 0 })
	for i := range taken {
		if n := h.letters("Maildir/new", fmt.Sprintf("Subject: number %d.", i)); n != 1 {
			t.Errorf("number %d is there %d times", i, n)
		}
	}
	if t.Logf("%d letters", len(taken)); len(taken) < 10 {
		t.Error("hardly a letter was taken")
	}
}

// TestProcmail: rows 56 and 238, with Debian's procmail.
func TestProcmail(t *testing.T) {
	Need(t, "procmail")
	for name, c := range map[string]struct{ config, forward string }{
		"row 56 from a .forward, as the text has it": {"", `"| IFS=' ' && exec /usr/bin/procmail -f- || exit 75"` + "\n"},
		"row 238 for all": {"[unix]\nmailbox_command = \"/usr/bin/procmail\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHamlet(t, c.config)
			h.write(t, ".procmailrc", "MAILDIR=$HOME/Maildir\nDEFAULT=$HOME/Maildir/\n:0\n* ^Subject: sorted\n.Sorted/\n")
			if c.forward != "" {
				h.write(t, ".forward", c.forward)
			}
			if err := os.Mkdir(h.home+"/Maildir", 0o700); err != nil {
				t.Fatal(err)
			}
			own(t, h.home+"/Maildir")
			h.send(t, "alice@example.org", "jdoe@example.org", "plain")
			h.send(t, "alice@example.org", "jdoe@example.org", "sorted")
			WaitUntil(t, "procmail has put them away", func() bool {
				return h.letters("Maildir/new", "Subject: plain") == 1 && h.letters("Maildir/.Sorted/new", "Subject: sorted") == 1
			})
		})
	}
}

// TestVacation: rows 56 and 239, with Debian's vacation: one answer for each sender, by our
// sendmail, and none where the user is not named.
func TestVacation(t *testing.T) {
	Need(t, "vacation")
	h := newHamlet(t, "")
	h.write(t, ".forward", `\jdoe, "|/usr/bin/vacation -a john.doe jdoe"`+"\n")
	h.write(t, ".vacation.msg", "From: John Doe <jdoe@example.org>\nSubject: away\n\nI am not here.\n")
	as := append(h.into, "setpriv", "--reuid", fmt.Sprint(hamletUID), "--regid", fmt.Sprint(hamletUID), "--clear-groups", "env", "HOME="+h.home)
	vacation := func(option string) string { return Run(t, "", as[0], append(as[1:], "/usr/bin/vacation", option)...) }
	vacation("-i")
	for i := range 2 {
		h.send(t, "alice@example.org", "jdoe@example.org", fmt.Sprintf("question %d", i))
		WaitUntil(t, "a copy is in the mailbox", func() bool { return h.letters("Maildir/new", fmt.Sprintf("question %d", i)) == 1 })
	}
	WaitLetter(t, h.Addr("imap"), "alice@example.org", "I am not here.")
	WaitUntil(t, "the queue is empty", func() bool { n, err := h.Queued(); return err == nil && n == 0 })
	answers, _ := filepath.Glob(h.Maildir("alice@example.org") + "/*/*")
	n := 0
	for _, f := range answers {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), "Subject: away") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("alice has %d answers", n)
	}
	if told := vacation("-l"); !strings.Contains(told, "alice@example.org") {
		t.Errorf("vacation -l: %q", told)
	}
}
