package listen

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// The real thing: Debian's haproxy before our listener.
func TestHAProxy(t *testing.T) {
	program := interop.Need(t, "haproxy")
	for _, mode := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"} {
		t.Run("ABU-020 "+mode, func(t *testing.T) {
			s := New(Options{Service: "smtp", Proxied: true, Proxies: prefixes("127.0.0.1/32")}, whoami)
			l, err := Open(t.Context(), "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go s.Serve(l)
			defer end(s)
			front := freePort(t)
			startHAProxy(t, program, fmt.Sprintf("frontend f\n bind %s\n unique-id-format %%[uuid()]\n default_backend b\n"+
				"backend b\n server s %s source 127.0.0.1 %s\n", front, l.Addr(), mode))
			// The client is 127.0.0.9, the proxy 127.0.0.1.
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				c, err := d.Dial("tcp", front)
				if err != nil {
					if time.Now().After(deadline) {
						t.Fatal(err)
					}
					continue
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(30 * time.Second))
				line, err := bufio.NewReader(c).ReadString('\n')
				if want := fmt.Sprintf("%s true\n", c.LocalAddr()); line != want {
					t.Errorf("got %q, %v, want %q", line, err, want)
				}
				return
			}
		})
	}
}

// freePort is an address on which nobody listens: haproxy does not tell which one it
// chose.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startHAProxy(t *testing.T, program, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	text = "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n" + text
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", path)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
}
