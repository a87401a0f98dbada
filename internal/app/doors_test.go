package app

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/mail/sasl"
)

// settingsOf reads a file with text behind a name and a place.
func settingsOf(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	path := filepath.Join(dir, "facteur.toml")
	text = "hostname = \"mail.example.org\"\ndata_dir = \"data\"\n" + text + "\n[dns]\nservers = [\"127.0.0.1:9\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// call connects, sends words, and gives the first line of the answer and a way to
// go on.
func call(t *testing.T, network, address, words string) (string, net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, words)
	r := bufio.NewReader(c)
	line, _ := r.ReadString('\n')
	return line, c, r
}

func TestReloadReachesLimits(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	at := fmt.Sprint("127.0.0.1:", port)
	listener := fmt.Sprintf("[[listen]]\nservice = \"smtp\"\naddress = %q\n", at)
	limits := "[limits]\nexempt = []\nconnections_per_client = %d\n"
	house, _ := run(t, settingsOf(t, dir, fmt.Sprintf(limits, 1)+listener))
	if line, _, _ := call(t, "tcp", at, ""); !strings.HasPrefix(line, "220 ") {
		t.Fatalf("the first: %q", line)
	}
	const full = "421 4.7.0 mail.example.org Error: too many connections from 127.0.0.1: at most 1 at a time\r\n"
	if line, _, _ := call(t, "tcp", at, ""); line != full {
		t.Fatalf("the second: %q", line)
	}
	if err := house.Reload(settingsOf(t, dir, fmt.Sprintf(limits, 2)+listener)); err != nil {
		t.Fatal(err)
	}
	if line, _, _ := call(t, "tcp", at, ""); !strings.HasPrefix(line, "220 ") {
		t.Errorf("INV-23: the second after the reload: %q", line)
	}
}

// An office behind one address comes back all at once, and strangers do not; from where
// people read their mail no more is sent by strangers either.
func TestHomeComesBack(t *testing.T) {
	t.Parallel()
	dir, smtp := t.TempDir(), fmt.Sprint("127.0.0.1:", freePorts(t, 1)[0])
	more := fmt.Sprintf("[limits]\nexempt = []\nconnections_per_client = 2\n[[listen]]\nservice = \"smtp\"\naddress = %q\n", smtp)
	_, submission, imap := loginHouse(t, dir, more)
	outside := func(at string) (let int) {
		var all []net.Conn
		for range 25 {
			line, conn, _ := call(t, "tcp", at, "")
			if all = append(all, conn); strings.HasPrefix(line, "220 ") || strings.HasPrefix(line, "* OK") {
				let++
			}
		}
		for _, c := range all {
			c.Close()
		}
		return let
	}
	if n := outside(imap); n != 2 {
		t.Errorf("of strangers %d came in", n)
	}
	c := enter(t, submission, false, nil)
	c.offers()
	if got := c.auth(sasl.PLAIN, sasl.Plain(sasl.Credentials{User: alice, Password: secret}), nil); !in(got) {
		t.Fatal(got)
	}
	if n := outside(submission); n != 20 {
		t.Errorf("of an office %d came in", n)
	}
	if n := outside(smtp); n != 2 {
		t.Errorf("of the office %d came in where nobody logs in", n)
	}
}

// One account, whose password somebody found out, does not take every place.
func TestConnectionsPerAccount(t *testing.T) {
	t.Parallel()
	house, submission, imap := loginHouse(t, t.TempDir(), "[limits]\nexempt = []\nconnections_per_account = 2\n")
	if err := house.directory.AddAccount(t.Context(), mailAddress(t, "bob@example.org"), secret, 0); err != nil {
		t.Fatal(err)
	}
	bothDoors(t, submission, imap, func(t *testing.T, enter func(*tls.Config) *client) {
		as := func(user string) (*client, string) {
			c := enter(nil)
			c.offers()
			return c, c.auth(sasl.PLAIN, sasl.Plain(sasl.Credentials{User: user, Password: secret}), nil)
		}
		first, got := as(alice)
		if !in(got) {
			t.Fatal(got)
		}
		if _, got := as("ALICE@example.org"); !in(got) {
			t.Fatal(got)
		}
		third, got := as(alice)
		if want := "too many connections of this account"; !strings.Contains(strings.ToLower(got), want) || in(got) {
			t.Errorf("ABU-007: a third: %s", got)
		}
		if _, got := as("bob@example.org"); !in(got) {
			t.Errorf("somebody else: %s", got)
		}
		first.conn.Close()
		for deadline := time.Now().Add(30 * time.Second); ; {
			got := third.auth(sasl.PLAIN, sasl.Plain(sasl.Credentials{User: alice, Password: secret}), nil)
			if in(got) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after one is over: %s", got)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestReloadReachesListeners(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	at := fmt.Sprint("127.0.0.1:", port)
	listener := fmt.Sprintf("[[listen]]\nservice = \"smtp\"\naddress = %q\n", at)
	house, _ := run(t, settingsOf(t, dir, listener))
	old, conn, r := call(t, "tcp", at, "")
	if !strings.HasPrefix(old, "220 ") {
		t.Fatal(old)
	}
	if err := house.Reload(settingsOf(t, dir, listener+"proxy_protocol = true\nproxy_networks = [\"127.0.0.1\"]\n")); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "NOOP\r\n")
	if line, _ := r.ReadString('\n'); !strings.HasPrefix(line, "250 ") {
		t.Errorf("INV-23: a session from before: %q", line)
	}
	// (HTTP, because a stranger from far away is tested before his banner.)
	if line, _, _ := call(t, "tcp", at, "GET / HTTP/1.0\r\n"); line != "" {
		t.Errorf("ABU-020: without a PROXY header: %q", line)
	}
	if line, _, _ := call(t, "tcp", at, "PROXY TCP4 127.0.0.1 127.0.0.1 1024 25\r\n"); !strings.HasPrefix(line, "220 ") {
		t.Errorf("INV-23: with a PROXY header: %q", line)
	}
}

func TestUnixListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	listener := fmt.Sprintf("[[listen]]\nservice = \"smtp\"\naddress = \"unix:%s\"\n", path)
	house, _ := run(t, settingsOf(t, dir, listener))
	if line, _, _ := call(t, "unix", path, ""); !strings.HasPrefix(line, "220 ") {
		t.Errorf("got %q", line)
	}
	if err := house.Reload(settingsOf(t, dir, listener+"mode = \"0600\"\n")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after the reload: %v, %v", info.Mode(), err)
	}
}

// What a printer may do at its own listener, without a log-in.
func TestDeviceListener(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	at := fmt.Sprint("127.0.0.1:", port)
	run(t, settingsOf(t, dir, fmt.Sprintf("[[listen]]\nservice = \"submission\"\naddress = %q\ndevice_clients = [\"127.0.0.1\"]\n"+
		"device_senders = [\"scan@example.org\"]\ndevice_recipients = [\"boss@example.com\"]\ndevice_rate = 2\ntls_min_version = \"1.0\"\n", at)))
	line, conn, r := call(t, "tcp", at, "")
	if !strings.HasPrefix(line, "220 ") {
		t.Fatal(line)
	}
	say := func(words, want string) {
		t.Helper()
		fmt.Fprint(conn, words+"\r\n")
		if line, _ := r.ReadString('\n'); !strings.HasPrefix(line, want) {
			t.Errorf("%s: %q, want %q", words, line, want)
		}
	}
	say("HELO printer", "250 ")
	say("MAIL FROM:<ceo@example.org>", "553 5.7.1 ")
	say("MAIL FROM:<scan@example.org>", "250 ")
	say("RCPT TO:<stranger@example.com>", "554 5.7.1 ")
	say("RCPT TO:<boss@example.com>", "250 ")
	say("RSET", "250 ")
	say("MAIL FROM:<scan@example.org>", "250 ")
	say("RSET", "250 ")
	say("MAIL FROM:<scan@example.org>", "450 4.7.1 ")
}
