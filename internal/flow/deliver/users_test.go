package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/intake"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/helper"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

// The helpers are this test program.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		os.Exit(helper.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// hamlet is Unix users that this machine does not have.
type hamlet struct {
	*corridor
	homes    string
	rules    helper.Rules
	staff    *helper.Staff
	settings atomic.Pointer[Users]
	people   map[string]*directory.Unix
	domains  []string
	heard    heard
}

// heard is what the log would have.
type heard struct {
	mu    sync.Mutex
	lines []string
}

// Emit implements event.Sink.
func (h *heard) Emit(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := e.(type) {
	case Tried:
		h.lines = append(h.lines, fmt.Sprintf("to=<%s> dsn=%s status=%s (%s)", e.Recipient.Address, e.Status, e.Result, e.Text))
	case Trouble:
		h.lines = append(h.lines, fmt.Sprintf("%s: %v", e.What, e.Err))
	}
}

func (h *heard) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.lines, func(l string) bool { return strings.Contains(l, text) })
}

// hears waits for it: what became of a letter is told after it has left the queue.
func (h *heard) hears(text string) bool {
	for range 1000 {
		if h.has(text) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// unixSource is the directory of the hamlet.
type unixSource struct{ v *hamlet }

func (s unixSource) Account(_ context.Context, a address.Address) lookup.Answer[directory.Record] {
	name, _, _ := strings.Cut(a.Local, "+")
	if u := s.v.people[name]; u != nil && slices.Contains(s.v.domains, a.Domain) {
		return lookup.Yes(directory.Record{Address: address.Address{Local: name, Domain: a.Domain}, Unix: u, Home: u.Home, Maildir: u.Home + "/Maildir"})
	}
	return lookup.No[directory.Record](errors.New("no such user"))
}

func (s unixSource) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.Account(ctx, a)
}

func (unixSource) Domain(context.Context, string) lookup.Answer[directory.Domain] {
	return lookup.No[directory.Domain](errors.New("none"))
}

func (unixSource) List(context.Context, func(directory.Record) error) error { return nil }
func (unixSource) Close() error                                             { return nil }

// firstUID is a number that no machine gives.
const firstUID = 61300

func settle(t *testing.T, names ...string) *hamlet {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become other users")
	}
	v := &hamlet{corridor: newCorridor(t), people: make(map[string]*directory.Unix), domains: []string{"example.org"}}
	var err error
	v.homes, err = os.MkdirTemp("", "facteur-homes-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(v.homes) })
	check(t, os.Chmod(v.homes, 0o755))
	v.rules = helper.Rules{MinUID: 1000, Passwd: v.homes + "/passwd", Group: v.homes + "/group"}
	for i, name := range names {
		u := &directory.Unix{Name: name, UID: firstUID + uint32(i), GID: firstUID + uint32(i), Home: v.homes + "/" + name}
		v.people[name] = u
		check(t, os.Mkdir(u.Home, 0o700))
		check(t, os.Chown(u.Home, int(u.UID), int(u.GID)))
	}
	v.register()
	v.staff = helper.New(helper.Settings{Rules: v.rules, Patience: 3 * time.Second})
	t.Cleanup(v.staff.Close)
	v.settings.Store(&Users{Forward: true, Delimiters: "+", DefaultUser: "nobody", Commands: true, Files: true})
	v.accounts.Attach([]directory.Place{{Name: "users", Kind: "unix", Source: unixSource{v}, Domains: []string{"example.org"}, UnixUsers: true, MinUID: 1000}})
	v.events = &v.heard
	v.extend = func(h *House) {
		h.Homes, h.Expand, h.Users = v.staff, v.router.Expand, func() Users { return *v.settings.Load() }
	}
	return v
}

func (v *hamlet) register() {
	var b strings.Builder
	for _, u := range v.people {
		fmt.Fprintf(&b, "%s:x:%d:%d::%s:/bin/sh\n", u.Name, u.UID, u.GID, u.Home)
	}
	check(v.t, os.WriteFile(v.rules.Passwd, []byte(b.String()), 0o644))
}

// write makes a file of a user's.
func (v *hamlet) write(name, file, text string, mode os.FileMode) {
	v.t.Helper()
	u := v.people[name]
	path := filepath.Join(u.Home, file)
	check(v.t, os.WriteFile(path, []byte(text), 0o600))
	check(v.t, os.Chmod(path, mode))
	check(v.t, os.Chown(path, int(u.UID), int(u.GID)))
}

// inbox is what is in somebody's ~/Maildir.
func (v *hamlet) inbox(name string) (out []string) {
	files, _ := filepath.Glob(filepath.Join(v.homes, name, "Maildir", "new", "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		check(v.t, err)
		out = append(out, string(b))
	}
	return out
}

func (v *hamlet) awaitEmpty() {
	v.t.Helper()
	defer func() {
		if v.t.Failed() {
			v.t.Log(v.heard.all())
		}
	}()
	v.await("the queue is empty", v.empty)
}

func (v *hamlet) read(name, file string) string {
	b, _ := os.ReadFile(filepath.Join(v.people[name].Home, file))
	return string(b)
}

// TestUnixMaildir: row 234, the Maildir in the home directory; and its way back by
// kill -9 of the helpers while many letters land.
func TestUnixMaildir(t *testing.T) {
	v := settle(t, "jdoe", "eve")
	v.run()
	v.post("", "s@elsewhere.example", letterText, "jdoe@example.org", "alice@example.org")
	v.post("", "s@elsewhere.example", letterText, "jdoe+lists@example.org")
	v.awaitEmpty()
	got := v.inbox("jdoe")
	if len(got) != 2 || !strings.HasSuffix(got[0], letterText) || !strings.HasPrefix(got[0], "Return-Path: <s@elsewhere.example>\r\nDelivered-To: jdoe") || len(v.letters("alice")) != 1 {
		t.Fatalf("%q", got)
	}
	entries, err := filepath.Glob(v.homes + "/jdoe/Maildir/new/*")
	check(t, err)
	st, err := os.Stat(entries[0])
	check(t, err)
	if s := st.Sys().(*syscall.Stat_t); s.Uid != firstUID || st.Mode().Perm() != 0o600 {
		t.Errorf("the letter belongs to %d, mode %v", s.Uid, st.Mode())
	}
	if err := os.WriteFile(v.homes+"/jdoe/Maildir/cur/x", nil, 0o600); err != nil {
		t.Error(err)
	}
	// The ledger: helpers die, and what was accepted is there once.
	done := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
				killHelpers(v.homes)
			}
		}
	})
	const letters = 150
	for i := range letters {
		v.post("", "s@elsewhere.example", fmt.Sprintf("Subject: n%d.\r\n\r\nx\r\n", i), "eve@example.org")
	}
	v.await("most have landed", func() bool { return len(v.inbox("eve")) > letters/2 })
	close(done)
	killer.Wait()
	defer func() {
		if t.Failed() {
			t.Log(v.heard.all())
		}
	}()
	v.await("the queue is empty", func() bool { v.queue.Flush(context.Background(), ""); return v.empty() })
	all := v.inbox("eve")
	for i := range letters {
		n := 0
		for _, l := range all {
			n += strings.Count(l, fmt.Sprintf("Subject: n%d.", i))
		}
		if n != 1 {
			t.Errorf("letter %d is there %d times", i, n)
		}
	}
	left, _ := filepath.Glob(v.homes + "/eve/Maildir/tmp/*")
	if len(left) > 0 {
		t.Errorf("%d files in tmp", len(left))
	}
}

// killHelpers kills the processes for files below a directory.
func killHelpers(dir string) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		line, _ := os.ReadFile(p)
		if s := string(line); strings.Contains(s, "\x00helper\x00files\x00"+dir) {
			var pid int
			if _, err := fmt.Sscanf(p, "/proc/%d/", &pid); err == nil && pid != os.Getpid() {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}

// TestForward: rows 54, 55 and 56, ~/.forward as the texts have it.
func TestForward(t *testing.T) {
	v := settle(t, "jdoe", "foo", "eve", "a", "b")
	v.settings.Load().Limit = 20 * time.Second
	v.run()
	send := func(to string) queue.ID { return v.post("", "s@elsewhere.example", letterText, to) }
	t.Run("row 55 to another address", func(t *testing.T) {
		v.write("jdoe", ".forward", "# away\nalice@example.org\n", 0o644)
		send("jdoe@example.org")
		v.awaitEmpty()
		if len(v.inbox("jdoe")) != 0 || len(v.letters("alice")) != 1 || !v.heard.hears("to=<jdoe@example.org> dsn=2.1.5 status=sent (~/.forward: sent on to alice@example.org)") {
			t.Error(v.heard.all())
		}
	})
	t.Run("row 54 a copy, and another machine", func(t *testing.T) {
		v.write("foo", ".forward", "\\foo, x@accept.example\n", 0o644)
		send("foo@example.org")
		v.awaitEmpty()
		if got := v.inbox("foo"); len(got) != 1 || !strings.HasSuffix(got[0], letterText) {
			t.Errorf("%q", got)
		}
		if !v.heard.hears("to=<x@accept.example> dsn=2.0.0 status=sent") {
			t.Error(v.heard.all())
		}
	})
	t.Run("LOOP-002 what leaves says whose it was, and does not leave twice", func(t *testing.T) {
		v.write("foo", ".forward", "z@accept.example\n", 0o644)
		before := len(v.world.Sink.Await(1, 20*time.Second))
		send("foo@example.org")
		v.awaitEmpty()
		got := v.world.Sink.Await(before+1, 20*time.Second)
		if len(got) != before+1 {
			t.Fatalf("%d left", len(got)-before)
		}
		left := string(got[before].Data)
		if !strings.HasPrefix(left, "Delivered-To: foo@example.org\r\n") {
			t.Fatalf("%q", left)
		}
		tx, reply := v.desk.Begin(t.Context(), intake.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "test", Protocol: "ESMTP"}, smtp.Mail{Sender: mustParse(t, "s@elsewhere.example")})
		if reply == nil {
			reply = tx.Recipient(t.Context(), smtp.Rcpt{To: mustParse(t, "foo@example.org")})
		}
		if reply != nil {
			t.Fatal(reply)
		}
		if reply = tx.Receive(t.Context(), strings.NewReader(left)); reply == nil {
			_, reply = tx.Commit(t.Context())
		}
		if reply == nil || reply.Code != 554 {
			t.Errorf("it came back, and got %v", reply)
		}
	})
	t.Run("row 56 a program, as the text has it", func(t *testing.T) {
		v.write("jdoe", ".forward", `"| IFS=' ' && exec /bin/sh -c 'cat > got; env > env' || exit 75"`+"\n", 0o644)
		v.post("", `"s;id"@elsewhere.example`, letterText, "jdoe+ext@example.org")
		v.awaitEmpty()
		got, env := v.read("jdoe", "got"), v.read("jdoe", "env")
		if !strings.HasPrefix(got, "From ") || !strings.Contains(got, "\nDelivered-To: jdoe+ext@example.org\n") || !strings.HasSuffix(got, "\n\n.body\n\nend\n") || strings.Contains(got, "\r") {
			t.Errorf("%q", got)
		}
		for _, want := range []string{"HOME=" + v.people["jdoe"].Home, "USER=jdoe", "LOGNAME=jdoe", "SENDER=s_id@elsewhere.example", "RECIPIENT=jdoe+ext@example.org",
			"EXTENSION=ext", "LOCAL=jdoe+ext", "DOMAIN=example.org", "CLIENT_ADDRESS=192.0.2.1"} {
			if !strings.Contains(env, want+"\n") {
				t.Errorf("LOC-009 %s is not in %s", want, env)
			}
		}
	})
	t.Run("row 56 sysexits: 75 is tried again, alone", func(t *testing.T) {
		v.write("jdoe", ".forward", `\jdoe, "|test -e ready && echo taken || exit 75"`+"\n", 0o644)
		before := len(v.inbox("jdoe"))
		send("jdoe@example.org")
		v.await("it is tried", func() bool { return v.heard.has("dsn=4.3.0 status=deferred (temporary failure)") })
		v.write("jdoe", "ready", "", 0o600)
		v.awaitEmpty()
		if n := len(v.inbox("jdoe")) - before; n != 1 || !v.heard.hears("delivered to command: test -e ready && echo taken || exit 75 (taken)") {
			t.Errorf("%d copies\n%s", n, v.heard.all())
		}
	})
	t.Run("77 comes back to the sender", func(t *testing.T) {
		v.write("jdoe", ".forward", `|"exit 77"`, 0o644)
		v.write("jdoe", ".forward", `"|exit 77"`, 0o644)
		v.post("alice@example.org", "alice@example.org", letterText, "jdoe@example.org")
		v.awaitEmpty()
		if !v.heard.hears("dsn=5.7.0 status=bounced (permission denied)") {
			t.Error(v.heard.all())
		}
	})
	t.Run("a file, and nothing", func(t *testing.T) {
		v.write("jdoe", ".forward", v.people["jdoe"].Home+"/mbox, /dev/null\n", 0o644)
		send("jdoe@example.org")
		v.awaitEmpty()
		if got := v.read("jdoe", "mbox"); !strings.HasPrefix(got, "From s@elsewhere.example") || strings.Count(got, "Subject: hello") != 1 {
			t.Errorf("%q", got)
		}
		v.write("jdoe", ".forward", "/dev/null", 0o644)
		send("jdoe@example.org")
		v.awaitEmpty()
	})
	t.Run("not followed: the mailbox", func(t *testing.T) {
		for i, how := range []func(){
			func() { v.write("eve", ".forward", "x@accept.example", 0o666) },
			func() { v.write("eve", ".forward", "x@accept.example", 0o664) },
			func() { v.write("eve", ".forward", "# nothing\n", 0o644) },
			func() { v.write("eve", ".forward", "", 0o644) },
			func() { v.write("eve", ".forward", `"no end`, 0o644) },
			func() { v.write("eve", ".forward", strings.Repeat("x", maxForward+1), 0o644) },
			func() {
				v.write("eve", ".forward", "x@accept.example", 0o644)
				check(t, os.Chown(v.homes+"/eve/.forward", 65000, 65000))
			},
			func() {
				check(t, os.Remove(v.homes+"/eve/.forward"))
				check(t, os.Symlink("/etc/passwd", v.homes+"/eve/.forward"))
			},
			func() {
				check(t, os.Remove(v.homes+"/eve/.forward"))
				check(t, unix.Mkfifo(v.homes+"/eve/.forward", 0o666))
			},
			func() { check(t, os.Remove(v.homes+"/eve/.forward")) },
			func() { v.write("eve", ".forward", ":include:/etc/passwd", 0o644) },
			func() { v.write("eve", ".forward", "eve", 0o644) },
			func() { v.write("eve", ".forward", "EVE@example.org", 0o644) },
		} {
			how()
			send("eve@example.org")
			v.awaitEmpty()
			if n := len(v.inbox("eve")); n != i+1 {
				t.Fatalf("LOC-001 case %d: %d letters\n%s", i, n, v.heard.all())
			}
		}
	})
	t.Run("an extension has a file of its own", func(t *testing.T) {
		v.write("eve", ".forward+lists", "/dev/null", 0o644)
		before := len(v.inbox("eve"))
		send("eve+lists@example.org")
		v.awaitEmpty()
		send(`"eve+../../x"@example.org`)
		v.awaitEmpty()
		if n := len(v.inbox("eve")) - before; n != 1 {
			t.Errorf("%d letters", n)
		}
	})
	t.Run("LOOP-002 two who send to each other", func(t *testing.T) {
		v.write("a", ".forward", "b@example.org", 0o644)
		v.write("b", ".forward", "a@example.org", 0o644)
		v.post("alice@example.org", "alice@example.org", letterText, "a@example.org")
		v.awaitEmpty()
		if !v.heard.hears("dsn=5.4.6 status=") {
			t.Error(v.heard.all())
		}
	})
	t.Run("REL-019 what the sender wants to hear goes along", func(t *testing.T) {
		v.write("jdoe", ".forward", "\\jdoe, bob@example.org, nobody-there@example.org", 0o644)
		tx, reply := v.desk.Begin(t.Context(), intake.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Helo: "test", Protocol: "ESMTPSA", Account: "alice@example.org"}, smtp.Mail{Sender: mustParse(t, "alice@example.org")})
		if reply == nil {
			reply = tx.Recipient(t.Context(), smtp.Rcpt{To: mustParse(t, "jdoe@example.org"), Notify: smtp.NotifySuccess | smtp.NotifyFailure, Original: smtp.Original{Type: "rfc822", Address: "jdoe@example.org"}})
		}
		if reply == nil {
			reply = tx.Receive(t.Context(), strings.NewReader(letterText))
		}
		if reply != nil {
			t.Fatal(reply)
		}
		if _, reply := tx.Commit(t.Context()); reply != nil {
			t.Fatal(reply)
		}
		v.awaitEmpty()
		notices := strings.Join(v.letters("alice"), "\n")
		for _, want := range []string{"Action: delivered", "Action: failed", "Original-Recipient: rfc822; jdoe@example.org"} {
			if !strings.Contains(notices, want) {
				t.Errorf("%q is not in %q", want, notices)
			}
		}
	})
}

// TestForwardIsBounded: LOOP-002, somebody with an account in each of several domains is
// one person, and no letter grows without end.
func TestForwardIsBounded(t *testing.T) {
	v := settle(t, "jdoe", "eve")
	var all, others []string
	for i := range 5 {
		d := fmt.Sprintf("d%d.example", i)
		check(t, v.accounts.AddDomain(t.Context(), d))
		v.domains = append(v.domains, d)
		all, others = append(all, "jdoe@"+d), append(others, "eve@"+d)
	}
	v.accounts.Attach([]directory.Place{{Name: "users", Kind: "unix", Source: unixSource{v}, Domains: v.domains, UnixUsers: true, MinUID: 1000}})
	v.run()
	v.write("jdoe", ".forward", strings.Join(all, "\n"), 0o644)
	v.post("", "s@elsewhere.example", letterText, "jdoe@example.org")
	v.awaitEmpty()
	if n := len(v.inbox("jdoe")); n != 1 {
		t.Errorf("he names himself in five domains: %d copies", n)
	}
	v.write("jdoe", ".forward", strings.Join(others, "\n"), 0o644)
	v.write("eve", ".forward", strings.Join(all, "\n"), 0o644)
	id := v.post("alice@example.org", "alice@example.org", letterText, "jdoe@example.org")
	v.awaitEmpty()
	if n := len(v.inbox("jdoe")) + len(v.inbox("eve")); n != 1 || !v.heard.hears("dsn=5.4.6") {
		t.Errorf("two who name each other in five domains: %d copies", n)
	}
	// Each step has its bound, and all together have one, too.
	x := &letter{attempt: &attempt{item: &queue.Item{ID: id}}}
	u := v.dispatcher().local.users
	if end := u.tooMany(t.Context(), x, queue.ForwardMax+1); end != nil {
		t.Errorf("%+v", end)
	}
	if end := u.tooMany(t.Context(), x, queue.ForwardMax+2); end == nil || end.kind != queue.Failed || end.dsnStatus() != "5.4.6" {
		t.Errorf("%+v", end)
	}
}

// TestMailboxCommand: row 238, delivery by another program.
func TestMailboxCommand(t *testing.T) {
	v := settle(t, "jdoe")
	s := *v.settings.Load()
	s.Command = `cat >> inbox`
	v.settings.Store(&s)
	v.run()
	v.post("", "s@elsewhere.example", letterText, "jdoe@example.org")
	v.awaitEmpty()
	if got := v.read("jdoe", "inbox"); !strings.Contains(got, "Subject: hello") || len(v.inbox("jdoe")) != 0 {
		t.Errorf("%q", got)
	}
}

// TestHomesInTrouble: what is wrong with one home keeps its mail waiting, and nobody
// else's.
func TestHomesInTrouble(t *testing.T) {
	v := settle(t, "jdoe", "missing", "foreign", "open", "linked", "filed", "renamed", "hanging")
	v.schedule.MinimalBackoff, v.schedule.MaximalBackoff = time.Hour, time.Hour
	check(t, os.Remove(v.homes+"/missing"))
	check(t, os.Chown(v.homes+"/foreign", 0, 0))
	check(t, os.Chmod(v.homes+"/open", 0o777))
	check(t, os.Symlink("/tmp", v.homes+"/linked/Maildir"))
	v.write("filed", "Maildir", "From x\n", 0o600)
	renamed := v.people["renamed"]
	delete(v.people, "renamed")
	v.register()
	v.people["renamed"] = renamed
	home := v.staff.Home(helper.User{UID: v.people["hanging"].UID, Name: "hanging", Home: v.people["hanging"].Home})
	if _, err := home.Stat(v.people["hanging"].Home); err != nil {
		t.Fatal(err)
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		line, _ := os.ReadFile(p)
		var pid int
		if _, err := fmt.Sscanf(p, "/proc/%d/", &pid); err == nil && strings.Contains(string(line), "files\x00"+v.people["hanging"].Home) {
			check(t, unix.Kill(pid, unix.SIGSTOP))
		}
	}
	v.run()
	want := map[string]string{
		"missing": "LOC-003 4.2.1", "foreign": "LOC-003 4.2.1", "open": "LOC-003 4.2.1", "linked": "LOC-001 4.2.0",
		"filed": "LOC-006 4.2.0", "renamed": "LOC-010 4.2.1", "hanging": "LOC-005 4.2.1",
	}
	for name := range want {
		v.post("", "s@elsewhere.example", letterText, name+"@example.org")
	}
	for range 5 {
		v.post("", "s@elsewhere.example", letterText, "jdoe@example.org", "alice@example.org")
	}
	v.await("the others have their mail", func() bool { return len(v.inbox("jdoe")) == 5 && len(v.letters("alice")) == 5 })
	for name, how := range want {
		row, dsn, _ := strings.Cut(how, " ")
		v.await(row+" "+name+" is put off", func() bool { return v.heard.has("to=<" + name + "@example.org> dsn=" + dsn + " status=deferred") })
	}
	for _, path := range []string{"missing", "foreign/Maildir", "open/Maildir"} {
		if _, err := os.Lstat(filepath.Join(v.homes, path)); err == nil {
			t.Errorf("LOC-003 %s was made", path)
		}
	}
	if caught, _ := filepath.Glob("/tmp/new/*"); len(caught) > 0 {
		t.Error("LOC-001", caught)
	}
}

// TestFullHome: LOC-004, a file system of a megabyte, full in the middle of a letter: the
// mail waits, tmp is as it was, others go on; once there is room, each letter is there once.
func TestFullHome(t *testing.T) {
	v := settle(t, "jdoe", "eve")
	home := v.people["eve"]
	if err := unix.Mount("none", home.Home, "tmpfs", 0, fmt.Sprintf("size=1m,mode=700,uid=%d,gid=%d", home.UID, home.GID)); err != nil {
		t.Skip("a file system can't be mounted here:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(home.Home, unix.MNT_DETACH) })
	v.write("eve", "ballast", strings.Repeat("x", 600<<10), 0o600)
	v.run()
	for i := range 3 {
		v.post("", "s@elsewhere.example", fmt.Sprintf("Subject: big%d.\r\n\r\n", i)+strings.Repeat("0123456789abcdef\r\n", 15_000), "eve@example.org")
	}
	v.await("LOC-004 one is put off", func() bool { return v.heard.has("to=<eve@example.org> dsn=4.3.1 status=deferred") })
	v.post("", "s@elsewhere.example", letterText, "jdoe@example.org")
	v.await("the other has his mail", func() bool { return len(v.inbox("jdoe")) == 1 })
	if left, _ := filepath.Glob(home.Home + "/Maildir/tmp/*"); len(left) > 0 {
		t.Errorf("LOC-004 %d files stay in tmp", len(left))
	}
	check(t, os.Remove(home.Home+"/ballast"))
	v.await("the queue is empty", func() bool { v.queue.Flush(context.Background(), ""); return v.empty() || len(v.inbox("eve")) == 3 })
	all := strings.Join(v.inbox("eve"), "")
	for i := range 3 {
		if n := strings.Count(all, fmt.Sprintf("Subject: big%d.", i)); n != 1 {
			t.Errorf("LOC-004 letter %d is there %d times\n%s", i, n, v.heard.all())
		}
	}
}

// TestHomeTrouble: LOC-004, what a file system says.
func TestHomeTrouble(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EDQUOT: "4.2.2", syscall.ENOSPC: "4.3.1", syscall.EROFS: "4.3.0", syscall.EIO: "4.3.0", syscall.ESTALE: "4.3.0",
		helper.ErrHangs: "4.2.1", helper.ErrHome: "4.2.1", helper.ErrBusy: "4.3.2",
	} {
		r := mailboxTrouble(queue.Recipient{}, fmt.Errorf("x: %w", err))
		if r.kind != queue.Deferred || r.dsnStatus() != want {
			t.Errorf("LOC-004 %v: %s", err, r.dsnStatus())
		}
	}
}
