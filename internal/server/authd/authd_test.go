package authd

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/login"
	"facteur/internal/mail/authline"
	"facteur/internal/mail/sasl"
	"facteur/internal/net/authclient"
	"facteur/internal/server/listen"
	"facteur/internal/test/people"
)

const alice, secret = "alice@example.org", "sécret 1"

// notebook keeps the lines of the log.
type notebook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notebook) Emit(e event.Event) {
	_, line := e.Line()
	_, attrs := e.Record()
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintln(&n.text, line, attrs)
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// room is a server on a socket.
type room struct {
	path string
	log  *notebook
}

// open serves on a socket; serve picks the language.
func open(t *testing.T, change func(*login.Rules), serve func(*Server) listen.Handler) room {
	t.Helper()
	r := room{filepath.Join(t.TempDir(), "s"), &notebook{}}
	gate := people.Gate(map[string]string{alice: secret}, func(rules *login.Rules) {
		rules.Delay = 0
		if change != nil {
			change(rules)
		}
	})
	l, err := listen.OpenUnix(context.Background(), r.path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := listen.New(listen.Options{Service: "auth", Events: r.log}, serve(New(Config{Gate: gate, UID: -1, GID: -1, Events: r.log})))
	go s.Serve(l) //nolint:errcheck // Drain ends it
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Drain(ctx)
	})
	return r
}

func dovecot(s *Server) listen.Handler   { return s.Dovecot }
func saslauthd(s *Server) listen.Handler { return s.Saslauthd }

// client speaks Dovecot's protocol.
type client struct {
	t *testing.T
	net.Conn
	r     *bufio.Reader
	hello []string
}

func dial(t *testing.T, r room) *client {
	t.Helper()
	c, err := net.Dial("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	x := &client{t: t, Conn: c, r: bufio.NewReader(c)}
	for {
		line := x.line()
		if line == "DONE" {
			break
		}
		x.hello = append(x.hello, line)
	}
	x.say("VERSION\t1\t2", "CPID\t1")
	return x
}

func (c *client) say(lines ...string) { fmt.Fprint(c, strings.Join(lines, "\n")+"\n") }

func (c *client) line() string {
	c.t.Helper()
	text, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q %v", text, err)
	}
	return strings.TrimSuffix(text, "\n")
}

// gone tells that the server hung up.
func (c *client) gone() bool {
	_, err := c.r.ReadString('\n')
	return err != nil
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// Rows 68 and 69: what there is, with the properties that Postfix chooses by.
func TestGreeting(t *testing.T) {
	c := dial(t, open(t, nil, dovecot))
	all := strings.Join(c.hello, "\n")
	for _, want := range []string{"VERSION\t1\t2", "MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext", "MECH\tSCRAM-SHA-256\tmutual-auth", "SPID\t", "COOKIE\t"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
	if strings.Contains(all, "PLUS") {
		t.Error("a binding to a TLS connection that is another program's")
	}
}

func TestPlain(t *testing.T) {
	r := open(t, nil, dovecot)
	c := dial(t, r)
	for say, want := range map[string]string{
		"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.7\tresp=" + plain(alice, secret): "OK\t1\tuser=" + alice,
		"AUTH\t2\tplain\tservice=smtp\tresp=" + plain(alice, "wrong"):               "FAIL\t2\tuser=" + alice,
		"AUTH\t3\tPLAIN\tservice=smtp\tresp=" + plain("bob@example.org", secret):    "FAIL\t3\tuser=bob@example.org",
		"AUTH\t4\tPLAIN\tservice=smtp\tresp=" + plain("later@example.org", secret):  "FAIL\t4\tuser=later@example.org\ttemp",
		"AUTH\t5\tNTLM\tservice=smtp":                                               "FAIL\t5",
		"AUTH\t6\tPLAIN\tservice=smtp\tresp=!":                                      "FAIL\t6",
		"AUTH\t7\tPLAIN\tservice=smtp\tresp=*":                                      "FAIL\t7",
		"AUTH\t8\tPLAIN\tservice=smtp\tresp=" + plain("tab\tin\nname", secret):      "FAIL\t8\tuser=tab\x01tin\x01nname",
	} {
		c.say(say)
		if got := c.line(); got != want {
			t.Errorf("%q: %q", say, got)
		}
	}
	log := r.log.String()
	if !strings.Contains(log, "auth-login: Login: user=<"+alice+">, method=PLAIN, rip=192.0.2.7") {
		t.Error(log)
	}
	if strings.Contains(log, secret) || strings.Contains(log, plain(alice, secret)) { // MAP-010
		t.Error("a password in the log: ", log)
	}
}

func TestExchanges(t *testing.T) {
	c := dial(t, open(t, nil, dovecot))
	// Two at a time, under numbers of their own.
	c.say("AUTH\t7\tLOGIN\tservice=smtp", "AUTH\t9\tSCRAM-SHA-256\tservice=smtp")
	scram := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: alice, Password: secret}, nil, false)
	scrams := [][]byte{scram.Start()}
	logins := []string{alice, secret}
	for ended := 0; ended < 2; {
		l, err := authline.Parse(c.line())
		if err != nil {
			t.Fatal(err)
		}
		challenge, _ := base64.StdEncoding.DecodeString(l.Field(1))
		switch {
		case l.Name == "OK":
			ended++
		case l.Name == "CONT" && l.Field(0) == "7":
			c.say("CONT\t7\t" + base64.StdEncoding.EncodeToString([]byte(logins[0])))
			logins = logins[1:]
		case l.Name == "CONT" && l.Field(0) == "9":
			if len(scrams) == 0 {
				next, err := scram.Next(challenge)
				if err != nil {
					t.Fatal(err)
				}
				scrams = append(scrams, next)
			}
			c.say("CONT\t9\t" + base64.StdEncoding.EncodeToString(scrams[0]))
			scrams = scrams[1:]
		default:
			t.Fatal(l)
		}
	}
	c.say("AUTH\t11\tLOGIN\tservice=smtp")
	c.line()
	c.say("CANCEL\t11")
	if got := c.line(); got != "FAIL\t11" {
		t.Error(got)
	}
	c.say("CANCEL\t11", "AUTH\t12\tPLAIN\tresp="+plain(alice, secret))
	if got := c.line(); got != "OK\t12\tuser="+alice {
		t.Error(got)
	}
}

// A client is hung up on when it is none: the connection of another is not disturbed.
func TestHungUp(t *testing.T) {
	r := open(t, nil, dovecot)
	for name, lines := range map[string][]string{
		"version 2":                   {"VERSION\t2\t0"},
		"no number":                   {"AUTH\tx\tPLAIN"},
		"a number twice":              {"AUTH\t1\tLOGIN", "AUTH\t1\tLOGIN"},
		"MAP-006 no exchange of ours": {"CONT\t77\tAAAA"},
		"too many at a time":          manyAuths(maxExchanges + 1),
		"MAP-006 a line of 100 KiB":   {strings.Repeat("a", 100<<10)},
		"nonsense without end":        strings.Split(strings.Repeat("X\t1\n", maxUnknown+1), "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, r)
			c.say(lines...)
			for !c.gone() {
			}
		})
	}
}

func manyAuths(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("AUTH\t%d\tLOGIN", i))
	}
	return lines
}

// ABU-012: what one client fails in is counted for it, and for nobody else.
func TestLimits(t *testing.T) {
	c := dial(t, open(t, func(r *login.Rules) { r.Limits.PerClient = 3 }, dovecot))
	ask := func(id int, rip, password string) string {
		c.say(fmt.Sprintf("AUTH\t%d\tPLAIN\trip=%s\tresp=%s", id, rip, plain(alice, password)))
		return c.line()
	}
	for i := range 3 {
		ask(i, "192.0.2.7", fmt.Sprint("wrong", i))
	}
	if got := ask(4, "192.0.2.7", secret); !strings.HasSuffix(got, "\ttemp") {
		t.Error(got)
	}
	if got := ask(5, "198.51.100.9", secret); !strings.HasPrefix(got, "OK") {
		t.Error(got)
	}
	// Who hides behind no address is one client with all who do.
	for i := range 3 {
		ask(10+i, "", fmt.Sprint("wrong", i))
	}
	if got := ask(20, "nonsense", secret); !strings.HasSuffix(got, "\ttemp") {
		t.Error(got)
	}
}

// Both ends are ours, in both languages.
func TestOurClients(t *testing.T) {
	for kind, serve := range map[string]func(*Server) listen.Handler{"dovecot:": dovecot, "saslauthd:": saslauthd} {
		r := open(t, nil, serve)
		c, err := authclient.New(kind + r.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			user, password string
			want           lookup.State
		}{
			{alice, secret, lookup.Found}, {alice, "wrong", lookup.NotFound}, {"bob@example.org", secret, lookup.NotFound},
			{alice, "", lookup.NotFound}, {alice + "\x00", secret, lookup.NotFound}, {alice, strings.Repeat("x", 5000), lookup.NotFound},
		} {
			if got := c.Check(t.Context(), x.user, x.password, "smtp"); got.State() != x.want {
				t.Errorf("%s%s %q: %v %v", kind, x.user, x.password, got.State(), got.Err())
			}
		}
	}
}

// MAP-006: what breaks off, hangs or floods is "try again", in time.
func TestBadServices(t *testing.T) {
	for name, say := range map[string]string{
		"closes at once": "", "half a length": "\x00", "too long": "\xff\xff" + strings.Repeat("O", 70000), "half an answer": "\x00\x05OK",
		"nonsense": "\x00\x05HALLO", "another version": "VERSION\t2\t0\n", "a greeting without end": strings.Repeat("MECH\tX\n", 1000),
		"a line without end": strings.Repeat("x", 1<<20), "an odd answer": "VERSION\t1\t2\nDONE\nHM\t1\n", "that of another": "VERSION\t1\t2\nDONE\nOK\t2\tuser=x\n",
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Read(make([]byte, 10)) //nolint:errcheck // it is a bad service
				c.Write([]byte(say))     //nolint:errcheck // it is a bad service
				c.Close()
			}
		}()
		for _, kind := range []string{"dovecot:", "saslauthd:"} {
			c, _ := authclient.New(kind + path)
			if got := c.Check(t.Context(), alice, secret, "smtp"); got.State() != lookup.TryAgain || strings.Contains(got.Err().Error(), secret) {
				t.Errorf("%s %s: %v %v", kind, name, got.State(), got.Err())
			}
		}
		l.Close()
	}
	c, _ := authclient.New("saslauthd:/nowhere")
	if got := c.Check(t.Context(), alice, secret, "smtp"); got.State() != lookup.TryAgain {
		t.Error(got.State())
	}
}
