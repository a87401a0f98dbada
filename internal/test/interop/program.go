package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Where Debian keeps the programs that are on nobody's PATH.
var programDirs = []string{"/usr/sbin", "/sbin", "/usr/lib/postfix/sbin", "/usr/lib/dovecot"}

// Required tells whether a missing program fails a test instead of skipping
// it (FACTEUR_TEST_REQUIRE=1).
func Required() bool { return os.Getenv("FACTEUR_TEST_REQUIRE") == "1" }

// Missing skips the test because something is not on this machine, or fails
// it where everything is required.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if Required() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Need returns the path of a program, and skips the test without it.
func Need(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range programDirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	Missing(t, "program %s is not installed", name)
	return ""
}

// NeedRoot skips the test unless it runs as root, which Postfix and Dovecot
// ask for.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "only root can start a private Postfix or Dovecot")
	}
}

// left are rooms that Main removes.
var left []string

// Room returns a new directory that other users can walk through (Postfix
// and Dovecot drop privileges) with a name short enough for Unix sockets.
// It goes away with the test; in a benchmark with the last one, for removing files
// makes ext4 step around their inodes for minutes, and new files dear.
func Room(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fct")
	if err != nil {
		t.Fatal(err)
	}
	if _, benchmark := t.(*testing.B); benchmark {
		left = append(left, dir)
	} else {
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// WriteFile writes a file of a test, with its directories.
func WriteFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs a program to its end and returns what it printed, stderr
// included; a non-zero exit fails the test.
func Run(t testing.TB, input, name string, args ...string) string {
	t.Helper()
	out, err := TryRun(t, input, name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
	}
	return out
}

// TryRun is Run for a program that may fail.
func TryRun(t testing.TB, input, name string, args ...string) (string, error) {
	t.Helper()
	return TryRunEnv(t, nil, input, name, args...)
}

// TryRunEnv is TryRun with additional environment.
func TryRunEnv(t testing.TB, env []string, input, name string, args ...string) (string, error) {
	t.Helper()
	p, err := launch(command(env, name, args...), []byte(input))
	if err != nil {
		return "", err
	}
	defer p.Kill()
	if !p.WaitFor(LongWait) {
		return p.Output(), errTooLong
	}
	return p.Output(), p.err
}
