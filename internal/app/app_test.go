package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
)

// freePorts are ports of loopback that nobody listens on.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// load writes a file with listeners "service port" and reads it.
func load(t *testing.T, dir string, listeners ...string) *config.Config {
	t.Helper()
	text := "hostname = \"mail.example.org\"\ndata_dir = \"data\"\n[dns]\nservers = [\"127.0.0.1:9\"]\n"
	for _, l := range listeners {
		service, port, _ := strings.Cut(l, " ")
		text += fmt.Sprintf("[[listen]]\nservice = %q\naddress = \"127.0.0.1:%s\"\n", service, port)
	}
	path := filepath.Join(dir, "facteur.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run starts a house that is stopped at the end of the test. done gives what Run
// returned.
func run(t *testing.T, c *config.Config) (house *App, done chan error) {
	t.Helper()
	house, err := New(c, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done = make(chan error, 1)
	over := make(chan struct{})
	go func() { defer close(over); done <- house.Run(ctx) }()
	t.Cleanup(func() { stop(); <-over })
	return house, done
}

// greeted tells whether a listener answers as SMTP.
func greeted(port int) bool {
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, 3)
	_, err = conn.Read(b)
	return err == nil && string(b) == "220"
}

// A listener that the settings no longer have is closed, and nothing else with it.
func TestReloadListeners(t *testing.T) {
	t.Parallel()
	dir, ports := t.TempDir(), freePorts(t, 2)
	stays, comes := fmt.Sprint("smtp ", ports[0]), fmt.Sprint("smtp ", ports[1])
	house, done := run(t, load(t, dir, stays))
	for range 20 {
		if err := house.Reload(load(t, dir, stays, comes)); err != nil {
			t.Fatal(err)
		}
		if !greeted(ports[1]) {
			t.Fatal("the new listener does not answer")
		}
		if err := house.Reload(load(t, dir, stays)); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); greeted(ports[1]); {
			if time.Now().After(deadline) {
				t.Fatal("the listener that is gone still answers")
			}
		}
	}
	select {
	case err := <-done:
		t.Fatalf("the server ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if !greeted(ports[0]) {
		t.Fatal("the listener that stays does not answer")
	}
}

func TestReloadRefusesAnotherService(t *testing.T) {
	t.Parallel()
	dir, ports := t.TempDir(), freePorts(t, 1)
	house, _ := run(t, load(t, dir, fmt.Sprint("smtp ", ports[0])))
	err := house.Reload(load(t, dir, fmt.Sprint("imap ", ports[0])))
	if err == nil || !strings.Contains(err.Error(), "from smtp to imap") {
		t.Fatalf("got %v", err)
	}
	if !greeted(ports[0]) {
		t.Fatal("the listener does not answer after a reload that was refused")
	}
}

func TestReloadWhileStopping(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	house, err := New(load(t, dir, "smtp 0"), event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := house.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := house.Reload(load(t, dir, "smtp 0", "imap 0")); err == nil {
		t.Fatal("a server that is stopping took new settings")
	}
}
