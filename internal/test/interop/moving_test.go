package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// many is how many letters the import of everyday has; FACTEUR_MANY makes it more.
func many(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("FACTEUR_MANY")); err == nil {
		return n
	}
	if testing.Short() {
		return 300
	}
	return 10_000
}

// planted writes letters into a Maildir as another program would.
func planted(t *testing.T, dir string, count int) {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for n := range count {
		name := fmt.Sprintf("%d.P%d.host:2,%s", 1_500_000_000+n, n, []string{"", "S", "FS"}[n%3])
		WriteFile(t, filepath.Join(dir, "cur", name), PlantedLetter(n, 300))
	}
}

// An account of a Dovecot comes over IMAP: UIDVALIDITY, UIDs, flags, keywords, dates,
// subscriptions and special uses; the import is killed again and again, and nothing is
// lost and nothing comes twice. Then it goes from facteur to facteur, and out to a
// Maildir that Dovecot reads.
func TestImportIMAP(t *testing.T) {
	const bob = "bob@example.org"
	t.Parallel()
	root := Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecot(t, root)
	count := many(t)
	planted(t, mailboxPath(root, alice), count)
	chownTree(t, root)
	dovecot.Start()
	c := DialIMAP(t, dovecot.Addr(), alice)
	for _, name := range []string{"Projects", "Later", "Projects.Gr&APYA3w-er"} {
		c.Do("CREATE %q", strings.ReplaceAll(name, ".", separatorOf(c)))
	}
	c.Do("SUBSCRIBE Projects")
	c.Do("SUBSCRIBE INBOX") // which an account here is from the start
	for n := 1; n <= 20; n++ {
		appendLetter(c, "Projects", n, []string{"Work", `\Seen $Forwarded`}[n%2])
	}
	c.Do("SELECT Projects")
	c.Do(`STORE 2,3 +FLAGS.SILENT (\Deleted)`)
	c.Do("EXPUNGE")
	last := lastValidity(t, c, "INBOX", "Projects", "Later", strings.ReplaceAll("Projects.Gr&APYA3w-er", ".", separatorOf(c)))
	c.Do("LOGOUT")

	// An account here gives UIDVALIDITYs from the second on in which it is first opened:
	// those of mailboxes that were made in that second can't be kept.
	for time.Now().Unix() <= last {
		time.Sleep(50 * time.Millisecond)
	}
	facteur := NewFacteur(t, Setup{Accounts: []string{alice, bob}})
	facteur.Start()
	arguments := func(from, to string) []string {
		return []string{"import", "imap", from, alice, to, "--no-tls", "--password-stdin"}
	}
	start := time.Now()
	for try := range 3 {
		killed(t, facteur, time.Duration(100+150*try)*time.Millisecond, arguments(dovecot.Addr(), alice)...)
		if try == 1 {
			facteur.Kill()
			facteur.Start()
		}
	}
	out := facteur.Command(Password+"\n", arguments(dovecot.Addr(), alice)...)
	t.Logf("%d letters in %s: %s", count, time.Since(start).Round(time.Millisecond), out)
	if want, got := everythingTold(t, dovecot.Addr()), everythingTold(t, facteur.Addr("imap")); got != want {
		t.Errorf("facteur tells\n%.2000s\nand Dovecot told\n%.2000s", got, want)
	}
	again := facteur.Command(Password+"\n", arguments(dovecot.Addr(), alice)...)
	if !strings.Contains(again, fmt.Sprintf("(%d came before)", count+18)) {
		t.Error("a second run:", again)
	}

	// facteur is a source as any other.
	facteur.Command(Password+"\n", arguments(facteur.Addr("imap"), bob)...)
	status := facteur.Command("", "mailbox", "status", bob)
	if !strings.Contains(strings.Join(strings.Fields(status), " "), fmt.Sprintf("INBOX %d %d", count, (count+2)/3)) || !strings.Contains(status, "Projects/Größer") {
		t.Error(status)
	}
	if count > 300 {
		return
	}
	want := everythingTold(t, facteur.Addr("imap"))
	dovecot.Stop()
	theirs := mailboxPath(root, alice)
	os.RemoveAll(theirs)
	facteur.Command("", "export", "maildir", alice, theirs)
	chownTree(t, root)
	dovecot.Start()
	if got := everythingTold(t, dovecot.Addr()); got != want {
		t.Errorf("after the export Dovecot tells\n%.2000s\nand facteur told\n%.2000s", got, want)
	}
	file := filepath.Join(t.TempDir(), "mbox")
	facteur.Command("", "export", "mbox", alice, file, "--mailbox", "Projects")
	facteur.Command("", "import", "mbox", file, bob, "--mailbox", "From/mbox")
	if out := facteur.Command("", "mailbox", "status", bob, "--json"); !strings.Contains(out, `"From/mbox","exists":true,"subscribed":false,"messages":18,"unseen":9`) {
		t.Error(out)
	}
}

// lastValidity is the highest UIDVALIDITY of mailboxes.
func lastValidity(t *testing.T, c *IMAP, mailboxes ...string) (last int64) {
	t.Helper()
	for _, name := range mailboxes {
		_, number, _ := strings.Cut(strings.Join(c.Do("STATUS %q (UIDVALIDITY)", name).Lines, ""), "(UIDVALIDITY ")
		number, _, _ = strings.Cut(number, ")")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, v)
	}
	return last
}

// separatorOf is what stands between levels.
func separatorOf(c *IMAP) string {
	line := strings.Join(c.Do(`LIST "" ""`).Lines, "")
	_, rest, _ := strings.Cut(line, ") \"")
	return rest[:1]
}

// killed runs a command and kills it after a while.
func killed(t *testing.T, f *Facteur, after time.Duration, args ...string) {
	t.Helper()
	cmd := exec.Command(f.bin, append(args, "-c", f.Config())...)
	cmd.Stdin = strings.NewReader(Password + "\n")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	cmd.Wait()
	timer.Stop()
}

// A backup that is made while mail comes has every letter that was accepted before it
// began, in a mailbox or in the queue: whatever is delivered or accepted meanwhile.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	facteur := NewFacteur(t, Setup{Accounts: []string{alice}})
	facteur.Start()
	accepted := make(chan string, 100_000)
	stop := make(chan struct{})
	for worker := range 4 {
		go pour(facteur.Addr("smtp"), worker, stop, accepted)
	}
	defer close(stop)
	var known []string
	dir, previous := t.TempDir(), ""
	for round := range 3 {
		time.Sleep(500 * time.Millisecond)
		for len(accepted) > 0 {
			known = append(known, <-accepted)
		}
		to := filepath.Join(dir, strconv.Itoa(round))
		args := []string{"backup", to}
		if previous != "" {
			args = append(args, "--since", previous)
		}
		facteur.Command("", args...)
		facteur.Command("", "backup", "verify", to)
		previous = to
		there := subjectsIn(t, facteur, to)
		for _, s := range known {
			if !there[s] {
				t.Fatalf("backup %d: letter %s was accepted before, and is in neither queue nor mailbox", round, s)
			}
		}
	}
	if len(known) < 20 {
		t.Errorf("only %d letters", len(known))
	}
}

// subjectsIn restores a backup, and reads the subjects of all letters and of the queue.
func subjectsIn(t *testing.T, f *Facteur, from string) map[string]bool {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	f.Command("", "restore", from, "--data", data)
	there := map[string]bool{}
	err := filepath.WalkDir(data, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(path, "/mail/") && !strings.HasSuffix(path, "queue.db") && !strings.Contains(path, "/queue/") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, part := range bytes.Split(text, []byte("Subject: load-"))[1:] {
			word, _, _ := bytes.Cut(part, []byte("."))
			there[string(word)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// pour sends letters and tells of those that were accepted.
func pour(addr string, worker int, stop chan struct{}, accepted chan string) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		name := fmt.Sprintf("%d-%d", worker, n)
		if pourOne(addr, name) == nil {
			accepted <- name
		}
	}
}

func pourOne(addr, name string) error {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 4096)
	for _, line := range []string{"", "HELO client.example.com\r\n", "MAIL FROM:<a@example.com>\r\n", "RCPT TO:<" + alice + ">\r\n", "DATA\r\n",
		"From: a@example.com\r\nSubject: load-" + name + ".\r\n\r\nx\r\n.\r\n"} {
		if _, err := conn.Write([]byte(line)); err != nil {
			return err
		}
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		if !slices.Contains([]byte("23"), buf[0]) {
			return fmt.Errorf("%s", buf[:n])
		}
	}
	return nil
}

// TestRestoredUIDs: who restores an older state goes on with the same UIDVALIDITY, and no
// UID that was given after the backup is given to another letter (INV-10).
func TestRestoredUIDs(t *testing.T) {
	t.Parallel()
	facteur := NewFacteur(t, Setup{Accounts: []string{alice}})
	facteur.Start()
	put := func(from, to int) {
		c := DialIMAP(t, facteur.Addr("imap"), alice)
		defer c.conn.Close()
		for n := from; n < to; n++ {
			appendLetter(c, "INBOX", n, "Work")
		}
	}
	put(1, 4)
	to := filepath.Join(t.TempDir(), "b.tar.gz")
	facteur.Command("", "backup", to)
	put(4, 8)
	validity, before := told(t, facteur.Addr("imap"), "INBOX")
	facteur.Stop()
	if out, err := facteur.TryCommand("", "restore", to); err == nil || !strings.Contains(out, "--force") {
		t.Error("over what is there:", out)
	}
	facteur.Command("", "restore", to, "--force")
	facteur.Start()
	put(20, 21)
	now, after := told(t, facteur.Addr("imap"), "INBOX")
	if now != validity || len(after) != 4 || !slices.Equal(after[:3], before[:3]) {
		t.Errorf("%s %q; before %s %q", now, after, validity, before)
	}
	for _, line := range before {
		uid, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(after[3], uid+" ") {
			t.Errorf("UID %s was given twice", uid)
		}
	}
}
