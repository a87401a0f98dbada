package imapd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/login"
	"facteur/internal/mail/imap"
	"facteur/internal/mail/sasl"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
	"facteur/internal/store/namespace"
)

func TestStartTLS(t *testing.T) {
	server, client := selfSigned(t)
	h := open(t, func(c *Config) { c.TLS = server })
	t.Run("log in under TLS", func(t *testing.T) {
		c := h.dial(t)
		if l := c.line(); !strings.Contains(l, " STARTTLS ") {
			t.Error(l)
		}
		c.want("a STARTTLS", "a OK Begin TLS")
		conn := tls.Client(c.conn, client)
		s := newClient(t, conn)
		if got := s.want("b CAPABILITY", "AUTH=PLAIN"); strings.Contains(got, "STARTTLS") {
			t.Error("offered again:", got)
		}
		s.want("c STARTTLS", "c NO [CANNOT]")
		s.want("d LOGIN alice secret", "d OK")
		s.want("e STARTTLS", "e BAD")
		s.want("f LOGOUT", "f OK")
	})
	t.Run("SMTP-009 IMAP-016 injected commands", func(t *testing.T) {
		c := h.dial(t)
		c.line()
		c.send("a STARTTLS\r\nb LOGIN alice secret\r\n")
		if l := c.line(); !strings.HasPrefix(l, "* BYE") {
			t.Error(l)
		}
		if l := c.line(); l != "EOF" {
			t.Error("IMAP-016: then", l)
		}
		if strings.Contains(h.events.all(), "secret") {
			t.Error("IMAP-016: a password is in the log")
		}
	})
	t.Run("no TLS spoken", func(t *testing.T) {
		c := h.dial(t)
		c.line()
		c.want("a STARTTLS", "a OK")
		c.send("b LOGIN alice secret\r\n")
		rest, _ := io.ReadAll(c.r)
		if strings.Contains(string(rest), "b OK") {
			t.Errorf("%q", rest)
		}
	})
}

// far is a session with a client that is not on this machine: a pipe has no
// addresses. It needs no store.
func far(ctx context.Context, c Config) (net.Conn, <-chan struct{}) {
	here, there := net.Pipe()
	c.Hostname, c.MaxMessage = "mail.example.org", 1<<20
	if c.Events == nil {
		c.Events = event.Discard
	}
	if c.Gate == nil {
		c.Gate = gate()
	}
	done := make(chan struct{})
	go func() {
		New(c).Serve(ctx, listen.NewConn(there))
		there.Close()
		close(done)
	}()
	return here, done
}

func TestLoginDisabled(t *testing.T) {
	asked := false
	conn, done := far(t.Context(), Config{Gate: gate(), Open: func(context.Context, directory.Account) (*namespace.Space, error) {
		asked = true
		return nil, errors.New("asked")
	}})
	c := newClient(t, conn)
	if l := c.line(); !strings.Contains(l, "LOGINDISABLED") || strings.Contains(l, "AUTH=") {
		t.Error("IMAP-016:", l)
	}
	c.want("a LOGIN alice secret", "a NO [PRIVACYREQUIRED]")
	c.want("b AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", "b NO [PRIVACYREQUIRED]")
	c.want("c STARTTLS", "c NO [CANNOT]")
	c.want("d LOGOUT", "d OK")
	<-done
	if asked {
		t.Error("IMAP-016: a password was looked at")
	}
}

// TestGuessing: wrong passwords cost a wait each, and the third the
// connection.
func TestGuessing(t *testing.T) {
	rec := &recorder{}
	h := open(t, func(c *Config) { c.Events = rec })
	c := h.dial(t)
	c.line()
	start := time.Now()
	c.want("a LOGIN alice wrong", "a NO [AUTHENTICATIONFAILED]")
	if time.Since(start) < time.Second {
		t.Error("answered at once")
	}
	c.want("b LOGIN nobody secret", "b NO [AUTHENTICATIONFAILED]")
	c.want("c AUTHENTICATE PLAIN AGFsaWNlAHdyb25n", "c NO [AUTHENTICATIONFAILED]")
	if l := c.line(); !strings.HasPrefix(l, "* BYE") {
		t.Error(l)
	}
	if l := c.line(); l != "EOF" {
		t.Error(l)
	}
	for range 100 {
		if strings.Contains(rec.all(), "Disconnected") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	line := rec.all()
	if !strings.Contains(line, "(auth failed, 3 attempts in ") || !strings.Contains(line, " secs): user=<alice>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<") {
		t.Error(line)
	}
	for _, secret := range []string{"wrong", "secret"} {
		if strings.Contains(line, secret) {
			t.Error("IMAP-016: a password is in the log")
		}
	}
}

func TestNonsense(t *testing.T) {
	conn, done := far(t.Context(), Config{})
	c := newClient(t, conn)
	c.line()
	for i := range maxBadBeforeLogin {
		c.want(fmt.Sprintf("a%d FROB", i), "BAD")
	}
	if l := c.line(); !strings.HasPrefix(l, "* BYE") {
		t.Error(l)
	}
	<-done
}

func TestLineTooLong(t *testing.T) {
	conn, done := far(t.Context(), Config{})
	c := newClient(t, conn)
	c.line()
	go io.WriteString(conn, strings.Repeat("x", 1<<20))
	if l := c.line(); l != "* BYE Command line too long" {
		t.Error("IMAP-002:", l)
	}
	<-done
}

func TestLoginDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		conn, done := far(t.Context(), Config{})
		r := bufio.NewReader(conn)
		r.ReadString('\n')
		drip := make(chan struct{})
		go func() {
			defer close(drip)
			for range 7 { // one octet in a while keeps nothing alive
				time.Sleep(10 * time.Second)
				conn.Write([]byte("x"))
			}
		}()
		l, _ := r.ReadString('\n')
		<-done
		if took := time.Since(start); took < loginTime || took > loginTime+10*time.Second || !strings.HasPrefix(l, "* BYE") {
			t.Error(took, l)
		}
		conn.Close()
		<-drip
	})
}

// TestStall: a client that does not read is cut off (ATTACKS IMAP-006).
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		conn, done := far(t.Context(), Config{})
		defer conn.Close()
		<-done // the greeting is never read
		if took := time.Since(start); took < stallTime || took > stallTime+time.Minute {
			t.Error("IMAP-006:", took)
		}
	})
}

func TestImplicitTLSAndIdleDeadline(t *testing.T) {
	server, client := selfSigned(t)
	h := open(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := listen.New(listen.Options{Service: "imaps", TLS: server},
		New(Config{Hostname: "x", MaxMessage: 1 << 20, Events: h.events, Gate: gate(), Open: h.mailboxes}).Serve)
	go s.Serve(l)
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.line()
	c.want("a LOGIN alice secret", "a OK")
	c.want("b SELECT INBOX", "b OK")
	c.want("c IDLE", "+ idling")
	ended := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s.Drain(ctx)
		close(ended)
	}()
	if l := c.line(); l != "* BYE [UNAVAILABLE] Server is shutting down" {
		t.Error(l)
	}
	<-ended
	if all := h.events.all(); !strings.Contains(all, "imap-login: Login: user=<alice>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=") ||
		!strings.Contains(all, "imap(alice)<") {
		t.Error(all)
	}
}

// sqliteError is an error with a code, as SQLite's have them.
type sqliteError int

func (e sqliteError) Error() string { return fmt.Sprint("SQLite says ", int(e)) }
func (e sqliteError) Code() int     { return int(e) }

// TestExplain is the table of errors and answers.
func TestExplain(t *testing.T) {
	rec := &recorder{}
	h := New(Config{Events: rec})
	here, there := net.Pipe()
	defer here.Close()
	for _, c := range []struct {
		command string
		err     error
		want    string
	}{
		{"NOOP", &imap.SyntaxError{Text: "x"}, "BAD x"}, {"SEARCH", &imap.LimitError{Text: "x"}, "NO [LIMIT] x"},
		{"SELECT", mailbox.ErrNoMailbox, "NO [NONEXISTENT]"}, {"UID COPY", mailbox.ErrNoMailbox, "NO [TRYCREATE]"},
		{"CREATE", fmt.Errorf("x: %w", mailbox.ErrExists), "NO [ALREADYEXISTS]"}, {"CREATE", mailbox.ErrBadName, "NO [CANNOT]"},
		{"APPEND", mailbox.ErrOverQuota, "NO [OVERQUOTA]"}, {"CREATE", mailbox.ErrLimit, "NO [LIMIT]"},
		{"STORE", mailbox.ErrReadOnly, "NO [NOPERM]"}, {"FETCH", mailbox.ErrGone, "NO [EXPUNGEISSUED]"},
		{"APPEND", &fs.PathError{Op: "write", Path: "/var/lib/secret", Err: syscall.ENOSPC}, "NO [OVERQUOTA] Not enough disk space"},
		{"COPY", fmt.Errorf("x: %w", syscall.EDQUOT), "NO [OVERQUOTA] Not enough disk space"},
		{"STORE", sqliteError(13), "NO [OVERQUOTA] Not enough disk space"}, {"SELECT", sqliteError(4874), "NO [OVERQUOTA] Not enough disk space"},
		{"STORE", sqliteError(5), "NO [INUSE]"}, {"STORE", sqliteError(5 | 2<<8), "NO [INUSE]"},
		{"STORE", sqliteError(11), "NO [CORRUPTION]"}, {"SELECT", sqliteError(26), "NO [CORRUPTION]"}, {"STORE", sqliteError(10), "NO [UNAVAILABLE]"},
		{"FETCH", fmt.Errorf("/var/lib/secret: %w", maildir.ErrDamaged), "NO [CORRUPTION]"},
		{"FETCH", errors.New("/var/lib/secret: i/o error"), "NO [UNAVAILABLE] Something went wrong here; ask about session "},
	} {
		s := newSession(h, newWire(listen.NewConn(there), h.pools))
		if got := s.explain(c.command, c.err); !strings.HasPrefix(got, c.want) || strings.Contains(got, "/var") {
			t.Errorf("%s %v: %q", c.command, c.err, got)
		}
	}
	for _, want := range []string{"Error: FETCH: /var/lib/secret: i/o error", "Error: APPEND: write /var/lib/secret: no space left on device",
		"Error: STORE: SQLite says 13", "Error: STORE: SQLite says 5", "Error: FETCH: /var/lib/secret: the letter's file is damaged"} {
		if all := rec.all(); !strings.Contains(all, want) {
			t.Errorf("%q is not in the log: %s", want, all)
		}
	}
}

func TestLogLines(t *testing.T) {
	w := listen.Who{Service: "imap", User: "a>, rip=1.2.3.4\r\n<b", Guest: listen.Guest{Remote: "192.0.2.1", Local: "192.0.2.2", TLS: true, Session: "S"}}
	pid := os.Getpid()
	_, got := listen.LoggedIn{Who: w, Method: "PLAIN"}.Line()
	if want := fmt.Sprintf("imap-login: Login: user=<a?, rip=1.2.3.4???b>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=%d, TLS, session=<S>", pid); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	w.User = "alice"
	_, got = LoggedOut{Who: w, In: 261, Out: 41432, Err: errLogout}.Line()
	const more = " deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0"
	if want := fmt.Sprintf("imap(alice)<%d><S>: Disconnected: Logged out in=261 out=41432", pid) + more; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	_, got = LoggedOut{Who: w, In: 1, Out: 2, Err: io.EOF}.Line()
	if want := fmt.Sprintf("imap(alice)<%d><S>: Disconnected: Connection closed in=1 out=2", pid) + more; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestIdentified(t *testing.T) {
	h := open(t, nil)
	c := h.dial(t)
	c.line()
	c.want(`a ID ("name" "Disconnected: x (auth failed, 1 attempts): rip=192.0.2.66")`, "a OK")
	c.want(`b ID ("name" "again")`, "b OK")
	want := "imap-login: ID sent: name=Disconnected_ x _auth failed_ 1 attempts__ rip_192.0.2.66: user=<>, rip=127.0.0.1"
	if all := h.events.all(); !strings.Contains(all, want) || strings.Contains(all, "again") {
		t.Error(all)
	}
}

// TestIdleMemory: many idle sessions fit (64 KiB each, at most).
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory")
	}
	const n = 40 // under the limit for one client
	h := open(t, nil)
	h.user(t).want("a SELECT INBOX", "a OK")
	before := heap()
	for range n {
		c := h.user(t)
		c.want("a SELECT INBOX", "a OK")
		c.want("b IDLE", "+ idling")
	}
	each := (heap() - before) / n
	t.Logf("%d octets for a session and its test client", each)
	if each > 64<<10 {
		t.Errorf("%d octets for an idle session", each)
	}
}

// TestNotReading: what a client asks for and does not take costs no memory.
func TestNotReading(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory")
	}
	h := open(t, nil)
	c := h.user(t)
	body := "Subject: x\r\n\r\n" + strings.Repeat("0123456789\r\n", 80_000)
	for range 20 {
		c.want(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s", len(body), body), "a OK")
	}
	c.want("b SELECT INBOX", "20 EXISTS")
	before := heap()
	c.send("c FETCH 1:* (BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[1])\r\n")
	if l := c.line(); !strings.HasPrefix(l, "* 1 FETCH") {
		t.Error(l)
	}
	time.Sleep(300 * time.Millisecond) // the server runs into a full socket
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("IMAP-006: %d octets for a client that does not read", grown)
	}
	c.conn.Close()
}

// TestHostileSets: sets that name more than there is cost what there is.
func TestHostileSets(t *testing.T) {
	h := open(t, nil)
	h.fill(t, 3)
	c := h.user(t)
	c.want("a SELECT INBOX", "a OK")
	for _, x := range []struct{ command, want string }{
		{"FETCH 1:4294967295 FLAGS", "BAD No such message number"},
		{"FETCH 4294967296 FLAGS", "BAD"},
		{"FETCH 0 FLAGS", "BAD"},
		{"FETCH $,1 FLAGS", "BAD"},
		{"FETCH *:1 UID", "* 3 FETCH (UID 3)\n"},
		{"UID FETCH 4294967295:1 UID", "* 3 FETCH (UID 3)\n"},
		{"UID STORE 1:* +FLAGS.SILENT (x)", "OK"},
		{"UID FETCH 2" + strings.Repeat(",1:4294967295,7", 3000) + " UID", "* 3 FETCH (UID 3)\n"},
		{"UID SEARCH UID 1:4294967295 NOT UID 2", "* SEARCH 1 3\n"},
		{"SEARCH " + strings.Repeat("NOT ", 200) + "ALL", "NO [LIMIT]"},
		{"SEARCH MODSEQ 9223372036854775808", "BAD"}, // IMAP-023
		{"SEARCH MODSEQ 9223372036854775807", "* SEARCH\n"},
		{"SEARCH RETURN (PARTIAL 1:4294967295) ALL", "PARTIAL (1:4294967295 1:3)"},
		{"SEARCH RETURN (PARTIAL -4294967295:-1) ALL", "PARTIAL (-1:-4294967295 1:3)"},
		{"SORT (" + strings.Repeat("REVERSE DATE ", 30) + "SIZE) UTF-8 ALL", "NO [LIMIT]"},
		{"SEARCH" + strings.Repeat(" ALL", 1001), "NO [LIMIT]"},
		{"STORE 1 +FLAGS (" + strings.Repeat("k", 200) + ")", "NO [LIMIT]"},
	} {
		c.want("x "+x.command, x.want)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// FuzzBeforeLogin: whatever a stranger sends, the session ends, answers only
// lines of IMAP and lets nobody in.
func FuzzBeforeLogin(f *testing.F) {
	for _, s := range []string{"", "a LOGIN x {3}\r\nyyy\r\n", "a AUTHENTICATE PLAIN\r\n=\r\n", "a AUTHENTICATE LOGIN\r\neA==\r\neQ==\r\n",
		"a APPEND x {5+}\r\nabcde\r\nb NOOP\r\n", "a STARTTLS\r\nb NOOP\r\n", "a SELECT x\r\nb ID NIL\r\nc CAPABILITY\r\nd LOGOUT\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		conn, done := far(context.Background(), Config{Gate: gate(func(r *login.Rules) { r.Delay = 0 })})
		go func() {
			conn.Write(in)
			conn.Write([]byte("\r\nzz LOGOUT\r\n"))
			select {
			case <-done:
			case <-time.After(100 * time.Millisecond): // a literal took it
			}
			conn.Close()
		}()
		out, _ := io.ReadAll(conn)
		<-done
		for _, l := range strings.SplitAfter(string(out), "\r\n") {
			if strings.Count(l, "\n") > 1 || strings.Contains(l, "Logged in") {
				t.Fatalf("%q gave %q", in, out)
			}
		}
	})
}

// ABU-012: who gives up once SCRAM has told him that his password is right counts as one
// who failed, and is in the log.
func TestGivenUpAfterTheSignature(t *testing.T) {
	for name, last := range map[string]string{"canceled": "*", "hung up": ""} {
		t.Run("ABU-012 "+name, func(t *testing.T) {
			rec := &recorder{}
			c := open(t, func(c *Config) { c.Events = rec }).dial(t)
			c.line()
			client := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: "alice", Password: "secret"}, nil, false)
			c.send("a AUTHENTICATE SCRAM-SHA-256 " + sasl.Encode(client.Start()) + "\r\n")
			challenge, err := sasl.Decode([]byte(strings.TrimPrefix(c.line(), "+ ")))
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Next(challenge)
			if err != nil {
				t.Fatal(err)
			}
			c.send(sasl.Encode(response) + "\r\n")
			c.line()
			if last != "" {
				c.send(last + "\r\n")
				c.until("a")
			}
			c.conn.Close()
			for range 500 {
				if strings.Contains(rec.all(), "Disconnected") {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if line := rec.all(); !strings.Contains(line, "(auth failed, 1 attempts in ") || !strings.Contains(line, "method=SCRAM-SHA-256") {
				t.Error(line)
			}
		})
	}
}
