package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	l, err := OpenUnix(t.Context(), path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	creds := make(chan Credentials, 9)
	s := New(Options{Service: "lmtp"}, func(ctx context.Context, c *Conn) {
		if !c.Loopback() || c.Remote.IsValid() {
			t.Error("a Unix socket is this machine", c.Remote)
		}
		cred, err := c.Peercred()
		if err != nil && runtime.GOOS == "linux" {
			t.Error(err)
		}
		creds <- cred
		echo(ctx, c)
	})
	end := make(chan error, 1)
	go func() { end <- s.Serve(l) }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "hello\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
		t.Error(line, err)
	}
	if _, err := OpenUnix(t.Context(), path, 0o666); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("a second server there: %v", err)
	}
	c.Close()
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	<-end
	cred := <-creds
	if want := (Credentials{uint32(os.Getuid()), uint32(os.Getgid()), int32(os.Getpid())}); runtime.GOOS == "linux" && cred != want {
		t.Errorf("%+v, want %+v", cred, want)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // killed
	l.Close()
	fresh, err := OpenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatalf("a socket that a killed server left: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	fresh.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenUnix(t.Context(), path, 0o600); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("it is gone")
	}
}

// LOC-015: what somebody else has put where our socket should be is neither followed nor
// removed, and the error says what to do.
func TestForeignSocket(t *testing.T) {
	dir := t.TempDir()
	dead := func(path string) {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
	}
	target := filepath.Join(dir, "target")
	dead(target)
	for name, x := range map[string]struct {
		put  func(path string) error
		want string
		root bool
	}{
		"a link to a socket": {func(p string) error { return os.Symlink(target, p) }, "is no socket", false},
		"a link to nothing":  {func(p string) error { return os.Symlink(filepath.Join(dir, "made"), p) }, "is no socket", false},
		"a directory":        {func(p string) error { return os.Mkdir(p, 0o700) }, "is no socket", false},
		"another's socket":   {func(p string) error { dead(p); return os.Chown(p, 12345, 12345) }, "another user's: remove it", true},
	} {
		t.Run("LOC-015 "+name, func(t *testing.T) {
			if x.root && os.Geteuid() != 0 {
				t.Skip("only root can be somebody else")
			}
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := x.put(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			l, err := OpenUnix(t.Context(), path, 0o666)
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v", err)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("it is gone: %v", err)
			}
		})
	}
	t.Run("LOC-015 swapped for a link", func(t *testing.T) {
		precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "link")
		if err := errors.Join(os.WriteFile(precious, nil, 0o600), os.Symlink(precious, link)); err != nil {
			t.Fatal(err)
		}
		if err := chmodSocket(link, 0o666); err == nil || !strings.Contains(err.Error(), "replaced") {
			t.Errorf("%v", err)
		}
		if info, err := os.Stat(precious); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
	if _, err := os.Lstat(filepath.Join(dir, "made")); err == nil {
		t.Error("a socket was made behind a link")
	}
	if _, err := os.Lstat(target); err != nil {
		t.Error(err)
	}
}

func TestPeercredOverTCP(t *testing.T) {
	a, _ := net.Pipe()
	if _, err := NewConn(a).Peercred(); err == nil {
		t.Error("a pipe has an owner")
	}
}

// The last reply arrives though the client sent more than anybody read.
func TestHangUp(t *testing.T) {
	for name, cfg := range map[string]*tls.Config{"plain": nil, "TLS": selfSigned(t)} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{TLS: cfg}, func(_ context.Context, c *Conn) {
				io.ReadFull(c, make([]byte, 10))
				io.WriteString(c, "421 too much\r\n")
				c.HangUp()
			})
			l, err := Open(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go s.Serve(l)
			defer end(s)
			for range 20 {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				if cfg != nil {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				if _, err := c.Write(bytes.Repeat([]byte("x"), 100<<10)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Millisecond) // a reset would overtake the reply
				got, err := io.ReadAll(c)
				if string(got) != "421 too much\r\n" || err != nil {
					t.Fatalf("got %q, %v", got, err)
				}
				c.Close()
			}
		})
	}
}
