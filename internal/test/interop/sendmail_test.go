package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/internal/test/sim"
)

// localPost is a server with the service "local", and a link by the name of sendmail
// that everybody may run.
func localPost(t *testing.T, config string) (f *Facteur, sendmail string) {
	t.Helper()
	f = NewFacteur(t, Setup{Accounts: []string{alice}, Services: []string{"smtp", "imap", local}, Config: config})
	f.Start()
	program, err := os.ReadFile(Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(Room(t), "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeProgram(t, filepath.Join(dir, "facteur"), program)
	for _, name := range []string{"sendmail", "mailq"} {
		if err := os.Symlink("facteur", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return f, filepath.Join(dir, "sendmail")
}

// writeProgram writes a file to be executed. Meanwhile no other test forks: its child would
// have the file open for writing until it executes something itself, and whoever runs the
// program before that is told "Text file busy".
func writeProgram(t *testing.T, path string, program []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, program, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

func socketOf(f *Facteur) []string { return []string{"FACTEUR_SENDMAIL_SOCKET=" + f.Socket()} }

// mutt sends through the command, as it does through Postfix's.
func TestMuttSends(t *testing.T) {
	t.Parallel()
	mutt := Need(t, "mutt")
	f, sendmail := localPost(t, "")
	home := t.TempDir()
	rc := WriteFile(t, filepath.Join(home, "rc"), fmt.Sprintf("set sendmail=%q\nset from=\"bob@example.org\" realname=\"Böb\"\nset use_envelope_from=yes envelope_from_address=bob@example.org\nset copy=no charset=utf-8\n",
		sendmail+" -oem -oi"))
	env := append(socketOf(f), "HOME="+home, "TERM=dumb")
	if out, err := TryRunEnv(t, env, "id from-mutt\n.\nGrüße\n", mutt, "-F", rc, "-s", "Grüße", "-b", "nobody@example.org", alice); err == nil {
		t.Errorf("a recipient that does not exist was accepted: %s", out)
	}
	if out, err := TryRunEnv(t, env, "id from-mutt\n.\nGrüße\n", mutt, "-F", rc, "-s", "Grüße", alice); err != nil {
		t.Fatalf("mutt: %v\n%s", err, out)
	}
	letter := WaitLetter(t, f.Addr("imap"), alice, "id from-mutt")
	for _, want := range []string{"Return-Path: <bob@example.org>", "\r\n.\r\nGr", "from userid "} {
		if !strings.Contains(string(letter), want) {
			t.Errorf("no %q in\n%s", want, letter)
		}
	}
}

// LOC-012: what a local user can do to the command, he does to himself.
func TestLOC012HostileCaller(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	f, sendmail := localPost(t, "")
	as := func(uid uint32, script string) (string, int) {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Dir, cmd.Env = "/", append(socketOf(f), "SENDMAIL="+sendmail, "PATH=/usr/bin:/bin", "HOME=/")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	letter := "printf 'Subject: x\\n\\nid %s\\n' | "
	out, code := as(12345, fmt.Sprintf(letter, "whose")+"$SENDMAIL "+alice)
	if code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	got := string(WaitLetter(t, f.Addr("imap"), alice, "id whose"))
	if !strings.Contains(got, "from userid 12345") || !strings.Contains(got, "Return-Path: <uid12345@") {
		t.Errorf("whose letter is it?\n%s", got)
	}
	for name, c := range map[string]struct {
		script string
		codes  []int
	}{
		"closed input":     {"$SENDMAIL " + alice + " <&-", []int{0, 74}},
		"all closed":       {"$SENDMAIL " + alice + " <&- >&- 2>&-", []int{0, 74}},
		"full output":      {fmt.Sprintf(letter, "full") + "$SENDMAIL -v " + alice + " >/dev/full", []int{0}},
		"no files":         {"ulimit -n 4; " + fmt.Sprintf(letter, "files") + "$SENDMAIL " + alice, []int{0, 2, 75}},
		"no file size":     {"ulimit -f 0; head -c 3000000 /dev/zero | $SENDMAIL -i " + alice, []int{75}},
		"too large":        {"head -c 70000000 /dev/zero | $SENDMAIL -i " + alice, []int{65}},
		"newline":          {"echo | $SENDMAIL 'a@b\nRCPT TO:<c@d>'", []int{65}},
		"forged option":    {"echo | $SENDMAIL -C/etc/shadow " + alice, []int{64}},
		"log of a victim":  {"echo | $SENDMAIL -X/etc/passwd " + alice, []int{64}},
		"the queue":        {"exec -a mailq ${SENDMAIL%sendmail}mailq 2>&1 || exit $?", []int{69, 77, 127}},
		"unknown option":   {"echo | $SENDMAIL -Z " + alice, []int{64}},
		"nobody":           {"echo | $SENDMAIL nobody@example.org", []int{67}},
		"somebody's relay": {"echo | $SENDMAIL -f '<>' -- -x@example.org", []int{67}},
	} {
		out, code := as(12345, c.script)
		if !slices.Contains(c.codes, code) {
			t.Errorf("%s: exit %d, want one of %v\n%s", name, code, c.codes, out)
		}
	}
	if out, code := as(12345, fmt.Sprintf(letter, "after")+"$SENDMAIL "+alice); code != 0 {
		t.Errorf("after all that: %d, %s", code, out)
	}
	WaitLetter(t, f.Addr("imap"), alice, "id after")
}

// The exit code and the queue agree, whenever the command is killed: 0 means that the
// letter is there, once, and a killed command has handed over all of it or nothing.
func TestSendmailKilled(t *testing.T) {
	t.Parallel()
	f, sendmail := localPost(t, "")
	random := rand.New(rand.NewPCG(7, 7))
	count := 60
	if testing.Short() {
		count = 15
	}
	accepted := map[string]bool{}
	for i := range count {
		id := fmt.Sprintf("killed-%03d", i)
		accepted[id] = sendOrDie(t, f, sendmail, id, time.Duration(random.IntN(25_000))*time.Microsecond, i%3 == 0)
	}
	f.Command("", "queue", "retry", "--all")
	bodies := map[string]int{}
	for deadline := time.Now().Add(StartWait); ; time.Sleep(100 * time.Millisecond) {
		clear(bodies)
		for _, body := range DialIMAP(t, f.Addr("imap"), alice).Bodies("INBOX") {
			if m := regexp.MustCompile(`(?s)id (killed-\d+)\r\n.*the end\r\n$`).FindSubmatch(body); m != nil {
				bodies[string(m[1])]++
			} else {
				t.Fatalf("half a letter:\n%.300s", body)
			}
		}
		if n, err := f.Queued(); err == nil && n == 0 || time.Now().After(deadline) {
			break
		}
	}
	told := 0
	for id, yes := range accepted {
		if yes {
			told++
		}
		if n := bodies[id]; n > 1 || yes && n != 1 {
			t.Errorf("%s: accepted %v, %d copies", id, yes, n)
		}
	}
	t.Logf("%d of %d were told yes, %d arrived", told, count, len(bodies))
}

// sendOrDie runs the command and kills it after a while, if asked while its input is
// still open. It tells whether the command exited with 0.
func sendOrDie(t *testing.T, f *Facteur, sendmail, id string, after time.Duration, halfway bool) bool {
	t.Helper()
	cmd := exec.Command(sendmail, "-i", alice)
	cmd.Env = append(os.Environ(), socketOf(f)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text := "Subject: x\n\nid " + id + "\n" + strings.Repeat("some text\n", 2000)
	time.AfterFunc(after, func() { cmd.Process.Kill() })
	io.WriteString(in, text)
	if !halfway {
		io.WriteString(in, "the end\n")
		in.Close()
	}
	return cmd.Wait() == nil
}

// INV-25, OPS-004: of everything that a client was told, the journeys know; and each
// recipient of what was accepted has exactly one end.
func TestINV25JourneysAgreeWithClients(t *testing.T) {
	t.Parallel()
	world, err := sim.StartWorld("127.0.0.1:0", "127.0.0.1:0", sim.DemoBehaviours(), sim.DemoZone(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	f, _ := localPost(t, fmt.Sprintf("[outbound]\nport = %d\nallow_private = true\n[dns]\nservers = [%q]\n", world.Port(), world.DNS.Addr()))
	var mu sync.Mutex
	accepted, refused := map[string]bool{}, map[string]bool{} // queue ids; addresses
	var clients sync.WaitGroup
	for g := range 4 {
		clients.Go(func() {
			for i := range 25 {
				ok, bad := fmt.Sprintf("ok%d-%d@accept.example", g, i), fmt.Sprintf("nobody%d-%d@example.org", g, i)
				id, err := handOver(f.Addr("smtp"), ok, alice, "gone@reject.example", bad)
				mu.Lock()
				if err != nil {
					t.Error(err)
				}
				accepted[id], refused[bad] = true, true
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	for deadline := time.Now().Add(LongWait); ; time.Sleep(100 * time.Millisecond) {
		if n, err := f.Queued(); err == nil && n == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d still in the queue, %v", n, err)
		}
	}
	f.Stop()
	j := readJourneys(t, f)
	for id := range accepted {
		if len(j.expected[id]) != 3 {
			t.Errorf("%s was accepted for %v", id, j.expected[id])
		}
	}
	for id, to := range j.expected {
		for _, recipient := range to {
			if n := j.ends[id+" "+recipient]; n != 1 {
				t.Errorf("%s to %s has %d ends", id, recipient, n)
			}
		}
	}
	if len(j.ends) != 3*100+len(j.notices) || len(j.notices) == 0 {
		t.Errorf("%d ends, %d notices", len(j.ends), len(j.notices))
	}
	for id := range j.notices {
		if n := j.ends[id+" "+alice]; n != 1 {
			t.Errorf("notice %s has %d ends", id, n)
		}
	}
	for address := range refused {
		if j.refused[address] != 1 {
			t.Errorf("%s was refused %d times", address, j.refused[address])
		}
	}
}

var queuedAs = regexp.MustCompile(`queued as ([0-9A-F]+)`)

// handOver sends a letter from alice, the last of whose recipients is refused, and
// gives the queue id that the server named.
func handOver(addr string, to ...string) (id string, err error) {
	c, err := smtp.Dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Mail(alice); err != nil {
		return "", err
	}
	for i, a := range to {
		if err := c.Rcpt(a); (err == nil) == (i == len(to)-1) {
			return "", fmt.Errorf("%s: %v", a, err)
		}
	}
	if _, _, err := command354(c); err != nil {
		return "", err
	}
	_, text, err := command250(c, "Subject: x\r\n\r\nhello\r\n.\r\n")
	if m := queuedAs.FindStringSubmatch(text); m != nil {
		return m[1], err
	}
	return "", fmt.Errorf("no queue id in %q, %v", text, err)
}

func command354(c *smtp.Client) (int, string, error) {
	if _, err := c.Text.Cmd("DATA"); err != nil {
		return 0, "", err
	}
	return c.Text.ReadResponse(354)
}

func command250(c *smtp.Client, data string) (int, string, error) {
	if _, err := io.WriteString(c.Text.W, data); err != nil {
		return 0, "", err
	}
	if err := c.Text.W.Flush(); err != nil {
		return 0, "", err
	}
	return c.Text.ReadResponse(250)
}

// journeys is what the files of a server say.
type journeys struct {
	expected map[string][]string // recipients of an accepted item
	ends     map[string]int      // final steps of "item recipient"
	notices  map[string]bool     // items
	refused  map[string]int      // refusals of an address
}

func readJourneys(t *testing.T, f *Facteur) journeys {
	t.Helper()
	j := journeys{map[string][]string{}, map[string]int{}, map[string]bool{}, map[string]int{}}
	files, err := filepath.Glob(filepath.Join(f.Data(), "journey", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var e struct {
				Item, Related, Kind string
				To                  []string
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			switch e.Kind {
			case "accepted":
				j.expected[e.Item] = append(j.expected[e.Item], e.To...)
			case "delivered", "bounced", "dropped", "discarded":
				j.ends[e.Item+" "+e.To[0]]++
			case "notified":
				j.notices[e.Related] = true
			case "refused":
				j.refused[e.To[0]]++
			}
		}
	}
	return j
}
