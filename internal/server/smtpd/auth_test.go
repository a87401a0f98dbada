package smtpd

import (
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/login"
	"facteur/internal/mail/sasl"
	"facteur/internal/server/listen"
	"facteur/internal/test/people"
)

// door is a session of a user on this machine, past its EHLO.
func door(t *testing.T, g *login.Gate, log ...event.Sink) *textproto.Conn {
	t.Helper()
	near, far := net.Pipe()
	far.SetDeadline(time.Now().Add(30 * time.Second))
	conn := listen.NewConn(near)
	conn.Remote, conn.Local = netip.MustParseAddrPort("127.0.0.1:4711"), netip.MustParseAddrPort("127.0.0.1:587")
	config := Config{Hostname: "mx.local.example", Service: Submission, Gate: g}
	for _, sink := range log {
		config.Events = sink
	}
	srv := newServer(config, newDouble())
	over := make(chan struct{})
	go func() { defer close(over); defer near.Close(); srv.Serve(t.Context(), conn) }()
	t.Cleanup(func() { far.Close(); <-over })
	c := textproto.NewConn(far)
	wantReply(t, c, 220, "")
	say(t, c, "EHLO x")
	wantReply(t, c, 250, "")
	return c
}

func say(t *testing.T, c *textproto.Conn, line string) {
	t.Helper()
	if err := c.PrintfLine("%s", line); err != nil {
		t.Fatal(err)
	}
}

func wantReply(t *testing.T, c *textproto.Conn, code int, text string) string {
	t.Helper()
	_, got, err := c.ReadResponse(code)
	if err != nil || text != "" && got != text {
		t.Fatalf("got %q, %v; want %d %s", got, err, code, text)
	}
	return got
}

// The last word of SCRAM is a challenge: SMTP has no place for it in its 235.
func TestSCRAMOverSMTP(t *testing.T) {
	for password, right := range map[string]bool{"secret": true, "wrong": false} {
		c := door(t, testGate())
		client := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: "alice@local.example", Password: password}, nil, false)
		say(t, c, "AUTH SCRAM-SHA-256 "+sasl.Encode(client.Start()))
		for range 2 {
			challenge, err := sasl.Decode([]byte(wantReply(t, c, 334, "")))
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Next(challenge)
			if err != nil {
				t.Fatal(err)
			}
			say(t, c, sasl.Encode(response))
			if !right {
				wantReply(t, c, 535, "5.7.8 Error: authentication failed: wrong user name or password")
				break
			}
		}
		if right {
			wantReply(t, c, 235, "")
		}
		if client.Done() != right {
			t.Errorf("%s: the server proved to know it: %v", password, client.Done())
		}
	}
}

// SMTP-037, CRAM-MD5 where it is asked for, and what is said over the limit.
func TestCRAMOverSMTPAndLimit(t *testing.T) {
	g := people.Gate(map[string]string{"alice@local.example": "secret"}, func(r *login.Rules) {
		r.Mechanisms, r.Delay, r.Limits.PerClient = []string{sasl.CRAMMD5}, 0, 2
	})
	c := door(t, g)
	for _, try := range []struct {
		password string
		code     int
		text     string
	}{
		{"one", 535, "5.7.8 Error: authentication failed: wrong user name or password"},
		{"two", 535, "5.7.8 Error: authentication failed: wrong user name or password"},
		{"secret", 454, "4.7.0 Error: too many failed log-ins; try again later"},
	} {
		say(t, c, "AUTH CRAM-MD5")
		challenge, err := sasl.Decode([]byte(wantReply(t, c, 334, "")))
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, sasl.Encode(sasl.CRAM(sasl.Credentials{User: "alice@local.example", Password: try.password}, challenge)))
		wantReply(t, c, try.code, try.text)
	}
	say(t, c, "AUTH PLAIN")
	wantReply(t, c, 504, "")
}

// ABU-012: who gives up once SCRAM has told him that his password is right has found one
// out, and the log knows; who gives up before has learned nothing.
func TestGivenUpAfterTheSignature(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers int // to challenges, before he gives up
		last    string
		logged  bool
	}{
		{"before the proof", 0, "*", false},
		{"canceled", 1, "*", true},
		{"garbled", 1, sasl.Encode([]byte("x")), true},
		{"hung up", 1, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := &lines{}
			conn := door(t, testGate(), log)
			client := sasl.NewSCRAM(sasl.SHA256, sasl.Credentials{User: "alice@local.example", Password: "secret"}, nil, false)
			say(t, conn, "AUTH SCRAM-SHA-256 "+sasl.Encode(client.Start()))
			for i := range c.answers + 1 {
				challenge, err := sasl.Decode([]byte(wantReply(t, conn, 334, "")))
				if err != nil {
					t.Fatal(err)
				}
				if i == c.answers {
					break
				}
				response, err := client.Next(challenge)
				if err != nil {
					t.Fatal(err)
				}
				say(t, conn, sasl.Encode(response))
			}
			if c.last != "" {
				say(t, conn, c.last)
				wantReply(t, conn, 501, "")
			}
			conn.Close()
			told := false
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
				text := strings.Join(log.take(), "\n")
				told = told || strings.Contains(text, "SASL SCRAM-SHA-256 authentication failed: Authentication aborted, after")
				if strings.Contains(text, "disconnect from") || time.Now().After(deadline) {
					break
				}
			}
			if told != c.logged {
				t.Errorf("in the log: %v, want %v", told, c.logged)
			}
		})
	}
}
