package program_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/net/program"
)

// becomeRoot is the argument that makes this binary, where it is setuid, a program that a
// server without root's rights can't kill. It ends when the file behind it is there.
const becomeRoot = "become-root"

// forNobody is the environment variable that names the directory of the inner test.
const forNobody = "PROGRAM_TEST_STRAYS"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		os.Exit(program.Main(os.Args[3:]))
	}
	if len(os.Args) == 2 && os.Args[1] == stopAll {
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			_ = syscall.Kill(-1, syscall.SIGSTOP)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == becomeRoot {
		if err := syscall.Setresuid(0, 0, 0); err != nil {
			os.Exit(0)
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if _, err := os.Stat(os.Args[2]); err == nil {
				break
			}
		}
		os.Exit(0)
	}
	if len(os.Args) == 4 && os.Args[1] == serveOne {
		os.Exit(serveAndHang(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// A program that has become root under a server that is not is let go, and a few such are
// enough. The server is this test, once more, as nobody.
func TestStrays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a program setuid")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, _ := strconv.ParseUint(nobody.Gid, 10, 32)
	dir := place(t)
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"test": 0o755, "root": 0o755 | os.ModeSetuid} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, binary, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.WriteFile(filepath.Join(dir, "go"), nil, 0o644) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	inner := exec.CommandContext(ctx, filepath.Join(dir, "test"), "-test.run=^TestStraysOfNobody$", "-test.v")
	inner.Dir, inner.Env = dir, []string{forNobody + "=" + dir}
	inner.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	inner.WaitDelay = time.Second
	out, err := inner.CombinedOutput()
	switch {
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStraysOfNobody(t *testing.T) {
	dir := os.Getenv(forNobody)
	if dir == "" {
		t.Skip("it is run by TestStrays")
	}
	strays := new(program.Strays)
	run := func(command ...string) program.Outcome {
		s := settings(command...)
		s.Limit, s.Strays = 300*time.Millisecond, strays
		if command[0] == "/bin/cat" {
			s.Limit = 20 * time.Second
		}
		p := made(t, s)
		program.Hasten(p, 300*time.Millisecond)
		return p.Run(t.Context(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(strings.Repeat(body, 10_000)))
	}
	for range program.MaxStrays {
		o := run(filepath.Join(dir, "root"), becomeRoot, filepath.Join(dir, "go"))
		if o.Delivered() {
			t.Skip("no setuid programs here")
		}
		if !o.Reply.Temporary() || o.Err == nil || !strings.Contains(o.Reply.Text(), "the program can not be ended") {
			t.Fatalf("%v", o.Reply)
		}
	}
	full := fmt.Sprintf("%d programs of prog have passed their time", program.MaxStrays)
	if o := run("/bin/cat"); !o.Reply.Temporary() || !strings.Contains(o.Reply.Text(), full) {
		t.Errorf("%v", o.Reply)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !run("/bin/cat").Delivered(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("they have ended, and are counted still")
		}
	}
}
