package imapd

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/login"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
	"facteur/internal/store/quota"
	"facteur/internal/test/people"
)

// house is a server on loopback over the real store, with the user alice whose
// password is "secret". For "slow", nobody can tell.
type house struct {
	addr   string
	store  *mailbox.Store
	spaces *namespace.House
	owner  mailbox.Owner
	events *recorder
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

func open(t testing.TB, change func(*Config)) *house {
	t.Helper()
	h := &house{events: &recorder{}, store: mailbox.New(vfs.OS{}, event.Discard)}
	h.owner = mailbox.Owner{Address: "alice@example.org", Home: filepath.Join(t.TempDir(), "alice"), Quota: quota.Limits{Bytes: 1 << 30}}
	if err := os.MkdirAll(h.owner.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	c := Config{Hostname: "mail.example.org", Version: "test", MaxMessage: 1 << 20, Events: h.events, FullText: true, Gate: gate(), Open: h.mailboxes}
	if change != nil {
		change(&c)
	}
	h.furnish(t, &namespace.Settings{Separator: '/', Users: "Users/", Public: "Public/", Comment: "A test", Admin: "mailto:postmaster@example.org"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	s := listen.New(listen.Options{Service: "imap"}, New(c).Serve)
	go s.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Drain(ctx)
		h.checkStore(t)
	})
	return h
}

// furnish gives alice and bob mailboxes as the settings say.
func (h *house) furnish(t testing.TB, s *namespace.Settings) {
	t.Helper()
	find := func(_ context.Context, address string) lookup.Answer[mailbox.Owner] {
		switch address {
		case h.owner.Address:
			return lookup.Yes(h.owner)
		case "bob@example.org":
			return lookup.Yes(h.bob())
		}
		return lookup.No[mailbox.Owner](os.ErrNotExist)
	}
	var err error
	if h.spaces, err = namespace.NewHouse(vfs.OS{}, filepath.Dir(h.owner.Home), h.store, find, s); err != nil {
		t.Fatal(err)
	}
	if err := h.spaces.DeclarePublic(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (h *house) bob() mailbox.Owner {
	return mailbox.Owner{Address: "bob@example.org", Home: filepath.Join(filepath.Dir(h.owner.Home), "bob")}
}

// checkStore asks the store whether index, views and files agree.
func (h *house) checkStore(t testing.TB) {
	a, err := h.store.Open(context.Background(), h.owner)
	if err != nil {
		t.Error(err)
		return
	}
	if err := a.Check(); err != nil {
		t.Error("the store is inconsistent:", err)
	}
	a.Close()
	h.store.Close()
}

// gate knows alice.
func gate(changes ...func(*login.Rules)) *login.Gate {
	return people.Gate(map[string]string{"alice": "secret", "bob": "secret"}, func(r *login.Rules) {
		r.Limits.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		for _, change := range changes {
			change(r)
		}
	})
}

func (h *house) mailboxes(ctx context.Context, account directory.Account) (*namespace.Space, error) {
	if account.Address == "bob" {
		return h.spaces.Open(ctx, h.bob())
	}
	return h.spaces.Open(ctx, h.owner)
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
	return newClient(t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	return &client{t, conn, bufio.NewReader(conn)}
}

// user is a client that is past the greeting and the log-in.
func (h *house) user(t testing.TB) *client {
	c := h.dial(t)
	c.line()
	c.do("login LOGIN alice secret")
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

// until reads lines up to the answer to tag, a continuation request or the end.
func (c *client) until(tag string) (lines []string) {
	for {
		l := c.line()
		lines = append(lines, l)
		if strings.HasPrefix(l, tag+" ") || strings.HasPrefix(l, "+ ") || l == "EOF" {
			return lines
		}
	}
}

// do sends a command and gives all that came back, in one string.
func (c *client) do(command string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	tag, _, _ := strings.Cut(command, " ")
	return strings.Join(c.until(tag), "\n")
}

// want is do with a text that has to be in the answer.
func (c *client) want(command, in string) string {
	c.t.Helper()
	got := c.do(command)
	if !strings.Contains(got, in) {
		c.t.Errorf("%s: got\n%s\nwant in it: %s", command, got, in)
	}
	return got
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
