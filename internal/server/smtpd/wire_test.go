package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
	"facteur/internal/server/listen"
)

// serveOn runs a door on a listener until the test ends.
func serveOn(t *testing.T, l net.Listener, c Config, d desk) {
	t.Helper()
	c.Hostname = "mx.local.example"
	if c.Rules == nil {
		c.Rules = testRules
	}
	s := listen.New(listen.Options{}, newServer(c, d).Serve)
	go s.Serve(l) //nolint:errcheck // Drain ends it
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s.Drain(ctx) //nolint:errcheck // a session that hangs fails its own test
	})
}

// TestLastWordArrives: a client that goes on sending after it was dropped still
// reads why. A plain close with unread bytes would reset the connection and take the
// reply with it.
func TestLastWordArrives(t *testing.T) {
	l, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, Config{}, newDouble())
	for range 20 {
		c := dial(t, l.Addr().String())
		io.WriteString(c.c, "EHLO x\r\n"+strings.Repeat("XYZZY "+strings.Repeat("y", 500)+"\r\n", 100)) //nolint:errcheck // the reply tells
		var last *smtp.Reply
		for {
			reply, err := smtp.ReadReply(c.r)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %v: %v", last, err)
			}
			last = reply
		}
		// EHLO with more behind it is improper, and so the last word too.
		if last == nil || last.Code != 503 && last.Code != 421 {
			t.Fatal("the last word was", last)
		}
	}
}

// TestLocal: a program of this machine hands mail over a Unix socket; the system says
// who runs it, and nobody logs in.
func TestLocal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "local.sock")
	l, err := listen.OpenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	desk, log := newDouble(), &lines{}
	serveOn(t, l, Config{Service: Local, Events: log, UserName: func(uid uint32) string { return fmt.Sprint("user", uid) }}, desk)
	c := dialOn(t, "unix", path)
	c.say("EHLO localhost\r\n", 250)
	c.say("AUTH PLAIN AAAA\r\n", 503)
	c.say("MAIL FROM:<a@b> HOLDFOR=60\r\n", 250)
	c.say("RCPT TO:<c@local.example>\r\n", 250)
	c.say("BDAT 2 LAST\r\nx\n", 250)
	c.say("QUIT\r\n", 221)
	c.ended()
	want := uint32(os.Getuid())
	p := desk.peers[0]
	if p.User == nil || p.User.UID != want || p.User.Name != fmt.Sprint("user", want) || p.Addr.IsValid() || p.Account != "" || !p.Submission || p.PerRecipient {
		t.Errorf("%+v, %+v", p, p.User)
	}
	if text := strings.Join(log.take(), "\n"); !strings.Contains(text, "connect from localhost[unix]") {
		t.Error(text)
	}
}

// TestLMTPOverUnix: SMTP-044 over a Unix socket, where whoever may open the socket is
// trusted.
func TestLMTPOverUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp.sock")
	l, err := listen.OpenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	desk := newDouble()
	serveOn(t, l, Config{Service: LMTP}, desk)
	c := dialOn(t, "unix", path)
	c.say("LHLO localhost\r\n", 250)
	c.say("MAIL FROM:<a@b>\r\n", 250)
	c.say("RCPT TO:<c@local.example>\r\n", 250)
	c.say("RCPT TO:<full@local.example>\r\n", 250)
	c.say("DATA\r\n", 354)
	c.say("x\r\n.\r\n", 250)
	c.say("", 452)
	c.say("QUIT\r\n", 221)
	if p := desk.peers[0]; !p.PerRecipient || p.User != nil || p.Protocol != "LMTP" {
		t.Errorf("%+v", p)
	}
}

// TestEarlyUser is SMTP-015 at submission: a program that talks before the banner is
// served like any other, and its haste is written down.
func TestEarlyUser(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	l, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "EHLO x\r\n") //nolint:errcheck // the reply tells
	log := &lines{}
	serveOn(t, l, Config{Service: Submission, Events: log}, newDouble())
	p := greet(t, c)
	p.say("", 250)
	p.say("QUIT\r\n", 221)
	p.ended()
	if text := strings.Join(log.take(), "\n"); !strings.Contains(text, "PREGREET") {
		t.Error(text)
	}
}

// TestRemarks: row 31, what was odd about a client is told once, with its name, and the desk
// hears of it in the same session; a trusted one is not held up to others.
func TestRemarks(t *testing.T) {
	for script, want := range map[string]string{
		"EHLO x\r\n|NOOP\n|NOOP\n|MAIL FROM:<a@b>\r\n": "[bare_newline]",
		"GET / HTTP/1.1\r\n":                           "[non_smtp_command]",
		"EHLO x\r\nMAIL FROM:<a@b>\r\n":                "[pipelining]",
		"EHLO x\r\n|MAIL FROM:<a@b>\r\n":               "[]",
	} {
		for _, remote := range []string{"192.0.2.1:1", "127.0.0.1:1"} {
			var told []intake.Remark
			desk := newDouble()
			talkFrom(desk, Config{Remarked: func(_ netip.Addr, r intake.Remark) { told = append(told, r) }}, remote, strings.Split(script, "|")...)
			public := want
			if remote[0] == '1' && remote[1] == '2' {
				public = "[]"
			}
			if got := fmt.Sprint(told); got != public {
				t.Errorf("%q from %s: %s, want %s", script, remote, got, public)
			}
			if len(desk.peers) == 1 && fmt.Sprint(desk.peers[0].Remarks) != want {
				t.Errorf("%q: the desk heard %v", script, desk.peers[0].Remarks)
			}
		}
	}
}

// TestStress: when there is hardly room for others, a stranger's first error is his
// last, and who is trusted does not notice.
func TestStress(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		l, err := listen.Open(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		rules := testRules()
		rules.Exempt = nil
		if !trusted {
			rules.Trusted = nil
		}
		gate := listen.NewGate(limit.NewBudget(limit.Ceilings{Connections: 10, Memory: 1 << 40}, nil), listen.DefaultRules())
		srv := newServer(Config{Hostname: "mx.local.example", Rules: func() *Rules { return rules }}, newDouble())
		s := listen.New(listen.Options{Service: "smtp", Gate: gate}, srv.Serve)
		go s.Serve(l) //nolint:errcheck // Drain ends it
		var all []*client
		for range 7 {
			all = append(all, dial(t, l.Addr().String()))
		}
		last := all[len(all)-1]
		last.say("XYZZY\r\n", 500)
		if trusted {
			last.say("NOOP\r\n", 250)
		} else {
			last.say("", 421)
			last.ended()
		}
		for _, c := range all {
			c.c.Close()
		}
		s.Drain(t.Context()) //nolint:errcheck // nobody is left
	}
}

func dialOn(t *testing.T, network, addr string) *client {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return greet(t, c)
}

// FuzzSessionTLS plays anything at the door after STARTTLS. What was sent in the
// clear before may be there too, and is never obeyed after it.
func FuzzSessionTLS(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b> REQUIRETLS\r\nRCPT TO:<c@local.example>\r\nBDAT 1 LAST\r\nx"), []byte(""))
	f.Add([]byte("EHLO x\r\nAUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\nSTARTTLS\r\n"), []byte("MAIL FROM:<a@b>\r\n"))
	f.Fuzz(func(t *testing.T, script, injected []byte) {
		if len(script) > 4096 || len(injected) > 1024 {
			return
		}
		client, server := net.Pipe()
		desk, log := newDouble(), &lines{}
		conn := listen.NewConn(server)
		conn.Remote, conn.Local = netip.MustParseAddrPort("192.0.2.1:4711"), netip.MustParseAddrPort("192.0.2.25:25")
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer conn.Close()
			newServer(Config{Hostname: "mx.local.example", TLS: testTLS(), Events: log, Rules: testRules}, desk).Serve(context.Background(), conn)
		}()
		client.SetDeadline(time.Now().Add(20 * time.Second))
		playTLS(client, script, injected)
		client.Close()
		<-done
		if desk.open != 0 {
			t.Fatal("a transaction is left open")
		}
		if len(injected) > 0 && (len(desk.kept) > 0 || len(desk.peers) > 0) {
			t.Fatalf("SMTP-009: %q was obeyed: %v", injected, desk.peers)
		}
	})
}

// playTLS is a client: STARTTLS with something behind it, and then the script.
func playTLS(c net.Conn, script, injected []byte) {
	go c.Write(append([]byte("STARTTLS\r\n"), injected...)) //nolint:errcheck // the server may hang up
	for seen := ""; !strings.Contains(seen, "Ready to start TLS"); {
		buf := make([]byte, 512)
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		seen += string(buf[:n])
	}
	if len(injected) > 0 {
		return
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if t.Handshake() != nil {
		return
	}
	go io.Copy(io.Discard, t) //nolint:errcheck // the replies are other tests'
	t.Write(script)           //nolint:errcheck // as above
}
