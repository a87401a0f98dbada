package control

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whoever is neither root nor the server's user is not answered, not even where a
// mistake has opened the directory and the socket (LOC-013).
func TestLOC013Stranger(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("FACTEUR_STRANGER"); path != "" {
		stranger(t, path)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	cfg := settings(t)
	running(t, cfg)
	socket := filepath.Join(cfg.DataDir, socketName)
	for dir := cfg.DataDir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	must(t, os.Chmod(socket, 0o666))
	// The test binary lies where only root may look.
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	program := filepath.Join(filepath.Dir(cfg.DataDir), "stranger")
	must(t, os.WriteFile(program, self, 0o755))
	cmd := exec.Command(program, "-test.run", "^TestLOC013Stranger$", "-test.v")
	cmd.Dir, cmd.Env = filepath.Dir(program), append(os.Environ(), "FACTEUR_STRANGER="+socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "the stranger heard nothing") {
		t.Errorf("%v\n%s", err, out)
	}
	_, err = office(t, cfg).Domains(t.Context())
	must(t, err)
}

// stranger is the other user's half.
func stranger(t *testing.T, path string) {
	c, err := net.Dial("unix", path)
	must(t, err)
	defer c.Close()
	c.Write([]byte("POST /domains HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatal("the stranger was answered")
	}
	t.Log("the stranger heard nothing")
}

// LOC-015: what stands where the control socket should be, and is not ours, is neither
// followed nor removed.
func TestLOC015NotOurSocket(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"a file": func(p string) error { return os.WriteFile(p, []byte("precious"), 0o600) },
		"a link": func(p string) error { return os.Symlink("elsewhere", p) },
		"another's socket": func(p string) error {
			return errors.Join(syscall.Mknod(p, syscall.S_IFSOCK|0o600, 0), os.Chown(p, 12345, 12345))
		},
	} {
		if name == "another's socket" && os.Geteuid() != 0 {
			continue
		}
		dir := t.TempDir()
		path := filepath.Join(dir, socketName)
		must(t, put(path))
		before, err := os.Lstat(path)
		must(t, err)
		if l, err := listenSocket(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is gone: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
			t.Error("a socket was made behind a link")
		}
	}
}
