package smtpc_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"facteur/internal/net/smtpc"
	"facteur/internal/test/sim"
)

func fails(t *testing.T, target smtpc.Target, cfg smtpc.Config) *smtpc.Failure {
	t.Helper()
	c, err := smtpc.Dial(context.Background(), target, cfg)
	if err == nil {
		c.Close()
		t.Fatal("there is a connection")
	}
	var failure *smtpc.Failure
	if !errors.As(err, &failure) || failure.Reply == nil || failure.Error() == "" {
		t.Fatalf("not a *Failure with a reply: %v", err)
	}
	return failure
}

func TestDialFailures(t *testing.T) {
	impatient := config()
	impatient.Timeouts.Greeting = brief
	cases := []struct {
		name  string
		fault sim.Fault
		code  int
		stage smtpc.Stage
		err   error
	}{
		{"greeting 554", sim.Fault{At: "greeting", Raw: "554 5.7.1 Go away\r\n"}, 554, smtpc.StageGreeting, nil},
		{"greeting 421", sim.Fault{At: "greeting", Raw: "421 4.3.2 Busy\r\n", Then: sim.Drop}, 421, smtpc.StageGreeting, nil},
		{"greeting 354", sim.Fault{At: "greeting", Raw: "354 Hm\r\n"}, 451, smtpc.StageGreeting, smtpc.ErrProtocol},
		{"silent", sim.Fault{At: "greeting", Silent: true, Then: sim.Hang}, 451, smtpc.StageGreeting, smtpc.ErrLost},
		{"hangs up", sim.Fault{At: "greeting", Silent: true, Then: sim.Drop}, 451, smtpc.StageGreeting, smtpc.ErrLost},
		{"another protocol", sim.Fault{At: "greeting", Raw: "HTTP/1.1 400 Bad Request\r\n"}, 451, smtpc.StageGreeting, smtpc.ErrProtocol},
		{"two greetings", sim.Fault{At: "greeting", Extra: "250 Hello\r\n"}, 451, smtpc.StageHello, smtpc.ErrProtocol},
		{"EHLO 450", sim.Fault{At: "EHLO", Raw: "450 4.7.1 Later\r\n"}, 450, smtpc.StageHello, nil},
		{"lost at EHLO", sim.Fault{At: "EHLO", Silent: true, Then: sim.Reset}, 451, smtpc.StageHello, smtpc.ErrLost},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			cfg := config()
			if tc.fault.Then == sim.Hang {
				cfg = impatient
			}
			f := fails(t, target(startPeer(t, sim.Peer{Faults: []sim.Fault{tc.fault}})), cfg)
			if f.Reply.Code != tc.code || f.Stage != tc.stage || !errors.Is(f.Err, tc.err) || (f.Err == nil) != (tc.err == nil) {
				t.Errorf("got %v at %v (%v)", f.Reply, f.Stage, f.Err)
			}
		})
	}
}

func TestDialAddresses(t *testing.T) {
	s := startPeer(t, sim.Peer{})
	good := target(s)
	dead := good
	dead.Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.9"), good.Addrs[0]}
	t.Run("the second address answers", func(t *testing.T) {
		c, err := smtpc.Dial(context.Background(), dead, config())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want := fmt.Sprintf("mx.example[127.0.0.1]:%d", good.Port)
		if c.Peer() != want || c.Host() != "mx.example" {
			t.Errorf("peer is %q, want %q", c.Peer(), want)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		only := dead
		only.Addrs = dead.Addrs[:1]
		if f := fails(t, only, config()); f.Reply.Enhanced != "4.4.1" || !strings.Contains(f.Error(), ": Connection refused") {
			t.Errorf("got %v", f.Reply)
		}
	})
	t.Run("no address", func(t *testing.T) { fails(t, smtpc.Target{Host: "mx.example"}, config()) })
	t.Run("AUT-022 not permitted", func(t *testing.T) {
		cfg := config()
		cfg.Permit = func(a netip.Addr) bool { return !a.IsLoopback() }
		if f := fails(t, good, cfg); !errors.Is(f, smtpc.ErrNotPermitted) || !f.Reply.Temporary() {
			t.Errorf("got %v (%v)", f.Reply, f.Err)
		}
	})
	t.Run("the context ends", func(t *testing.T) {
		silent := startPeer(t, sim.Peer{Faults: []sim.Fault{{At: "greeting", Silent: true, Then: sim.Hang}}})
		ctx, cancel := context.WithTimeout(context.Background(), brief)
		defer cancel()
		if _, err := smtpc.Dial(ctx, target(silent), config()); err == nil {
			t.Error("there is a connection")
		}
	})
}

func TestHelo(t *testing.T) {
	s := startPeer(t, sim.Peer{Faults: []sim.Fault{{At: "EHLO", Raw: "502 5.5.1 What?\r\n"}}})
	c := dial(t, s, config())
	if c.Extensions().Pipelining {
		t.Error("HELO offers nothing")
	}
	expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
}

// A host that breaks off right behind the handshake is one whose TLS fails: mail goes in
// clear where that is allowed, and waits where it is not.
func TestBreaksOffUnderTLS(t *testing.T) {
	server, _ := certificate(t)
	for security, allowed := range map[smtpc.Security]bool{smtpc.Opportunistic: true, smtpc.Encrypted: false} {
		s := startPeer(t, sim.Peer{TLS: server, Faults: []sim.Fault{{At: "EHLO", Nth: 2, Silent: true, Then: sim.Drop}}})
		cfg := config()
		cfg.Security = security
		var told []smtpc.Session
		cfg.Observe = func(s smtpc.Session) { told = append(told, s) }
		c, err := smtpc.Dial(context.Background(), target(s), cfg)
		if (err == nil) != allowed || err != nil && !errors.Is(err, smtpc.ErrLost) {
			t.Fatalf("INV-18 %v", err)
		}
		if last := told[len(told)-1]; last.TLS != nil || last.Err == nil || last.Failed == allowed {
			t.Errorf("told %+v", last)
		}
		if err == nil {
			defer c.Close()
			if _, ok := c.TLS(); ok || c.TLSFailure() == nil {
				t.Errorf("TLS: %v, %v", ok, c.TLSFailure())
			}
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
		}
	}
}

func TestTLS(t *testing.T) {
	server, pool := certificate(t)
	t.Run("opportunistic takes any certificate", func(t *testing.T) {
		s := startPeer(t, sim.Peer{TLS: server})
		c := dial(t, s, config())
		if state, ok := c.TLS(); !ok || state.Version != tls.VersionTLS13 || state.CipherSuite == 0 {
			t.Errorf("TLS: %v %+v", ok, state)
		}
		for range 2 {
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
		}
		if got := s.Await(2, wait); !got[1].TLS || got[1].Conn != 1 {
			t.Errorf("arrived %+v", got)
		}
	})
	t.Run("verified", func(t *testing.T) {
		s := startPeer(t, sim.Peer{TLS: server})
		cfg := config()
		cfg.Security = smtpc.Verified
		if f := fails(t, target(s), cfg); !errors.Is(f, smtpc.ErrNoTLS) || !f.Reply.Temporary() {
			t.Errorf("with a certificate of nobody: %v", f.Reply)
		}
		cfg.TLS = &tls.Config{RootCAs: pool}
		dial(t, s, cfg)
		wrong := target(s)
		wrong.Host = "other.example"
		fails(t, wrong, cfg)
	})
	t.Run("required and not offered", func(t *testing.T) {
		cfg := config()
		cfg.Security = smtpc.Encrypted
		if f := fails(t, target(startPeer(t, sim.Peer{})), cfg); !errors.Is(f, smtpc.ErrNoTLS) {
			t.Errorf("got %v", f)
		}
	})
	t.Run("a broken handshake, and once more in clear", func(t *testing.T) {
		s := startPeer(t, sim.Peer{TLS: server, Faults: []sim.Fault{{At: "STARTTLS", Extra: "\x15\x03\x01garbage garbage", Then: sim.Drop}}})
		c := dial(t, s, config())
		if _, ok := c.TLS(); ok || c.TLSFailure() == nil {
			t.Errorf("TLS %v, failure %v", ok, c.TLSFailure())
		}
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
		cfg := config()
		cfg.Security = smtpc.Encrypted
		fails(t, target(s), cfg)
	})
	t.Run("refused, and on in clear", func(t *testing.T) {
		s := startPeer(t, sim.Peer{TLS: server, Faults: []sim.Fault{{At: "STARTTLS", Raw: "454 4.7.0 Not now\r\n"}}})
		c := dial(t, s, config())
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
	})
	t.Run("OUT-009 a reply glued behind the 220", func(t *testing.T) {
		// The glued lines say that nothing is offered and that MAIL is refused.
		s := startPeer(t, sim.Peer{TLS: server, Faults: []sim.Fault{{At: "STARTTLS", Extra: "250-evil.example\r\n250 AUTH PLAIN\r\n550 5.7.1 No\r\n"}}})
		c := dial(t, s, config())
		if _, ok := c.TLS(); !ok || c.Extensions().Host != "sink.invalid" || !c.Extensions().Pipelining {
			t.Errorf("TLS %v, extensions %+v", ok, c.Extensions())
		}
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
	})
	t.Run("implicit", func(t *testing.T) {
		l, err := tls.Listen("tcp", "127.0.0.1:0", server)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go script(l, "220 hi", "250 hi", "221 bye")
		cfg := config()
		cfg.Implicit = true
		c, err := smtpc.Dial(context.Background(), smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Quit(context.Background())
	})
}

// script takes one connection, and says one line for each that it reads; it
// returns what it read.
func script(l net.Listener, replies ...string) (heard []string) {
	nc, err := l.Accept()
	if err != nil {
		return nil
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(wait))
	r := bufio.NewReader(nc)
	for _, reply := range replies {
		io.WriteString(nc, reply+"\r\n")
		line, err := r.ReadString('\n')
		if err != nil {
			return heard
		}
		heard = append(heard, line)
	}
	return heard
}

func TestAuth(t *testing.T) {
	server, _ := certificate(t)
	auth := config()
	auth.Auth = &smtpc.Credentials{User: "user", Password: "secret"}
	t.Run("OUT-020 no TLS, no password", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		heard := make(chan []string, 1)
		go func() { heard <- script(l, "220 hi", "250-hi\r\n250 AUTH PLAIN LOGIN", "235 in", "250 ok") }()
		f := fails(t, smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}, auth)
		if !errors.Is(f, smtpc.ErrNoTLS) {
			t.Errorf("got %v", f)
		}
		if lines := strings.Join(<-heard, ""); strings.Contains(lines, "AUTH") {
			t.Errorf("the client said %q", lines)
		}
	})
	cases := []struct {
		name   string
		hide   []string
		faults []sim.Fault
		ok     bool
	}{
		{"PLAIN", nil, nil, true},
		{"no mechanism", []string{"AUTH"}, nil, false},
		{"wrong password", nil, []sim.Fault{{At: "AUTH", Raw: "535 5.7.8 No\r\n"}}, false},
		{"OUT-020 handshake fails", nil, []sim.Fault{{At: "STARTTLS", Raw: "454 4.7.0 No\r\n"}}, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{TLS: server, Hide: tc.hide, Faults: tc.faults})
			if tc.ok {
				dial(t, s, auth)
				return
			}
			f := fails(t, target(s), auth)
			if !f.Reply.Temporary() || strings.Contains(f.Error(), "secret") {
				t.Errorf("got %v", f.Reply)
			}
		})
	}
	t.Run("OUT-020 LOGIN with odd prompts", func(t *testing.T) {
		l, err := tls.Listen("tcp", "127.0.0.1:0", server)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		heard := make(chan []string, 1)
		go func() {
			heard <- script(l, "220 hi", "250-hi\r\n250 AUTH=LOGIN", "334 %%% not base64 ", "334", "235 in", "221 bye")
		}()
		cfg := auth
		cfg.Implicit = true
		c, err := smtpc.Dial(context.Background(), smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Quit(context.Background())
		c.Close()
		if lines := strings.Join(<-heard, ""); !strings.Contains(lines, "AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\nQUIT") {
			t.Errorf("the client said %q", lines)
		}
	})
}

func TestReplyText(t *testing.T) {
	t.Run("OUT-008 text is made printable", func(t *testing.T) {
		hostile := "550-5.1.1 \x1b[31mred\x1b[0m \xff\xfe %s%n <script>\r\n550 5.1.1 \u202eleft" + strings.Repeat("é", 4000) + "\r\n"
		s := startPeer(t, sim.Peer{Faults: []sim.Fault{{At: "RCPT", Raw: hostile}}})
		res := dial(t, s, config()).Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter))
		expect(t, res, "550 RCPT TO")
		text := res.Recipients[0].Reply.Text()
		if len(text) > 1024 || strings.ContainsAny(text, "\x1b\u202e\r\n") || !strings.Contains(text, "<script>") || res.Recipients[0].Reply.Enhanced != "5.1.1" {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	})
}

// TestEarlyAnswer: a peer that answers in the middle of the data is not obeyed,
// and does not get the dot.
func TestEarlyAnswer(t *testing.T) {
	for _, early := range []string{"552 5.3.4 Too large", "250 2.0.0 Ok: queued"} {
		t.Run(early, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			heard := make(chan string, 1)
			go func() {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(wait))
				r := bufio.NewReader(nc)
				for _, reply := range []string{"220 hi", "250 hi", "250 ok", "250 ok", "354 go"} {
					io.WriteString(nc, reply+"\r\n")
					r.ReadString('\n') // the last is the first of the message
				}
				io.WriteString(nc, early+"\r\n")
				rest, _ := io.ReadAll(r)
				heard <- string(rest)
			}()
			cfg := config()
			c, err := smtpc.Dial(context.Background(), smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// More than fits into the client's buffer, so that the peer sees its
			// beginning; then a pause that ends when the answer has come.
			start := strings.NewReader(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 2000))
			res := c.Send(context.Background(), envelope(t, "a@x.example"), io.MultiReader(start, untilUnusable{c}))
			expect(t, res, "451 DATA!")
			if !errors.Is(res.Recipients[0].Err, smtpc.ErrProtocol) || !strings.Contains(res.Recipients[0].Reply.Text(), early[4:9]) {
				t.Errorf("%v (%v)", res.Recipients[0].Reply, res.Recipients[0].Err)
			}
			c.Close()
			if rest := <-heard; strings.HasSuffix(rest, "\r\n.\r\n") {
				t.Error("the dot was sent")
			}
		})
	}
}

// untilUnusable is a body that ends when the peer has spoken.
type untilUnusable struct{ c *smtpc.Conn }

func (u untilUnusable) Read([]byte) (int, error) {
	for u.c.Usable() {
		time.Sleep(time.Millisecond)
	}
	return 0, io.EOF
}

// TestPeerStopsReading: data that do not go out have a deadline too.
func TestPeerStopsReading(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	defer close(done)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r := bufio.NewReaderSize(nc, 16)
		for _, reply := range []string{"220 hi", "250 hi", "250 ok", "250 ok", "354 go"} {
			io.WriteString(nc, reply+"\r\n")
			r.ReadString('\n')
		}
		<-done
	}()
	cfg := config()
	cfg.Timeouts.DataBlock = brief
	c, err := smtpc.Dial(context.Background(), smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res := c.Send(context.Background(), envelope(t, "a@x.example"), io.LimitReader(lines{}, 256<<20))
	expect(t, res, "451 DATA!")
	if !errors.Is(res.Recipients[0].Err, smtpc.ErrLost) || !strings.Contains(res.Recipients[0].Reply.Text(), "timed out") {
		t.Errorf("%v (%v)", res.Recipients[0].Reply, res.Recipients[0].Err)
	}
}

// lines is a message without end.
type lines struct{}

func (lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
		if i%64 == 63 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

// TestShutdown: the end of the context ends the waiting, and nobody is bounced.
func TestShutdown(t *testing.T) {
	s := startPeer(t, sim.Peer{Faults: []sim.Fault{{At: "end", Silent: true, Then: sim.Hang}}})
	c := dial(t, s, config())
	ctx, cancel := context.WithTimeout(context.Background(), brief)
	defer cancel()
	expect(t, c.Send(ctx, envelope(t, "a@x.example"), strings.NewReader(letter)), "451 end of DATA!")
}
