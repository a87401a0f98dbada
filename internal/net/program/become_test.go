package program_test

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"facteur/internal/net/program"
)

// stopAll is the argument that makes this binary a user who stops each process of his.
const stopAll = "stop all of mine"

// LOC-011: a user who stops each process of his from its first moment holds up nobody
// else: the server starts other programs.
func TestStopped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become other users")
	}
	const name = "games" // one whom no other test uses
	eve, err := user.Lookup(name)
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(eve.Uid)
	stopper := exec.Command(program.OwnProgram, stopAll)
	stopper.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if err := stopper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = stopper.Process.Kill(), stopper.Wait() }()
	s := settings("/bin/cat")
	s.User, s.Limit = name, 200*time.Millisecond
	p, other := made(t, s), made(t, settings("/bin/cat"))
	for range 8 {
		ended := make(chan program.Outcome, 1)
		go func() {
			p.Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
			ended <- other.Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
		}()
		select {
		case o := <-ended:
			if !o.Delivered() {
				t.Error(o.Reply)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the server can start nothing any more")
		}
	}
}

// A program becomes a user's only, with his group and no other, and has nothing open but
// the three.
func TestWhoItIs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become other users")
	}
	s := shell(t, `echo $(id -u) $(id -g) $(id -G) $(pwd) $0; exit 75`)
	s.Dir = "/tmp"
	o := made(t, s).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
	if want := "65534 65534 65534 /tmp " + s.Command[0]; o.Output != want {
		t.Errorf("%q, want %q", o.Output, want)
	}
	o = made(t, settings("/bin/ls", "/proc/self/fd")).Run(context.Background(), letter(t, "a@x.example", "b@y.example"), strings.NewReader(body))
	if o.Output != "0 1 2 3" { // 3 is what ls reads
		t.Errorf("open are %q", o.Output)
	}
	for _, words := range [][]string{{}, {"1"}, {"0", "1", "1"}, {"1", "0", "1"}, {"1", "1", "0"}, {"-1", "1", "1"}, {"4294967296", "1", "1"}, {"x", "1", "1"}} {
		if program.Become(words) == nil {
			t.Fatalf("became %q", words)
		}
	}
}
