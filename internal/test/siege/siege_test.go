package siege

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"facteur/internal/test/interop"
	"facteur/internal/test/ledger"
)

func TestMain(m *testing.M) { interop.Main(m) }

const (
	account = "alice@example.org"
	// besieged is how long each flood lasts.
	besieged = 3 * time.Second
	// What a server with its thousand connections may hold on top of what it holds
	// when it is idle.
	roomForFlood = 160 << 20
)

// open lets strangers in at once: the floods are to reach what lies behind the tests
// before the banner.
const open = "\n[pregreet]\ngreet_wait = \"0s\"\nstress_greet_wait = \"0s\"\n"

// fortress is a server that trusts the control client alone.
type fortress struct {
	*interop.Facteur
	t      *testing.T
	target Target
}

func newFortress(t *testing.T, setup interop.Setup) *fortress {
	t.Helper()
	setup.Accounts = append(setup.Accounts, account)
	setup.Trusted = "127.0.0.1/32"
	if setup.Services == nil {
		setup.Services = []string{"smtp", "submission", "submissions"}
	}
	f := &fortress{Facteur: interop.NewFacteur(t, setup), t: t}
	f.target = Target{SMTP: f.Addr("smtp"), Account: account}
	if len(setup.Services) > 1 {
		f.target.Submission, f.target.Submissions = f.Addr("submission"), f.Addr("submissions")
	}
	return f
}

func (f *fortress) pid() int { return f.Processes()[0] }

func (f *fortress) control() Control { return Control{f.target.SMTP, account} }

// Each flood, for some seconds: the control client is served, what the server
// holds stays bounded, and is given back afterwards.
func TestFloods(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	f := newFortress(t, interop.Setup{Config: open})
	f.Start()
	if err := f.control().Visit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, flood := range Floods() {
		t.Run(flood.ID+" "+flood.Name, func(t *testing.T) {
			idle, peak := Look(f.pid()), Peak(f.pid())
			seen, took, err := f.besiege(t, flood)
			most := peak()
			t.Logf("%v; %v, worst %v a visit; %v", seen, Percentile(took, 50), Percentile(took, 100), most)
			if err != nil {
				t.Error(err)
			}
			if seen.Rounds.Load() < int64(flood.Clients) {
				t.Error("no flood: this test has shown nothing")
			}
			if most.Resident > idle.Resident+roomForFlood {
				t.Errorf("%d MB, from %d", most.Resident>>20, idle.Resident>>20)
			}
			if most.Files > 3*1000+100 { // three listeners
				t.Errorf("%d files are open", most.Files)
			}
			if most.Threads > 200 {
				t.Errorf("%d threads", most.Threads)
			}
			interop.WaitUntil(t, "the flood's connections to be gone", func() bool { return Look(f.pid()).Files <= idle.Files+20 })
		})
	}
	if err := f.control().Letter(t.Context(), "Subject: after the siege\r\n\r\nid survivor\r\n"); err != nil {
		t.Error(err)
	}
	if left := f.goroutines(); left > 100 {
		t.Errorf("%d goroutines are left after the floods", left)
	}
}

// besiege runs a flood and the control client beside it.
func (f *fortress) besiege(t *testing.T, flood Flood) (seen *Seen, took []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), besieged)
	defer cancel()
	var flooding sync.WaitGroup
	flooding.Go(func() { seen = flood.Run(ctx, f.target) })
	took, err = f.control().Visits(ctx, 20*time.Millisecond)
	flooding.Wait()
	return seen, took, err
}

var goroutine = regexp.MustCompile(`(?m)^goroutine \d+ `)

// goroutines ends the server with the signal that makes it print them.
func (f *fortress) goroutines() int {
	f.t.Helper()
	f.Signal(syscall.SIGQUIT)
	interop.WaitUntil(f.t, "the server to end", func() bool { return !f.Running() })
	list := goroutine.FindAllString(f.Log(), -1)
	if len(list) == 0 {
		f.t.Error("no list of goroutines in the log")
	}
	return len(list)
}

// ABU-005: with the tests before the banner, connections of strangers are held for
// some seconds. A flood of them fills what there is for strangers, and no more.
func TestFloodAtTheGate(t *testing.T) {
	t.Parallel()
	f := newFortress(t, interop.Setup{Services: []string{"smtp"}})
	f.Start()
	idle, peak := Look(f.pid()), Peak(f.pid())
	seen, took, err := f.besiege(t, Flood{Clients: 1500, Addresses: 250, PerSecond: 3000, open: arrive, wait: 10 * time.Millisecond, attack: connect, number: 100})
	most := peak()
	t.Logf("%v; %v, worst %v a visit; %v", seen, Percentile(took, 50), Percentile(took, 100), most)
	if err != nil {
		t.Error(err)
	}
	if most.Files > 1100 || most.Resident > idle.Resident+64<<20 {
		t.Errorf("%v, from %v", most, idle)
	}
}

// ABU-001: who guesses recipients is told no each time, and in the end thrown out;
// nobody is let in who is not there.
func TestGuessedRecipients(t *testing.T) {
	t.Parallel()
	f := newFortress(t, interop.Setup{Config: open})
	f.Start()
	c, err := greet(t.Context(), attacker(0, 1), f.target.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.want("MAIL FROM:<guesser@example.net>\r\n", "250"); err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		reply, err := c.say(fmt.Sprintf("RCPT TO:<guess%d@example.org>\r\n", n))
		switch {
		case err != nil:
			t.Fatalf("guess %d: %v", n, err)
		case strings.HasPrefix(reply, "421"):
			t.Logf("thrown out at guess %d: %s", n+1, reply)
			return
		case !strings.HasPrefix(reply, "550 5.1.1") && !strings.HasPrefix(reply, "450") && !strings.HasPrefix(reply, "451"):
			t.Fatalf("guess %d: %s", n, reply)
		}
	}
	t.Error("200 wrong recipients, and the client is still there")
}

// ABU-006: with 256 files for all its work, the server does not spin while
// strangers hold what connections there are, and serves again when they let go.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	f := newFortress(t, interop.Setup{Config: open, Services: []string{"smtp"}})
	f.StartWith(interop.Need(t, "prlimit"), "--nofile=256:256")
	var held []*client
	for n := range 400 {
		c, err := dial(t.Context(), attacker(0, n), f.target.SMTP)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	time.Sleep(time.Second)
	before := interop.CPU(f.pid())
	time.Sleep(2 * time.Second)
	if used := interop.CPU(f.pid()) - before; used > time.Second {
		t.Errorf("%v of processor time in two seconds in which nothing was to be done", used)
	}
	if files := Look(f.pid()).Files; files > 256 {
		t.Errorf("%d files, with a limit of 256", files)
	}
	for _, c := range held {
		c.Close()
	}
	interop.WaitUntil(t, "the server to serve again", func() bool { return f.control().Visit(t.Context()) == nil })
	if err := f.control().Letter(t.Context(), "Subject: there\r\n\r\nid few-files\r\n"); err != nil {
		t.Error(err)
	}
}

// ABU-012: nobody learns from the answer whether an account exists. The times are
// told, not judged: this machine is shared.
func TestUnknownUserLooksKnown(t *testing.T) {
	t.Parallel()
	f := newFortress(t, interop.Setup{Config: open})
	f.Start()
	const nobody = "nobody@example.org"
	var mu sync.Mutex
	took, replies := make(map[string][]time.Duration), make(map[string]string)
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			user := []string{account, nobody}[n%2]
			start := time.Now()
			reply, err := f.tryPassword(fmt.Sprintf("127.0.0.%d", 1+n), user, fmt.Sprint("wrong", n))
			mu.Lock()
			defer mu.Unlock()
			if took[user] = append(took[user], time.Since(start)); err != nil {
				t.Errorf("%s: %v", user, err)
			}
			replies[user] = reply
		})
	}
	clients.Wait()
	if replies[account] != replies[nobody] || !strings.HasPrefix(replies[nobody], "535 ") {
		t.Errorf("two answers: %q", replies)
	}
	t.Logf("known %v, unknown %v", Percentile(took[account], 50), Percentile(took[nobody], 50))
}

// tryPassword tries to log in once.
func (f *fortress) tryPassword(from, user, password string) (reply string, err error) {
	c, err := greet(f.t.Context(), from, f.target.Submission)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.say("AUTH PLAIN " + plain(user, password) + "\r\n")
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// ABU-013: a hundred log-ins at once cost the memory of as many password hashes as
// there are processors; the others wait, or are told to come again.
func TestParallelLogins(t *testing.T) {
	t.Parallel()
	f := newFortress(t, interop.Setup{Config: open, Services: []string{"smtp", "submission", "submissions"}})
	f.Start()
	idle, peak := Look(f.pid()), Peak(f.pid())
	seen := new(Seen)
	var clients sync.WaitGroup
	for n := range 100 {
		clients.Go(func() {
			c, err := greet(t.Context(), attacker(0, n), f.target.Submission)
			if err != nil {
				seen.note("", err)
				return
			}
			defer c.Close()
			seen.note(c.say("AUTH PLAIN " + plain(account, fmt.Sprint("wrong", n)) + "\r\n"))
		})
	}
	clients.Wait()
	most := peak()
	t.Logf("%v; %v", seen, most)
	if bound := idle.Resident + int64(runtime.NumCPU()+1)*(64<<20) + 64<<20; most.Resident > bound {
		t.Errorf("%d MB, bound %d", most.Resident>>20, bound>>20)
	}
	if good := seen.Replies("535") + seen.Replies("454") + seen.Replies("421"); good < 100 {
		t.Errorf("%d of 100 were answered with 535, 454 or 421: %v", good, seen)
	}
	c, err := greet(t.Context(), "127.0.0.1", f.target.Submission)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.want("AUTH PLAIN "+plain(account, interop.Password)+"\r\n", "235"); err != nil {
		t.Errorf("the owner can't log in any more: %v", err)
	}
}

// SMTP-018: a line without end is refused once, and read no further than 64 KiB or
// so; what the kernel holds between us comes on top.
func TestEndlessLine(t *testing.T) {
	t.Parallel()
	f := newFortress(t, interop.Setup{Config: open})
	f.Start()
	for _, greeting := range []string{"", "EHLO client.test\r\n"} {
		c, err := dial(t.Context(), attacker(0, 1), f.target.SMTP)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.want("", "220")
		if greeting != "" {
			if _, err := c.want(greeting, "250"); err != nil {
				t.Fatal(err)
			}
		}
		idle := Look(f.pid())
		sent := 0
		c.SetDeadline(time.Now().Add(patience))
		block := bytes.Repeat([]byte("x"), 64<<10)
		for sent < 256<<20 && err == nil {
			var n int
			n, err = c.Write(block)
			sent += n
		}
		rest, _ := io.ReadAll(c.r)
		t.Logf("after %d KB: %q", sent>>10, rest)
		if sent >= 256<<20 {
			t.Error("256 MB in one line, and the server reads on")
		}
		if strings.Count(string(rest), "500 ") > 1 {
			t.Errorf("more than one answer: %q", rest)
		}
		if now := Look(f.pid()); now.Resident > idle.Resident+32<<20 {
			t.Errorf("%d MB, from %d", now.Resident>>20, idle.Resident>>20)
		}
	}
}

// SMTP-025: SIZE=1 and then 60 MB: the limit holds while it is read, on the disk and
// in memory, and the answer comes after the end.
func TestLargerThanDeclared(t *testing.T) {
	t.Parallel()
	const limit = 50 << 20
	f := newFortress(t, interop.Setup{Config: open, Services: []string{"smtp"}})
	f.Start()
	idle, peak, before := Look(f.pid()), Peak(f.pid()), stored(t, f.Data())
	c, err := greet(t.Context(), attacker(0, 1), f.target.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct{ command, reply string }{
		{"MAIL FROM:<bob@example.net> SIZE=1", "250"}, {"RCPT TO:<" + account + ">", "250"}, {"DATA", "354"},
	} {
		if _, err := c.want(step.command+"\r\n", step.reply); err != nil {
			t.Fatal(err)
		}
	}
	most := int64(0)
	block := strings.Repeat(line, 1024)
	for sent := 0; sent < largeLetter; sent += len(block) {
		c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write([]byte(block)); err != nil {
			t.Fatal(err)
		}
		most = max(most, stored(t, f.Data())-before)
	}
	if _, err := c.want(".\r\n", "552 5.3.4"); err != nil {
		t.Error(err)
	}
	t.Logf("%d KB on the disk at most", most>>10)
	if most > limit+1<<20 {
		t.Errorf("%d bytes were on the disk, with a limit of %d", most, limit)
	}
	if got := peak(); got.Resident > idle.Resident+64<<20 {
		t.Errorf("%d MB, from %d", got.Resident>>20, idle.Resident>>20)
	}
	if left := stored(t, f.Data()) - before; left > 1<<20 {
		t.Errorf("%d bytes are left of a letter that was refused", left)
	}
	if _, err := c.want("NOOP\r\n", "250"); err != nil {
		t.Errorf("the session does not go on: %v", err)
	}
}

// stored is how much lies in a directory. Files come and go meanwhile.
func stored(t *testing.T, dir string) (sum int64) {
	t.Helper()
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// SMTP-030: of 1500 recipients the first 1000 are taken and get the letter; who
// goes on to 3000 is thrown out.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	sink, err := ledger.NewSink(ledger.SinkPolicy{})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	f := newFortress(t, interop.Setup{Config: open, Services: []string{"smtp"}, Smarthost: sink.Addr()})
	f.Start()
	idle, peak := Look(f.pid()), Peak(f.pid())
	c, accepted, refused := name(t, f, 1500)
	if accepted != 1000 || refused != 500 {
		t.Errorf("of 1500 recipients %d were taken and %d were too many", accepted, refused)
	}
	letter := ledger.Letter{ID: "many", From: account, Size: 2000}
	if _, err := c.want("DATA\r\n", "354"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.want(strings.ReplaceAll(string(letter.Bytes()), "\r\n.", "\r\n..")+".\r\n", "250"); err != nil {
		t.Fatal(err)
	}
	interop.WaitUntil(t, "1000 copies", func() bool { return len(sink.Copies()) == 1000 })
	if c, accepted, _ = name(t, f, 3000); accepted != 1000 {
		t.Errorf("of 3000 recipients %d were taken", accepted)
	}
	if reply, err := c.say("NOOP\r\n"); err == nil && !strings.HasPrefix(reply, "421") {
		t.Errorf("after 2000 recipients too many: %s", reply)
	}
	if got := peak(); got.Resident > idle.Resident+64<<20 {
		t.Errorf("%d MB, from %d", got.Resident>>20, idle.Resident>>20)
	}
}

// name gives recipients until all are named or the server has enough.
func name(t *testing.T, f *fortress, count int) (c *client, accepted, refused int) {
	t.Helper()
	c, err := greet(t.Context(), "127.0.0.1", f.target.SMTP)
	if err == nil {
		_, err = c.want("MAIL FROM:<"+account+">\r\n", "250")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for n := range count {
		reply, err := c.say(fmt.Sprintf("RCPT TO:<r%d@remote.test>\r\n", n))
		switch {
		case err != nil || strings.HasPrefix(reply, "421"):
			return c, accepted, refused
		case strings.HasPrefix(reply, "250"):
			accepted++
		case strings.HasPrefix(reply, "452 4.5.3"):
			refused++
		default:
			t.Fatalf("recipient %d: %s", n, reply)
		}
	}
	return c, accepted, refused
}
