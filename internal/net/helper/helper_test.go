package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
	"facteur/internal/net/program"
)

// The processes are this test program.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		os.Exit(Main(os.Args[2:]))
	}
	if len(os.Args) == 2 && os.Args[1] == "stop all of mine" {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			_ = unix.Kill(-1, unix.SIGSTOP)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// village is users of a machine that has none of them.
type village struct {
	t     *testing.T
	dir   string
	rules Rules
	staff *Staff
}

// firstUID is a number that no machine gives.
const firstUID = 61234

func found(t *testing.T, s Settings) *village {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become other users")
	}
	dir, err := os.MkdirTemp("", "facteur-homes-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	v := &village{t: t, dir: dir}
	s.Rules = Rules{MinUID: 1000, Passwd: filepath.Join(dir, "passwd"), Group: filepath.Join(dir, "group")}
	v.rules = s.Rules
	must(t, os.WriteFile(s.Group, []byte("staff:x:"+fmt.Sprint(firstUID+50)+":jdoe\nroot:x:0:jdoe\n"), 0o644))
	v.staff = New(s)
	t.Cleanup(v.staff.Close)
	return v
}

// user makes a user with a home.
func (v *village) user(name string, uid int) User {
	v.t.Helper()
	u := User{UID: uint32(uid), Name: name, Home: filepath.Join(v.dir, name)}
	must(v.t, os.Mkdir(u.Home, 0o700))
	must(v.t, os.Chown(u.Home, uid, uid))
	v.register(u)
	return u
}

func (v *village) register(u User) {
	v.t.Helper()
	f, err := os.OpenFile(v.rules.Passwd, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(v.t, err)
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s:x:%d:%d::%s:/bin/sh\n", u.Name, u.UID, u.UID, u.Home)
	must(v.t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (v *village) jdoe() (User, *Home) {
	u := v.user("jdoe", firstUID)
	return u, v.staff.Home(u)
}

// TestFiles: what package vfs promises, by a process of the user's.
func TestFiles(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, h := v.jdoe()
	at := func(name string) string { return u.Home + "/" + name }
	must(t, vfs.MkdirAll(h, at("Maildir/tmp"), 0o700))
	must(t, h.Mkdir(at("Maildir/new"), 0o700))
	f, err := h.Create(at("Maildir/tmp/a"), 0o600)
	must(t, err)
	text := strings.Repeat("0123456789abcdef", 20_000) // several packets
	n, err := io.WriteString(f, text)
	if err != nil || n != len(text) {
		t.Fatal(n, err)
	}
	must(t, f.Sync())
	must(t, f.Close())
	if err := f.Close(); err == nil {
		t.Error("closed twice")
	}
	if _, err := h.Create(at("Maildir/tmp/a"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	must(t, h.Rename(at("Maildir/tmp/a"), at("Maildir/new/a")))
	must(t, h.Link(at("Maildir/new/a"), at("Maildir/tmp/b")))
	must(t, h.SyncDir(at("Maildir/new")))
	must(t, h.SyncFS(at("Maildir")))
	when := time.Unix(1_700_000_000, 0)
	must(t, h.SetTime(at("Maildir/new/a"), when))
	info, err := h.Stat(at("Maildir/new/a"))
	if err != nil || info.Size != int64(len(text)) || !info.ModTime.Equal(when) || info.Mode != 0o600 || info.Inode == 0 || info.Device == 0 {
		t.Fatalf("%+v %v", info, err)
	}
	a, err := h.Append(at("Maildir/new/a"))
	must(t, err)
	_, err = io.WriteString(a, "the end")
	must(t, err)
	must(t, a.Close())
	b, err := vfs.ReadFile(h, at("Maildir/new/a"), 1<<20)
	if err != nil || string(b) != text+"the end" {
		t.Fatal(len(b), err)
	}
	r, err := h.Open(at("Maildir/new/a"))
	must(t, err)
	if end, err := r.Seek(-7, io.SeekEnd); err != nil || end != int64(len(text)) {
		t.Fatal(end, err)
	}
	if b, err := io.ReadAll(r); string(b) != "the end" {
		t.Fatalf("%q %v", b, err)
	}
	part := make([]byte, 100_000)
	if n, err := r.ReadAt(part, 1); n != len(part) || err != nil || string(part) != text[1:100_001] {
		t.Fatal(n, err)
	}
	must(t, r.Close())
	for i := range 600 {
		f, err := h.Create(at(fmt.Sprintf("Maildir/tmp/%0200d", i)), 0o600)
		must(t, err)
		must(t, f.Close())
	}
	list, err := h.ReadDir(at("Maildir/tmp"))
	if err != nil || len(list) != 601 {
		t.Fatal(len(list), err)
	}
	must(t, h.Remove(at("Maildir/tmp/b")))
	if _, err := h.Stat(at("Maildir/tmp/b")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := h.Remove(at("Maildir/tmp")); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Error(err)
	}
	must(t, h.Mkdir(at("empty"), 0o700))
	must(t, h.Remove(at("empty")))
	st, err := os.Stat(at("Maildir/new/a"))
	must(t, err)
	if s := st.Sys().(*syscall.Stat_t); s.Uid != u.UID || s.Gid != u.UID {
		t.Errorf("it belongs to %d:%d", s.Uid, s.Gid)
	}
}

// TestNamesLeadNowhereElse has what a user, or who is in his place, may put in our way.
func TestNamesLeadNowhereElse(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, h := v.jdoe()
	other := v.user("eve", firstUID+1)
	must(t, os.Mkdir(other.Home+"/Maildir", 0o777))
	secret := filepath.Join(v.dir, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o644))
	in := func(name string) string { return filepath.Join(u.Home, name) }
	must(t, os.Symlink("/etc", in("etc")))
	must(t, os.Symlink(secret, in("file")))
	must(t, os.Symlink(other.Home+"/Maildir", in("Maildir")))
	must(t, os.Symlink(".", in("loop")))
	must(t, unix.Mkfifo(in("fifo"), 0o666))
	must(t, os.Chown(in("fifo"), int(u.UID), int(u.UID)))
	must(t, unix.Mknod(in("device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	opens := func(name string) error {
		f, err := h.Open(name)
		if err == nil {
			f.Close()
		}
		return err
	}
	for name, why := range map[string]error{
		in("etc/passwd"): syscall.ELOOP, in("file"): syscall.ELOOP, in("loop/file"): syscall.ELOOP,
		in("fifo"): ErrNotOwn, in("device"): ErrNotOwn, in("Maildir"): syscall.ELOOP, u.Home: syscall.EISDIR,
		"/etc/passwd": fs.ErrPermission, u.Home + "x/y": fs.ErrPermission,
		in("../secret"): fs.ErrPermission, u.Home + "/../secret": syscall.EXDEV, u.Home + "/a\x00b": ErrBroken,
	} {
		if err := opens(name); !errors.Is(err, why) {
			t.Errorf("LOC-001 %s: %v", name, err)
		}
	}
	if _, err := h.Create(in("Maildir/new"), 0o600); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("LOC-001 a file behind a link: %v", err)
	}
	if _, err := h.Append(in("fifo")); err == nil {
		t.Error("LOC-001 a FIFO was opened for writing")
	}
	if err := h.Rename(in("fifo"), u.Home+"/../fifo"); err == nil {
		t.Error("LOC-002 a file left the home")
	}
	if err := h.Rename(in("file"), in("moved")); err != nil {
		t.Errorf("the link itself is the user's: %v", err)
	}
	if _, err := h.Stat(in("moved")); !errors.Is(err, syscall.ELOOP) && err != nil {
		t.Error(err)
	}
}

// TestWhoIsServed: LOC-010, LOC-003.
func TestWhoIsServed(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	jdoe, h := v.jdoe()
	_, err := h.Stat(jdoe.Home)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(v.dir, "sys"), 0o700))
	refused := map[string]User{
		"LOC-010 root":                           {0, "root", "/root"},
		"LOC-010 a system user":                  {33, "www-data", "/var/www"},
		"LOC-010 nobody":                         {65534, "nobody", "/nonexistent"},
		"LOC-010 renamed":                        {jdoe.UID, "other", jdoe.Home},
		"LOC-010 the number is another's by now": {jdoe.UID + 5, "jdoe", jdoe.Home},
		"LOC-010 another home":                   {jdoe.UID, "jdoe", v.dir},
		"LOC-010 deleted":                        {firstUID + 9, "gone", v.dir},
		"LOC-010 home is /":                      {firstUID + 8, "slash", "/"},
	}
	for _, u := range []User{refused["LOC-010 root"], refused["LOC-010 a system user"], refused["LOC-010 nobody"], refused["LOC-010 home is /"]} {
		v.register(u)
	}
	for why, u := range refused {
		if _, err := v.staff.Home(u).Stat(u.Home); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %v", why, err)
		}
		if err := v.staff.Able(u); err == nil {
			t.Errorf("%s: able", why)
		}
	}
	missing := v.user("missing", firstUID+2)
	must(t, os.Remove(missing.Home))
	foreign := v.user("foreign", firstUID+3)
	must(t, os.Chown(foreign.Home, 0, 0))
	must(t, os.Chmod(foreign.Home, 0o755))
	writable := v.user("writable", firstUID+4)
	must(t, os.Chmod(writable.Home, 0o777))
	for why, u := range map[string]User{"LOC-003 home missing": missing, "LOC-003 not mounted": foreign, "LOC-003 writable for all": writable} {
		h := v.staff.Home(u)
		err := vfs.MkdirAll(h, u.Home+"/Maildir", 0o700)
		if !errors.Is(err, ErrHome) {
			t.Errorf("%s: %v", why, err)
		}
		if _, err := os.Lstat(u.Home + "/Maildir"); err == nil {
			t.Errorf("%s: something was made there", why)
		}
	}
	// The passwd of the next start counts, and not that of the last.
	h.mu.Lock()
	h.drop()
	h.mu.Unlock()
	must(t, os.Remove(v.rules.Passwd))
	v.register(User{jdoe.UID, "successor", jdoe.Home})
	if _, err := h.Stat(jdoe.Home); !errors.Is(err, ErrIdentity) {
		t.Errorf("LOC-010 the same number, another name: %v", err)
	}
}

// TestOwnFile: a file that says where mail goes is believed if it is the user's own.
func TestOwnFile(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, h := v.jdoe()
	for name, c := range map[string]struct {
		uid  int
		mode fs.FileMode
		ok   bool
	}{
		"his": {firstUID, 0o644, true}, "root's": {0, 0o644, true}, "another's": {firstUID + 1, 0o644, false},
		"of a group": {firstUID, 0o664, false}, "of the world": {firstUID, 0o602, false},
	} {
		path := filepath.Join(u.Home, name)
		must(t, os.WriteFile(path, []byte("x@example.org\n"), 0o600))
		must(t, os.Chown(path, c.uid, c.uid))
		must(t, os.Chmod(path, c.mode))
		b, err := h.ReadOwn(path, 100)
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, ErrNotOwn) || c.ok && string(b) != "x@example.org\n" {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if _, err := h.ReadOwn(filepath.Join(u.Home, "his"), 5); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}

// TestProcess: LOC-011, what a process of a user's is.
func TestProcess(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, h := v.jdoe()
	_, err := h.Stat(u.Home)
	must(t, err)
	dir := processOf(t, "files", u.Home)
	status, err := os.ReadFile(dir + "/status")
	must(t, err)
	for _, want := range []string{"NoNewPrivs:\t1", fmt.Sprintf("Uid:\t%d\t%[1]d\t%[1]d\t%[1]d", u.UID), fmt.Sprintf("Gid:\t%d\t%[1]d\t%[1]d\t%[1]d", u.UID),
		fmt.Sprintf("Groups:\t%d %d ", u.UID, firstUID+50), "CapEff:\t0000000000000000", "Umask:\t0077"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("%q is not in\n%s", want, status)
		}
	}
	env, err := os.ReadFile(dir + "/environ")
	if err != nil || len(env) > 0 {
		t.Errorf("environment %q %v", env, err)
	}
	st, err := os.Stat(dir + "/fd")
	must(t, err)
	if st.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Error("its descriptors are open to the user: it can be dumped")
	}
	fds, err := os.ReadDir(dir + "/fd")
	must(t, err)
	for _, fd := range fds {
		at, _ := os.Readlink(dir + "/fd/" + fd.Name())
		if at != os.DevNull && at != u.Home && !strings.HasPrefix(at, "/sys/fs/cgroup/") && !strings.HasPrefix(at, "anon_inode:") && !strings.HasPrefix(at, "socket:") && fd.Name() != "2" {
			t.Errorf("it has %s open", at)
		}
	}
	sid, err := unix.Getsid(pidOf(t, dir))
	if own, _ := unix.Getsid(0); err != nil || sid == own {
		t.Errorf("session %d %v", sid, err)
	}
}

// processOf is the directory in /proc of a helper.
func processOf(t *testing.T, kind, home string) string {
	t.Helper()
	all := processesOf(kind, home)
	if len(all) == 0 {
		t.Fatalf("there is no process for %s of %s", kind, home)
	}
	return all[0]
}

func processesOf(kind, home string) (list []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		if args := strings.Split(string(line), "\x00"); len(args) > 3 && args[1] == "helper" && args[2] == kind && slices.Contains(args, home) {
			list = append(list, dir)
		}
	}
	return list
}

// halt stops the process for the files of a home, and returns when that has happened.
func halt(t *testing.T, home string) {
	t.Helper()
	eventually(t, "those before have ended", func() bool { return len(processesOf("files", home)) == 1 })
	dir := processOf(t, "files", home)
	must(t, unix.Kill(pidOf(t, dir), unix.SIGSTOP))
	eventually(t, "it is stopped", func() bool {
		b, err := os.ReadFile(dir + "/status")
		return err == nil && strings.Contains(string(b), "State:\tT")
	})
}

func pidOf(t *testing.T, dir string) (pid int) {
	t.Helper()
	_, err := fmt.Sscan(filepath.Base(dir), &pid)
	must(t, err)
	return pid
}

// TestEndings: idle processes end, those that were killed are replaced, and those that
// hang are left alone.
func TestEndings(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{Idle: 200 * time.Millisecond, Patience: 2 * time.Second, Rest: time.Second})
	u, h := v.jdoe()
	ask := func() error { _, err := h.Stat(u.Home); return err }
	must(t, ask())
	f, err := h.Create(u.Home+"/a", 0o600)
	must(t, err)
	time.Sleep(600 * time.Millisecond)
	must(t, f.Sync()) // who has a file open keeps it
	must(t, f.Close())
	eventually(t, "an idle process ends", func() bool { return h.used.Load() == 0 })
	must(t, ask())
	f, err = h.Open(u.Home + "/a")
	must(t, err)
	eventually(t, "the first has ended", func() bool { return len(processesOf("files", u.Home)) == 1 })
	pid := pidOf(t, processOf(t, "files", u.Home))
	must(t, unix.Kill(pid, unix.SIGKILL))
	eventually(t, "it is dead", func() bool { return unix.Kill(pid, 0) == unix.ESRCH })
	eventually(t, "a process that was killed is replaced", func() bool { return ask() == nil })
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, ErrBroken) {
		t.Errorf("a file of a process that has ended: %v", err)
	}
	must(t, f.Close())
	for range 2 { // LOC-005: one that does not answer is left, and another tried later
		halt(t, u.Home)
		if err := ask(); !errors.Is(err, ErrHangs) {
			t.Fatalf("LOC-005 %v", err)
		}
		begun := time.Now()
		if err := ask(); !errors.Is(err, ErrHangs) || time.Since(begun) > time.Second {
			t.Fatalf("LOC-005 the next one waited, too: %v", err)
		}
		eventually(t, "another process serves the user", func() bool { return ask() == nil })
	}
	halt(t, u.Home)
	v.staff.Close()
	eventually(t, "one that is stopped ends with the server", func() bool { return len(processesOf("files", u.Home)) == 0 })
	v.staff = New(Settings{Rules: v.rules})
	t.Cleanup(v.staff.Close)
	other := v.user("eve", firstUID+1)
	_, err = v.staff.Home(other).Stat(other.Home)
	must(t, err)
	must(t, unix.Kill(pidOf(t, processOf(t, "root", v.rules.Passwd)), unix.SIGKILL))
	other = v.user("foo", firstUID+2)
	eventually(t, "the root process is replaced", func() bool { _, err := v.staff.Home(other).Stat(other.Home); return err == nil })
}

// TestStopped: LOC-011, a user who stops each process of his, from its first moment, holds
// up nobody else.
func TestStopped(t *testing.T) {
	v := found(t, Settings{Patience: 300 * time.Millisecond, Rest: time.Millisecond})
	eve, jdoe := v.user("eve", firstUID+30), v.user("jdoe", firstUID)
	cmd := exec.Command(program.OwnProgram, "stop all of mine")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: eve.UID, Gid: eve.UID}}
	must(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	hers, his := v.staff.Home(eve), v.staff.Home(jdoe)
	for range 8 {
		begun := time.Now()
		_, _ = hers.Stat(eve.Home)
		if _, err := his.Stat(jdoe.Home); err != nil || time.Since(begun) > orderTime/2 {
			t.Fatalf("LOC-011 the other waited %v, and got %v", time.Since(begun), err)
		}
		for _, h := range []*Home{hers, his} {
			h.mu.Lock()
			h.drop()
			h.mu.Unlock()
			v.staff.kill(h.id)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + ": never")
		}
	}
}

// TestMany: more users than processes, all at a time; nobody is refused.
func TestMany(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{Limit: 4})
	var users []User
	for i := range 12 {
		users = append(users, v.user(fmt.Sprint("u", i), firstUID+i))
	}
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			for i := range 5 {
				h := v.staff.Home(u)
				for tries := 0; ; tries++ {
					f, err := h.Create(fmt.Sprintf("%s/%d.%d", u.Home, i, tries), 0o600)
					if err == nil {
						f.Close()
						break
					}
					if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrBroken) || tries > 500 {
						t.Error(err)
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// TestSwap: LOC-002, a user swaps ~/Maildir for links to where root could write, again and
// again, while letters are put there.
func TestSwap(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, h := v.jdoe()
	trap := filepath.Join(v.dir, "trap")
	for _, dir := range []string{trap, trap + "/new", trap + "/tmp"} {
		must(t, os.Mkdir(dir, 0o755))
	}
	for _, dir := range []string{"Maildir", "Maildir/new", "Maildir/tmp"} {
		must(t, h.Mkdir(u.Home+"/"+dir, 0o700))
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = os.Rename(u.Home+"/Maildir", u.Home+"/real")
				_ = os.Symlink(trap, u.Home+"/Maildir")
				_ = os.Remove(u.Home + "/Maildir")
				_ = os.Rename(u.Home+"/real", u.Home+"/Maildir")
			}
		}
	})
	landed := 0
	for i := range 2000 {
		tmp, fresh := fmt.Sprintf("%s/Maildir/tmp/%d", u.Home, i), fmt.Sprintf("%s/Maildir/new/%d", u.Home, i)
		f, err := h.Create(tmp, 0o600)
		if err != nil {
			continue
		}
		f.Close()
		if h.Rename(tmp, fresh) == nil {
			landed++
		}
	}
	close(done)
	wg.Wait()
	caught, err := filepath.Glob(trap + "/*/*")
	must(t, err)
	there, err := os.ReadDir(u.Home + "/Maildir/new")
	must(t, err)
	if len(caught) > 0 || len(there) != landed {
		t.Fatalf("LOC-002 %d in the trap, %d landed, %d there", len(caught), landed, len(there))
	}
	t.Logf("%d of 2000 found the directory", landed)
}

// TestRun: programs of users, row 56.
func TestRun(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, _ := v.jdoe()
	letter := "Subject: x\r\n\r\nHello\r\n"
	from, err := address.Parse("a@example.org")
	must(t, err)
	to, err := address.Parse("jdoe@example.org")
	must(t, err)
	run := func(ctx context.Context, line, body string, limit time.Duration) program.Outcome {
		return v.staff.Run(ctx, u, Job{Command: program.Words(line), Flags: "DFRO", Limit: limit, Size: int64(len(letter)), Env: []string{"HOME=" + u.Home, "USER=jdoe", "SENDER=" + program.Tame("a@example.org; id")},
			Letter: program.Letter{Sender: from, Now: time.Unix(0, 0).UTC(), Recipients: []program.Recipient{{Address: to, Original: to}}}}, strings.NewReader(body))
	}
	for line, want := range map[string]string{
		`cat > out; id -u; pwd; echo $SENDER $HOME`: "250 2.0.0 delivered via sh service (61234 " + u.Home + " a@example.org__id " + u.Home + ")",
		`exit 75`:                               `451 4.3.0 temporary failure`,
		`IFS=' ' && exec /bin/false || exit 75`: `554 5.3.0 Command died with status 1: "/bin/sh"`,
		`exit 77`:                               `554 5.7.0 permission denied`,
		`/nonexistent/program`:                  `451 4.3.5 mail system configuration error: fork/exec /nonexistent/program: no such file or directory`,
		`/bin/echo 5.1.1 not here; exit 67`:     `554 5.1.1 not here`,
		`cat /etc/shadow > /dev/null 2>&1 && echo readable || echo safe`: "250 2.0.0 delivered via sh service (safe)",
	} {
		o := run(t.Context(), line, letter, 0)
		if got := o.Reply.Error(); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	out, err := os.ReadFile(u.Home + "/out")
	if want := "From a@example.org  Thu Jan  1 00:00:00 1970\nReturn-Path: <a@example.org>\nX-Original-To: jdoe@example.org\nDelivered-To: jdoe@example.org\nSubject: x\n\nHello\n"; string(out) != want {
		t.Errorf("%q %v", out, err)
	}
	if o := run(t.Context(), "cat > short", letter[:9], 0); o.Delivered() {
		t.Error("half a letter was taken for a whole one")
	}
	if o := run(t.Context(), "cat > /dev/null; sleep 60", letter, 300*time.Millisecond); o.Reply.Code != 451 || !strings.Contains(o.Reply.Text(), "time limit") {
		t.Errorf("%v", o.Reply)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if o := run(ctx, "trap '' TERM; sleep 61.5", letter, 0); o.Reply.Code != 451 {
		t.Errorf("%v", o.Reply)
	}
	eventually(t, "a program that nobody waits for ends", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		return !slices.ContainsFunc(dirs, func(d string) bool {
			b, _ := os.ReadFile(d + "/cmdline")
			return strings.Contains(string(b), "sleep 61.5")
		})
	})
}

// TestAppend: row 39's /file, as the user.
func TestAppend(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, _ := v.jdoe()
	letter := "Subject: x\r\n\r\nFrom me\r\n"
	from, _ := address.Parse("a@example.org")
	put := func(path, name string) program.Outcome {
		command, flags, end := AppendCommand(path, name)
		return v.staff.Run(t.Context(), u, Job{Command: command, Flags: flags, End: end, Size: int64(len(letter)), Letter: program.Letter{Sender: from, Now: time.Unix(0, 0).UTC(), Recipients: []program.Recipient{{Address: from, Original: from}}}}, strings.NewReader(letter))
	}
	box := u.Home + "/mbox"
	for range 2 {
		if o := put(box, "1"); !o.Delivered() {
			t.Fatal(o.Reply)
		}
	}
	got, err := os.ReadFile(box)
	must(t, err)
	if strings.Count(string(got), "\nSubject: x\n\n>From me\n\n") != 2 || !strings.HasPrefix(string(got), "From a@example.org  ") {
		t.Errorf("%q", got)
	}
	// A letter that a crash cut off takes the next one with it in nobody's reader.
	must(t, os.WriteFile(box, []byte("From x\n\ncut of"), 0o600))
	if o := put(box, "2"); !o.Delivered() {
		t.Fatal(o.Reply)
	}
	if got, _ := os.ReadFile(box); !strings.HasPrefix(string(got), "From x\n\ncut of\n\nFrom a@example.org  ") {
		t.Errorf("%q", got)
	}
	must(t, os.Symlink(box, u.Home+"/link"))
	must(t, os.WriteFile(u.Home+"/first", nil, 0o600))
	must(t, os.Chown(u.Home+"/first", int(u.UID), int(u.UID)))
	must(t, os.Link(u.Home+"/first", u.Home+"/second"))
	must(t, unix.Mkfifo(u.Home+"/fifo", 0o666))
	for path, code := range map[string]int{u.Home + "/link": 451, u.Home + "/second": 554, u.Home + "/fifo": 451, v.dir + "/elsewhere": 451, u.Home: 554} {
		if o := put(path, "1"); o.Reply.Code != code {
			t.Errorf("%s: %v", path, o.Reply)
		}
	}
	for _, sub := range []string{"", "/tmp", "/new", "/cur"} {
		must(t, os.Mkdir(u.Home+"/list"+sub, 0o700))
		must(t, os.Chown(u.Home+"/list"+sub, int(u.UID), int(u.UID)))
	}
	for range 2 {
		if o := put(u.Home+"/list/", "1.a"); !o.Delivered() {
			t.Fatal(o.Reply)
		}
	}
	if list, _ := os.ReadDir(u.Home + "/list/new"); len(list) != 1 {
		t.Errorf("%d letters in a Maildir that got one twice", len(list))
	}
}

// TestAppendOfHalf: what ends early, as when the server is killed, leaves the file as it was.
func TestAppendOfHalf(t *testing.T) {
	t.Parallel()
	v := found(t, Settings{})
	u, _ := v.jdoe()
	box, before := u.Home+"/mbox", "From x\n\nbefore\n\n"
	must(t, os.WriteFile(box, []byte(before), 0o600))
	must(t, os.Chown(box, int(u.UID), int(u.UID)))
	half := strings.Repeat("half a letter\r\n", 40<<10)
	job := func() Job {
		command, flags, end := AppendCommand(box, "1")
		return Job{Command: command, Flags: flags, End: end, Size: int64(2 * len(half)), Letter: program.Letter{Recipients: make([]program.Recipient, 1)}}
	}
	untouched := func(why string) {
		t.Helper()
		if got, _ := os.ReadFile(box); string(got) != before {
			t.Errorf("%s: %d bytes are in the file", why, len(got))
		}
	}
	j := job()
	killed := exec.Command(j.Command[0], j.Command[1:]...)
	killed.Stdin = strings.NewReader(half)
	if err := killed.Run(); killed.ProcessState.ExitCode() != exitTemporary {
		t.Errorf("half a letter: %v", err)
	}
	untouched("the server was killed")
	p, err := program.New(program.Settings{Command: j.Command, Literal: true, Flags: j.Flags, End: j.End, User: "daemon"})
	must(t, err)
	must(t, os.Chmod(u.Home, 0o755))
	must(t, os.Chown(box, 1, 1))
	if o := p.Run(t.Context(), j.Letter, &exactly{strings.NewReader(half), j.Size}); o.Reply.Code != 451 {
		t.Errorf("unreadable: %v", o.Reply)
	}
	untouched("the letter can't be read to its end")
	must(t, os.Chown(box, int(u.UID), int(u.UID)))
	if o := v.staff.Run(t.Context(), u, job(), strings.NewReader(half)); o.Reply.Code != 451 {
		t.Errorf("short: %v", o.Reply)
	}
	untouched("the letter is shorter than was said")
	ctx, cancel := context.WithCancel(t.Context())
	stuck, out := io.Pipe()
	go func() {
		io.WriteString(out, half)
		cancel()
		time.Sleep(time.Second)
		out.Close()
	}()
	if o := v.staff.Run(ctx, u, job(), stuck); o.Reply.Code != 451 {
		t.Errorf("stopped: %v", o.Reply)
	}
	untouched("the delivery was stopped")
}

// FuzzWire: no packet makes either side fail, whoever sent it.
func FuzzWire(f *testing.F) {
	r := request{op: opRename, handle: 1, offset: 2, n: 3, name: "Maildir/tmp/a", other: "Maildir/new/a", data: []byte("x")}
	f.Add(r.append(nil))
	f.Add(appendEntry([]byte{0, 0, 0, 0}, vfs.Entry{Name: "a"}))
	f.Add(appendInfo([]byte{0, 0, 0, 0}, vfs.Info{Size: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRequest(b); err == nil {
			if again, err := parseRequest(r.append(nil)); err != nil || again.name != r.name || again.other != r.other || string(again.data) != string(r.data) {
				t.Fatalf("%+v %v", again, err)
			}
		}
		rest, err := parseAnswer(b)
		if err != nil {
			return
		}
		if list, err := parseEntries(rest); err == nil {
			for _, e := range list {
				if e.Name == "" || strings.Contains(e.Name, "/") {
					t.Fatalf("%q", e.Name)
				}
			}
		}
		if i, err := parseInfo(rest); err == nil && i.Size < 0 {
			t.Fatal(i)
		}
	})
}
