package interop

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// An import over TLS, from the start and with STARTTLS: it believes only the authority
// that it was told and only for the name that it asked for, and says no password before
// that; a connection that breaks is made again, and nothing comes twice.
func TestImportOverTLS(t *testing.T) {
	t.Parallel()
	root := Room(t)
	Chown(t, root, "mail")
	dovecot := NewDovecot(t, root)
	port := FreePort(t)
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	cert, key := SelfSigned(t, dir)
	text, err := os.ReadFile(dovecot.Config())
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, dovecot.Config(), string(text)+fmt.Sprintf("ssl = yes\nssl_cert = <%s\nssl_key = <%s\nauth_verbose = yes\n"+
		"service imap-login {\n inet_listener imaps {\n  address = 127.0.0.1\n  port = %d\n  ssl = yes\n }\n}\n", cert, key, port))
	const count = 400
	planted(t, mailboxPath(root, alice), count)
	chownTree(t, root)
	dovecot.Start()
	facteur := NewFacteur(t, Setup{Accounts: []string{alice, "bob@example.org"}})
	facteur.Start()
	run := func(host string, port int, to string, options ...string) (string, error) {
		t.Helper()
		return facteur.TryCommand("wrong-or-right\n", append([]string{"import", "imap", net.JoinHostPort(host, strconv.Itoa(port)), alice, to, "--password-stdin"}, options...)...)
	}
	for name, try := range map[string]func() (string, error){
		"another name":           func() (string, error) { return run("127.0.0.1", port, alice, "--ca", cert) },
		"another authority":      func() (string, error) { return run("localhost", port, alice) },
		"STARTTLS, another name": func() (string, error) { return run("127.0.0.1", dovecot.port, alice, "--ca", cert, "--starttls") },
		"no TLS from the start":  func() (string, error) { return run("localhost", dovecot.port, alice, "--ca", cert) },
	} {
		if out, err := try(); err == nil || strings.Contains(out, "trying again") || !strings.Contains(out, "tls: ") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if log := dovecot.Log(); strings.Contains(log, "auth: ") && strings.Contains(log, alice) {
		t.Errorf("a password was said to a server that nobody vouched for:\n%s", log)
	}

	if out, err := run("localhost", FreePort(t), alice); err == nil || strings.Contains(out, "trying again") || !strings.Contains(out, "refused") {
		t.Error("a misprint of the port:", out)
	}

	breaking, cuts := breakingProxy(t, Loopback(port), 40_000, 2)
	out := facteur.Command(Password+"\n", "import", "imap", breaking, alice, alice, "--ca", cert, "--password-stdin")
	if cuts.Load() < 2 || !strings.Contains(out, "trying again") || !strings.Contains(out, fmt.Sprintf("%d of %d letters", count, count)) {
		t.Errorf("%d connections were cut: %s", cuts.Load(), out)
	}
	facteur.Command(Password+"\n", "import", "imap", fmt.Sprint("localhost:", dovecot.port), alice, "bob@example.org", "--ca", cert, "--starttls", "--password-stdin")
	for _, address := range []string{alice, "bob@example.org"} {
		status := strings.Join(strings.Fields(facteur.Command("", "mailbox", "status", address)), " ")
		if !strings.Contains(status, fmt.Sprint("INBOX ", count, " ")) {
			t.Error(address, status)
		}
	}
}

// breakingProxy passes connections on; it cuts the first ones after so many bytes of the
// server's.
func breakingProxy(t *testing.T, to string, after int64, times int32) (addr string, cuts *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cuts = new(atomic.Int32)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer far.Close()
				go io.Copy(far, near)
				if cuts.Load() < times {
					io.CopyN(near, far, after)
					cuts.Add(1)
					return
				}
				io.Copy(near, far)
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "localhost:" + port, cuts
}
