package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/login"
	"facteur/internal/mail/pop3"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/test/people"
)

var update = flag.Bool("update", false, "write what the server said into testdata")

// house is a server on loopback over the real store, with the user alice whose
// password is "secret". For "slow", nobody can tell.
type house struct {
	addr   string
	store  *mailbox.Store
	owner  mailbox.Owner
	events *recorder
	rules  *Rules
}

// recorder keeps the traditional lines of events.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, text := e.Line(); text != "" {
		r.lines = append(r.lines, text)
	}
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

func plain(t testing.TB) *Rules {
	f, err := pop3.ParseFormat("%08Xu%08Xv")
	if err != nil {
		t.Fatal(err)
	}
	return &Rules{UIDL: f, MarkSeen: true, Trash: "Trash", Hidden: "$POP3Deleted"}
}

func open(t testing.TB, change func(*Config, *Rules)) *house {
	t.Helper()
	h := &house{events: &recorder{}, store: mailbox.New(vfs.OS{}, event.Discard), rules: plain(t)}
	h.owner = mailbox.Owner{Address: "alice@example.org", Home: filepath.Join(t.TempDir(), "alice")}
	if err := os.MkdirAll(h.owner.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	gate := gateOf(t)
	c := Config{Hostname: "mail.example.org", Version: "test", Events: h.events, Gate: gate, Open: h.mailboxes,
		Maildrops: NewMaildrops(), Rules: func() *Rules { return h.rules }}
	if change != nil {
		change(&c, h.rules)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	s := listen.New(listen.Options{Service: "pop3", Events: h.events}, New(c).Serve)
	go s.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Drain(ctx)
		h.look(t, func(a *mailbox.Account) {
			if err := a.Check(); err != nil {
				t.Error("the store is inconsistent:", err)
			}
		})
		h.store.Close()
	})
	return h
}

// gateOf knows alice and bob.
func gateOf(testing.TB) *login.Gate {
	return people.Gate(map[string]string{"alice": "secret", "bob": "with spaces "}, func(r *login.Rules) {
		r.Limits.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		r.Delay = 10 * time.Millisecond
	})
}

func (h *house) mailboxes(ctx context.Context, _ directory.Account) (*mailbox.Account, error) {
	return h.store.Open(ctx, h.owner)
}

// look opens the account beside the server.
func (h *house) look(t testing.TB, do func(*mailbox.Account)) {
	t.Helper()
	a, err := h.store.Open(context.Background(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	do(a)
}

// fill stores letters.
func (h *house) fill(t testing.TB, letters ...string) {
	t.Helper()
	h.look(t, func(a *mailbox.Account) {
		for _, l := range letters {
			if _, _, err := a.Append(context.Background(), "INBOX", strings.NewReader(l), int64(len(l)), mailbox.AppendOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// count is how many letters a mailbox has, and how many of them are \Seen.
func (h *house) count(t testing.TB, name string) (all, seen int) {
	t.Helper()
	h.look(t, func(a *mailbox.Account) {
		s, err := a.Status(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		all, seen = int(s.Messages), int(s.Messages-s.Unseen)
	})
	return all, seen
}

// client is one connection, line by line.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (h *house) dial(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return &client{t, conn, bufio.NewReader(conn)}
}

// user is a client that is past the greeting and the log-in.
func (h *house) user(t testing.TB) *client {
	t.Helper()
	c := h.dial(t)
	c.line()
	c.want("USER alice", "+OK")
	c.want("PASS secret", "+OK Logged in.")
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// line is the next line without its end, "EOF" at the end.
func (c *client) line() string {
	text, err := c.r.ReadString('\n')
	if err != nil {
		return "EOF"
	}
	return strings.TrimSuffix(text, "\r\n")
}

// rest are the lines of a multi-line answer, the dot not included.
func (c *client) rest() (lines []string) {
	for {
		l := c.line()
		if l == "." || l == "EOF" {
			return lines
		}
		lines = append(lines, l)
	}
}

// want sends a command and looks at the begin of the answer's first line.
func (c *client) want(command, begin string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	got := c.line()
	if !strings.HasPrefix(got, begin) {
		c.t.Errorf("%s: %s, want %s", command, got, begin)
	}
	return got
}

// multi is want for a multi-line answer.
func (c *client) multi(command string) []string {
	c.t.Helper()
	if strings.HasPrefix(c.want(command, "+OK"), "+OK") {
		return c.rest()
	}
	return nil
}

// TestDialogues plays the scripts in testdata. "C:" is sent and "S:" expected, up to
// the next "C:"; C2 and S2 are a second connection. "L:" stores a letter before.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, open(t, nil), string(text))
			if *update {
				os.WriteFile(f, []byte(got), 0o644)
			} else if got != string(text) {
				t.Errorf("%s: got\n%s\nwant\n%s", f, got, text)
			}
		})
	}
}

// multiline are the commands with long answers.
var multiline = regexp.MustCompile(`^(CAPA|LIST|UIDL|AUTH|RETR \d+|TOP \d+ \d+)$`)

func play(t *testing.T, h *house, script string) string {
	var out bytes.Buffer
	parts := map[string]*client{}
	part := func(name string) *client {
		if parts[name] == nil {
			parts[name] = h.dial(t)
			out.WriteString("S" + name + ": " + parts[name].line() + "\n")
		}
		return parts[name]
	}
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		who, text, _ := strings.Cut(line, ":")
		text = strings.TrimPrefix(text, " ")
		switch {
		case strings.HasPrefix(line, "L:"):
			h.fill(t, strings.ReplaceAll(text, `\n`, "\r\n"))
		case strings.HasPrefix(who, "S"):
			continue
		case strings.HasPrefix(who, "C"):
			c := part(who[1:])
			out.WriteString(line + "\n")
			c.send(text + "\r\n")
			answer := []string{c.line()}
			if multiline.MatchString(text) && strings.HasPrefix(answer[0], "+OK") {
				answer = append(append(answer, c.rest()...), ".")
			}
			for _, l := range answer {
				out.WriteString(strings.TrimRight("S"+who[1:]+": "+steady(l), " ") + "\n")
			}
			continue
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// steady puts "…" for what differs from run to run.
func steady(line string) string {
	return regexp.MustCompile(`\b([0-9a-f]{8})[0-9a-f]{8}$|about session [\w-]+`).ReplaceAllString(line, "${1}…")
}

// selfSigned is a certificate for the test, and who trusts it.
func selfSigned(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "mail.example.org"}
}
