package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// systemd is a socket that hears what a service tells of itself.
type systemd struct{ conn *net.UnixConn }

// newSystemd makes one and names it in the environment.
func newSystemd(t *testing.T) systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return systemd{conn}
}

func (s systemd) expect(t *testing.T, pattern string) {
	t.Helper()
	s.conn.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 4096)
	n, err := s.conn.Read(b)
	if err != nil {
		t.Fatalf("waiting for %s: %v", pattern, err)
	}
	if !regexp.MustCompile(`^` + pattern + `$`).Match(b[:n]) {
		t.Fatalf("got %q, want %s", b[:n], pattern)
	}
}

// What a unit of Type=notify-reload waits for (sd_notify(3)): READY once the
// listeners are bound, RELOADING with the time and READY around each SIGHUP,
// good or bad, and STOPPING.
func TestSystemdIsTold(t *testing.T) {
	service := newSystemd(t)
	file := settingsFile(t, small)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stderr bytes.Buffer
	c := &command{in: strings.NewReader(""), out: &stderr, err: &stderr}
	status := make(chan int, 1)
	go func() { status <- c.run(ctx, []string{"serve", "-c", file}) }()
	service.expect(t, "READY=1")
	for _, text := range []string{small + "[queue]\ndelay_warning_time = '1h'\n", "hostnam = 'x'\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		syscall.Kill(os.Getpid(), syscall.SIGHUP)
		service.expect(t, `RELOADING=1\nMONOTONIC_USEC=\d+\n`)
		service.expect(t, "READY=1")
	}
	stop()
	service.expect(t, "STOPPING=1")
	if got := <-status; got != 0 {
		t.Errorf("status %d", got)
	}
	log := stderr.String()
	if !strings.Contains(log, "settings of "+file+" are in use") || !strings.Contains(log, `unknown key "hostnam"`) {
		t.Error(log)
	}
}

// A server that can not start says nothing of being ready.
func TestSystemdIsNotToldOfFailure(t *testing.T) {
	service := newSystemd(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := settingsFile(t, strings.Replace(small, "127.0.0.1:0", l.Addr().String(), 1))
	if status, _, _ := call(t, "", "serve", "-c", file); status != 1 {
		t.Errorf("status %d", status)
	}
	service.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	b := make([]byte, 100)
	if n, err := service.conn.Read(b); err == nil {
		t.Errorf("told %q", b[:n])
	}
}
