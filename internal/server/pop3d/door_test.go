package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/pop3"
	"facteur/internal/server/listen"
	"facteur/internal/store/mailbox"
)

const letter = "From: a@example.org\r\nSubject: hello\r\n\r\nHello.\r\n"

func TestDeletions(t *testing.T) {
	t.Run("POP-001 only after QUIT", func(t *testing.T) {
		h := open(t, nil)
		h.fill(t, letter, letter)
		c := h.user(t)
		c.want("DELE 1", "+OK")
		c.multi("RETR 2")
		c.conn.Close()
		h.await(t, "Disconnected: Connection closed top=0/0, retr=1/")
		if all, seen := h.count(t, "INBOX"); all != 2 || seen != 1 {
			t.Error(all, seen)
		}
		c = h.user(t)
		c.want("DELE 1", "+OK")
		c.want("QUIT", "+OK Logging out, messages deleted.")
		if all, _ := h.count(t, "INBOX"); all != 1 {
			t.Error(all)
		}
	})
	t.Run("trash", func(t *testing.T) {
		h := open(t, func(_ *Config, r *Rules) { r.Deletion, r.MarkSeen = Trash, false })
		h.fill(t, letter, letter)
		c := h.user(t)
		c.multi("RETR 1")
		c.want("DELE 1", "+OK")
		c.want("QUIT", "+OK")
		inbox, seen := h.count(t, "INBOX")
		if trash, _ := h.count(t, "Trash"); inbox != 1 || trash != 1 || seen != 0 {
			t.Error(inbox, trash, seen)
		}
	})
	t.Run("flag", func(t *testing.T) {
		h := open(t, func(_ *Config, r *Rules) { r.Deletion = Flag })
		h.fill(t, "a\r\n", "bb\r\n", "ccc\r\n")
		c := h.user(t)
		c.want("DELE 2", "+OK")
		c.want("QUIT", "+OK")
		c = h.user(t)
		if got := fmt.Sprint(c.multi("LIST")); got != "[1 3 2 5]" {
			t.Error(got)
		}
		if got := fmt.Sprint(c.multi("RETR 2")); got != "[ccc]" {
			t.Error(got)
		}
		if all, _ := h.count(t, "INBOX"); all != 3 {
			t.Error(all)
		}
	})
}

// await waits for a line of the log.
func (h *house) await(t testing.TB, text string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(h.events.all(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %q in\n%s", text, h.events.all())
}

func TestLock(t *testing.T) {
	t.Run("POP-002 lease", func(t *testing.T) {
		drops := NewMaildrops()
		h := open(t, func(c *Config, _ *Rules) { c.Maildrops = drops })
		h.fill(t, letter)
		first := h.user(t)
		first.want("DELE 1", "+OK")
		time.Sleep(50 * time.Millisecond) // it waits again
		drops.mu.Lock()
		for _, held := range drops.held {
			held.quiet = time.Now().Add(-2 * lease)
		}
		drops.mu.Unlock()
		second := h.user(t)
		second.want("STAT", "+OK 1 ")
		if l := first.line(); l != "-ERR [IN-USE] Another session took over" {
			t.Error(l)
		}
	})
	t.Run("POP-002 the session before is just ending", func(t *testing.T) {
		drops := NewMaildrops()
		h := open(t, func(c *Config, _ *Rules) { c.Maildrops = drops })
		ending := &hold{gone: make(chan struct{})}
		if !drops.try("alice", ending) {
			t.Fatal("somebody has the maildrop")
		}
		c := h.dial(t)
		c.line()
		c.want("USER alice", "+OK")
		time.AfterFunc(100*time.Millisecond, func() { drops.release("alice", ending) })
		c.want("PASS secret", "+OK")
	})
	t.Run("POP-002 off", func(t *testing.T) {
		h := open(t, func(_ *Config, r *Rules) { r.Shared = true })
		h.fill(t, letter)
		first, second := h.user(t), h.user(t)
		first.want("DELE 1", "+OK")
		first.want("QUIT", "+OK")
		second.want("RETR 1", "-ERR The message is gone")
	})
	t.Run("LOGIN-DELAY", func(t *testing.T) {
		h := open(t, func(_ *Config, r *Rules) { r.LoginDelay = time.Hour })
		c := h.dial(t)
		c.line()
		if got := strings.Join(c.multi("CAPA"), " "); !strings.Contains(got, "LOGIN-DELAY 3600") {
			t.Error(got)
		}
		h.user(t).want("QUIT", "+OK")
		c.want("USER alice", "+OK")
		c.want("PASS secret", "-ERR [LOGIN-DELAY]")
	})
	t.Run("LOGIN-DELAY counts log-ins only", func(t *testing.T) {
		drops := NewMaildrops()
		h := open(t, func(c *Config, r *Rules) { c.Maildrops, r.LoginDelay = drops, time.Hour })
		other := &hold{gone: make(chan struct{})}
		if !drops.try("alice", other) {
			t.Fatal("somebody has the maildrop")
		}
		c := h.dial(t)
		c.line()
		c.want("USER alice", "+OK")
		c.want("PASS secret", "-ERR [IN-USE]")
		drops.release("alice", other)
		c.want("USER alice", "+OK")
		c.want("PASS secret", "+OK")
	})
}

func TestStls(t *testing.T) {
	server, trusting := selfSigned(t)
	h := open(t, func(c *Config, _ *Rules) { c.TLS = server })
	h.fill(t, letter)
	t.Run("POP-003 injection", func(t *testing.T) {
		c := h.dial(t)
		c.line()
		c.send("STLS\r\nUSER alice\r\nPASS secret\r\n")
		if l := c.line(); l != "-ERR Nothing may follow STLS" {
			t.Error(l)
		}
		if l := c.line(); l != "EOF" {
			t.Error(l)
		}
	})
	c := h.dial(t)
	c.line()
	c.want("USER bob", "+OK")
	c.want("STLS", "+OK")
	secured := tls.Client(c.conn, trusting)
	c.conn, c.r = secured, bufio.NewReader(secured)
	c.want("PASS secret", "-ERR USER comes first")
	c.want("STLS", "-ERR [SYS/PERM]")
	c.want("USER alice", "+OK")
	c.want("PASS secret", "+OK")
	if got := c.multi("RETR 1"); len(got) != 4 {
		t.Error(got)
	}
	if !strings.Contains(h.events.all(), ", TLS, session=<") {
		t.Error(h.events.all())
	}
}

// A password is not taken where somebody could listen in.
func TestPrivacy(t *testing.T) {
	h := open(t, nil)
	here, there := net.Pipe()
	defer here.Close()
	conn := listen.NewConn(there) // of a pipe nobody knows the ends
	c := Config{Hostname: "x", Gate: nil, Maildrops: NewMaildrops(), Rules: func() *Rules { return h.rules }, Events: h.events}
	c.Gate = gateOf(t)
	go New(c).Serve(context.Background(), conn)
	cl := &client{t, here, bufio.NewReader(here)}
	here.SetDeadline(time.Now().Add(time.Minute))
	cl.line()
	if got := strings.Join(cl.multi("CAPA"), " "); strings.Contains(got, "USER") || strings.Contains(got, "SASL") {
		t.Error(got)
	}
	cl.want("USER alice", "-ERR [SYS/PERM] Only under TLS")
	cl.want("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "-ERR [SYS/PERM] Only under TLS")
	if strings.Contains(h.events.all(), "secret") {
		t.Error("POP-003: a password is in the log")
	}
}

func TestGuessing(t *testing.T) {
	h := open(t, nil)
	t.Run("POP-003 known and unknown", func(t *testing.T) {
		c := h.dial(t)
		c.line()
		known := c.want("USER alice", "+OK") + c.want("PASS wrong", "-ERR [AUTH]")
		unknown := c.want("USER nobody", "+OK") + c.want("PASS wrong", "-ERR [AUTH]")
		if known != unknown {
			t.Errorf("%q, %q", known, unknown)
		}
		c.want("USER alice", "+OK")
		c.want("PASS wrong", "-ERR [AUTH]")
		if l := c.line(); l != "-ERR Too many errors" {
			t.Error(l)
		}
	})
	h.await(t, "pop3-login: Disconnected: Too many errors (auth failed, 3 attempts in 0 secs): user=<alice>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<")
}

func TestLongLines(t *testing.T) {
	c := open(t, nil).user(t)
	c.want("NOOP "+strings.Repeat("x", 248), "-ERR NOOP takes nothing") // 255 octets
	c.want("NOOP "+strings.Repeat("x", 249), "-ERR Line too long")
	c.want("NOOP "+strings.Repeat("x", 9000), "-ERR Line too long")
	c.want("NOOP", "+OK")
	c.send(strings.Repeat("x", 80<<10))
	if l := c.line(); l != "-ERR Too many errors" {
		t.Error(l)
	}
}

func TestPipelining(t *testing.T) {
	h := open(t, nil)
	h.fill(t, letter)
	c := h.dial(t)
	c.line()
	const rounds = 2000
	c.send("USER alice\r\nPASS secret\r\n")
	go func() {
		io.WriteString(c.conn, strings.Repeat("NOOP\r\nRETR 1\r\n", rounds)+"QUIT\r\n")
	}()
	if l := c.line() + c.line(); l != "+OK+OK Logged in." {
		t.Fatal(l)
	}
	for i := range rounds {
		if l := c.line() + c.line(); l != "+OK+OK 47 octets" {
			t.Fatal(i, l)
		}
		c.rest()
	}
	if l := c.line(); l != "+OK Logging out." {
		t.Error(l)
	}
}

// A large letter goes through as it is, and is not kept in memory.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	h := open(t, nil)
	line := append(bytes.Repeat([]byte("\xe9."), 499), "\r\r\n"...)
	text := append([]byte("Subject: large\r\n\r\n"), bytes.Repeat(append([]byte("."), line...), 100_000)...)
	h.fill(t, string(text))
	c := h.user(t)
	t.Run("POP-004", func(t *testing.T) {
		c.want("RETR 1", fmt.Sprintf("+OK %d octets", len(text)))
		sum := sha256.New()
		for {
			l, err := c.r.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			if string(l) == ".\r\n" {
				break
			}
			sum.Write(bytes.TrimPrefix(l, []byte(".")))
		}
		if want := sha256.Sum256(text); !bytes.Equal(sum.Sum(nil), want[:]) {
			t.Error("not the letter that was stored")
		}
	})
}

// Unique-ids that another server left stand in Dovecot's list.
func TestOwnUIDLs(t *testing.T) {
	h := open(t, nil)
	dir := filepath.Join(h.owner.Home, "Maildir")
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"1700000001.M1.host", "1700000002.M2.host", "1700000003.M3.host"} {
		if err := os.WriteFile(filepath.Join(dir, "cur", name+":2,"), []byte(letter), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := "3 V1700000000 N8 G00112233445566778899aabbccddeeff\n" +
		"5 PUID17-1234567 :1700000001.M1.host\n6 W47 P" + strings.Repeat("x", 71) + " :1700000002.M2.host\n7 :1700000003.M3.host\n"
	if err := os.WriteFile(filepath.Join(dir, "dovecot-uidlist"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "[1 UID17-1234567 2 000000066553f100 3 000000076553f100]"
	for range 2 {
		c := h.user(t)
		if got := fmt.Sprint(c.multi("UIDL")); got != want {
			t.Error(got)
		}
		c.want("UIDL 1", "+OK 1 UID17-1234567")
		c.want("QUIT", "+OK")
	}
}

// FuzzSession: whatever a client says, each command gets its answer, and a session
// that does not say QUIT deletes nothing.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"STAT\r\nLIST\r\nDELE 1\r\nRSET\r\n", "UIDL 1\r\nTOP 1 0\r\nRETR 2\r\n", "DELE 1\nDELE 2\n", "AUTH PLAIN\r\n*\r\n", "STLS\r\n\x16\x03\x01", strings.Repeat("x", 300) + "\r\n",
	} {
		f.Add([]byte(s))
	}
	h := open(f, nil)
	h.fill(f, letter, letter)
	f.Fuzz(func(t *testing.T, said []byte) {
		if bytes.Contains(bytes.ToUpper(said), []byte("QUIT")) {
			return
		}
		c := h.user(t)
		c.conn.Write(said)
		c.conn.(*net.TCPConn).CloseWrite()
		heard, err := io.ReadAll(c.r)
		if err == nil && len(heard) > 0 && !bytes.HasPrefix(heard, []byte("+OK")) && !bytes.HasPrefix(heard, []byte("-ERR")) {
			t.Errorf("%q: %q", said, heard)
		}
		if all, _ := h.count(t, "INBOX"); all != 2 {
			t.Fatal("POP-001: letters are gone without QUIT")
		}
	})
}

// runs starts a program, or skips the test.
func runs(t *testing.T, name string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts other programs")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("no " + name + " here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "USER=alice", "LOGNAME=alice")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestClients(t *testing.T) {
	setup := func(t *testing.T) (h *house, host, port string) {
		h = open(t, nil)
		h.fill(t, letter, strings.ReplaceAll(letter, "Hello.", ".Bye."))
		host, port, _ = strings.Cut(h.addr, ":")
		return h, host, port
	}
	write := func(t *testing.T, name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gone := func(t *testing.T, h *house) {
		t.Helper()
		if all, _ := h.count(t, "INBOX"); all != 0 {
			t.Errorf("%d letters are left", all)
		}
	}
	t.Run("curl", func(t *testing.T) {
		h, _, _ := setup(t)
		if got := runs(t, "curl", "-s", "-u", "alice:secret", "pop3://"+h.addr+"/2"); got != strings.ReplaceAll(letter, "Hello.", ".Bye.") {
			t.Errorf("%q", got)
		}
	})
	t.Run("poplib", func(t *testing.T) {
		h, host, port := setup(t)
		got := runs(t, "python3", "-c", `
import poplib, sys
p = poplib.POP3(sys.argv[1], int(sys.argv[2]))
print(sorted(p.capa()))
p.user('alice'); p.pass_('secret')
print(p.stat(), p.list()[1], len(p.uidl()[1]), p.retr(2)[1][-1], p.top(1, 0)[1][0])
p.dele(1); p.dele(2); print(p.quit())
`, host, port)
		if !strings.Contains(got, "(2, 93) [b'1 47', b'2 46'] 2 b'.Bye.' b'From: a@example.org'") {
			t.Error(got)
		}
		gone(t, h)
	})
	t.Run("fetchmail", func(t *testing.T) {
		h, host, port := setup(t)
		rc := write(t, "rc", fmt.Sprintf("poll %s protocol pop3 port %s uidl auth password user alice password secret sslproto '' nokeep mda cat\n", host, port))
		if got := runs(t, "fetchmail", "-f", rc, "--nodetach", "--nosyslog", "--pidfile", filepath.Join(t.TempDir(), "pid")); !strings.Contains(got, "Hello.") || !strings.Contains(got, ".Bye.") {
			t.Error(got)
		}
		gone(t, h)
	})
	t.Run("mpop", func(t *testing.T) {
		h, host, port := setup(t)
		box := filepath.Join(t.TempDir(), "mbox")
		rc := write(t, "rc", fmt.Sprintf("account default\nhost %s\nport %s\nuser alice\npassword secret\ntls off\nauth plain\nkeep off\nuidls_file %s\ndelivery mbox %s\n", host, port, box+".uidls", box))
		runs(t, "mpop", "-C", rc)
		if text, err := os.ReadFile(box); err != nil || strings.Count(string(text), "Subject: hello") != 2 {
			t.Errorf("%q, %v", text, err)
		}
		gone(t, h)
	})
	t.Run("getmail", func(t *testing.T) {
		h, host, port := setup(t)
		box := filepath.Join(t.TempDir(), "box")
		rc := write(t, "rc", fmt.Sprintf("[retriever]\ntype = SimplePOP3Retriever\nserver = %s\nport = %s\nusername = alice\npassword = secret\n"+
			"[destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = ('-a', '%s')\nallow_root_commands = true\n[options]\ndelete = true\n", host, port, box))
		runs(t, "getmail", "--getmaildir", t.TempDir(), "--rcfile", rc)
		if text, err := os.ReadFile(box); err != nil || strings.Count(string(text), "Subject: hello") != 2 {
			t.Errorf("%q, %v", text, err)
		}
		gone(t, h)
	})
}

func TestMarks(t *testing.T) {
	var m marks
	for _, n := range []uint32{1, 63, 64, 100, 64} {
		m.add(n, 100)
	}
	if m.n != 4 || !m.has(64) || m.has(65) || m.has(2) {
		t.Error(m)
	}
}

func TestRulesAsked(t *testing.T) {
	if f, err := pop3.ParseFormat("%v.%u"); err == nil {
		h := open(t, func(_ *Config, r *Rules) { r.UIDL = f })
		h.fill(t, letter)
		var validity uint32
		h.look(t, func(a *mailbox.Account) {
			s, _ := a.Status(context.Background(), "INBOX")
			validity = s.UIDValidity
		})
		h.user(t).want("UIDL 1", fmt.Sprintf("+OK 1 %d.1", validity))
	}
}
