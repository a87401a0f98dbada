package smtpc_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/mail/sasl"
	"facteur/internal/net/smtpc"
	"facteur/internal/test/sim"
)

// relay is a host under implicit TLS that offers the mechanisms, and judges as our own
// server does. tricks replace what it says to an AUTH line or a response.
type relay struct {
	mechanisms string
	tricks     func(step int, line string) string
	password   string // that it knows; "secret" when empty
	version    uint16 // of TLS; 0 is the newest

	used atomic.Value // the last mechanism
}

func (h *relay) listen(t *testing.T) smtpc.Target {
	t.Helper()
	config, _ := certificate(t)
	config.MaxVersion = h.version
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go serve(l, func(nc net.Conn) { h.talk(nc.(*tls.Conn)) })
	return smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

func (h *relay) judge(nc *tls.Conn) sasl.Judge {
	password := h.password
	if password == "" {
		password = "secret"
	}
	state := nc.ConnectionState()
	j := sasl.Judge{Hostname: "mx.example",
		Password: func(c sasl.Credentials) error {
			if c.User != "user" || c.Password != password {
				return sasl.ErrWrong
			}
			return nil
		},
		Keys: func(_ string, hash sasl.Hash) (sasl.Keys, error) {
			return sasl.MakeKeys(hash, password, []byte("salt"), 4096)
		},
		Context: func(string) (sasl.MD5Context, error) { return sasl.MakeMD5Context(password), nil },
		Token: func(user, token string) error {
			if user != "user" || !strings.HasPrefix(token, "good") {
				return sasl.ErrWrong
			}
			return nil
		},
	}
	if b, ok := sasl.Exporter(&state); ok {
		j.Bindings = append(j.Bindings, b)
	}
	return j
}

func (h *relay) talk(nc *tls.Conn) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(wait))
	io.WriteString(nc, "220 hi\r\n")
	if nc.Handshake() != nil {
		return
	}
	var server sasl.Server
	step := 0
	for r := bufio.NewScanner(nc); r.Scan(); {
		line := r.Text()
		verb, args, _ := strings.Cut(line, " ")
		switch {
		case verb == "EHLO":
			io.WriteString(nc, "250-mx.example\r\n250 AUTH "+h.mechanisms+"\r\n")
			continue
		case verb == "QUIT":
			io.WriteString(nc, "221 bye\r\n")
			return
		}
		if step++; h.tricks != nil {
			if said := h.tricks(step, line); said != "" {
				io.WriteString(nc, said+"\r\n")
				continue
			}
		}
		var response []byte
		if verb == "AUTH" {
			name, initial, found := strings.Cut(args, " ")
			h.used.Store(name)
			server = sasl.NewServer(name, h.judge(nc))
			if found {
				response, _ = sasl.Decode([]byte(initial))
			}
		} else {
			var err error
			if response, err = sasl.Decode([]byte(line)); err != nil {
				io.WriteString(nc, "501 5.7.0 cancelled\r\n")
				continue
			}
		}
		challenge, done, err := server.Next(response)
		switch {
		case err != nil:
			io.WriteString(nc, "535 5.7.8 Authentication failed\r\n")
		case done:
			io.WriteString(nc, "235 2.7.0 in\r\n")
		default:
			io.WriteString(nc, "334 "+sasl.Encode(challenge)+"\r\n")
		}
	}
}

const allMechanisms = "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS XOAUTH2 OAUTHBEARER"

func TestMechanisms(t *testing.T) {
	password := smtpc.Credentials{User: "user", Password: "secret"}
	token := smtpc.Credentials{User: "user", Token: "good"}
	only := func(list ...string) smtpc.Credentials { c := password; c.Mechanisms = list; return c }
	for name, x := range map[string]struct {
		relay relay
		auth  smtpc.Credentials
		used  string
		err   string // a part of it; "" is success
	}{
		"the strongest":         {relay{mechanisms: allMechanisms}, password, "SCRAM-SHA-256-PLUS", ""},
		"bound with SHA-1":      {relay{mechanisms: "PLAIN SCRAM-SHA-1-PLUS SCRAM-SHA-256"}, password, "SCRAM-SHA-1-PLUS", ""},
		"not bound":             {relay{mechanisms: "PLAIN SCRAM-SHA-1 SCRAM-SHA-256", version: tls.VersionTLS12}, password, "SCRAM-SHA-256", ""},
		"SHA-1":                 {relay{mechanisms: "PLAIN SCRAM-SHA-1", version: tls.VersionTLS12}, password, "SCRAM-SHA-1", ""},
		"PLAIN before CRAM":     {relay{mechanisms: "CRAM-MD5 LOGIN PLAIN"}, password, "PLAIN", ""},
		"LOGIN":                 {relay{mechanisms: "CRAM-MD5 LOGIN"}, password, "LOGIN", ""},
		"CRAM-MD5":              {relay{mechanisms: "CRAM-MD5"}, password, "CRAM-MD5", ""},
		"OAUTHBEARER":           {relay{mechanisms: allMechanisms}, token, "OAUTHBEARER", ""},
		"XOAUTH2":               {relay{mechanisms: "PLAIN XOAUTH2"}, token, "XOAUTH2", ""},
		"a long token":          {relay{mechanisms: "OAUTHBEARER"}, smtpc.Credentials{User: "user", Token: "good" + strings.Repeat("x", 4000)}, "OAUTHBEARER", ""},
		"a bad token":           {relay{mechanisms: "OAUTHBEARER XOAUTH2"}, smtpc.Credentials{User: "user", Token: "bad-token"}, "XOAUTH2", "peer said to XOAUTH2: 535 Authentication failed"},
		"chosen by us":          {relay{mechanisms: allMechanisms}, only("PLAIN"), "PLAIN", ""},
		"none of ours":          {relay{mechanisms: "PLAIN LOGIN"}, only("SCRAM-SHA-256"), "", "only PLAIN, LOGIN"},
		"none at all":           {relay{mechanisms: "GSSAPI"}, password, "", "only GSSAPI"},
		"wrong password":        {relay{mechanisms: "PLAIN", password: "other"}, password, "PLAIN", "535 Authentication failed"},
		"wrong, SCRAM":          {relay{mechanisms: "SCRAM-SHA-256", password: "other"}, only("SCRAM-SHA-256"), "SCRAM-SHA-256", "535 Authentication failed"},
		"no second to a binder": {relay{mechanisms: "PLAIN SCRAM-SHA-256-PLUS", password: "other"}, password, "SCRAM-SHA-256-PLUS", "535"},
		"SCRAM is refused": {relay{mechanisms: "PLAIN SCRAM-SHA-256", version: tls.VersionTLS12, tricks: func(step int, _ string) string {
			return map[int]string{1: "504 5.5.4 No keys"}[step]
		}}, password, "PLAIN", ""},
		"OUT-020 i=10^9": {relay{mechanisms: "SCRAM-SHA-256 PLAIN", tricks: func(_ int, line string) string {
			return scramFirst(line, 1_000_000_000)
		}}, password, "", sasl.ErrIterations.Error()},
		"OUT-020 i=1": {relay{mechanisms: "SCRAM-SHA-256", tricks: func(_ int, line string) string {
			return scramFirst(line, 1)
		}}, password, "", sasl.ErrIterations.Error()},
		"success without a proof": {relay{mechanisms: "SCRAM-SHA-256", tricks: func(int, string) string { return "235 2.7.0 welcome" }}, password, "", sasl.ErrImpostor.Error()},
		"never ends":              {relay{mechanisms: "LOGIN", tricks: func(int, string) string { return "334 VXNlcm5hbWU6" }}, password, "", ""},
		"repeats what it got": {relay{mechanisms: "PLAIN", tricks: func(_ int, line string) string {
			return "535 5.7.8 wrong: " + line + " secret"
		}}, password, "", "wrong: AUTH PLAIN *** ***"},
		"odd prompts": {relay{mechanisms: "LOGIN", tricks: func(step int, line string) string {
			return map[int]string{1: "334 Who are you", 2: "334", 3: "235 in"}[step]
		}}, password, "", ""},
		"password first": {relay{mechanisms: "LOGIN", tricks: func(step int, line string) string {
			switch {
			case step == 1:
				return "334 UGFzc3dvcmQ6"
			case step == 2 && line == "c2VjcmV0":
				return "334 VXNlcm5hbWU6"
			case step == 3 && line == "dXNlcg==":
				return "235 in"
			}
			return "535 no"
		}}, password, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &x.relay
			target := h.listen(t)
			cfg := config()
			cfg.Implicit, cfg.Auth = true, &x.auth
			c, err := smtpc.Dial(context.Background(), target, cfg)
			if used, _ := h.used.Load().(string); x.used != used && x.used != "" {
				t.Errorf("used %s, want %s", used, x.used)
			}
			if err == nil {
				defer c.Close()
			}
			if name == "never ends" {
				if err == nil {
					t.Error("logged in")
				}
				return
			}
			switch {
			case x.err == "" && err != nil, x.err != "" && (err == nil || !strings.Contains(err.Error(), x.err)):
				t.Errorf("%v, want %q", err, x.err)
			case err != nil:
				f := fails(t, target, cfg)
				if text := f.Error(); !f.Reply.Temporary() || strings.Contains(text, "secret") || strings.Contains(text, "bad-token") ||
					!strings.Contains(text, "mx.example[127.0.0.1]") || !strings.Contains(text, " as user") {
					t.Errorf("%v", f.Reply)
				}
			}
		})
	}
	if text := fmt.Sprintf("%v %+v %s", password, password, &password); strings.Contains(text, "secret") {
		t.Errorf("credentials print as %s", text)
	}
}

// scramFirst is a server's first message of SCRAM for a client's, with n iterations.
func scramFirst(line string, n int) string {
	_, initial, found := strings.Cut(line, "SCRAM-SHA-256 ")
	if !found {
		return ""
	}
	text, _ := sasl.Decode([]byte(initial))
	_, nonce, _ := strings.Cut(string(text), ",r=")
	return "334 " + sasl.Encode(fmt.Appendf(nil, "r=%sxyz,s=c2FsdA==,i=%d", nonce, n))
}

// A session is taken up again, under the same policy only, and not with a host where
// that went wrong.
func TestResumption(t *testing.T) {
	server, _ := certificate(t)
	s := startPeer(t, sim.Peer{TLS: server})
	cfg := config()
	cfg.Memory = smtpc.NewMemory()
	resumed := func(cfg smtpc.Config) bool {
		t.Helper()
		c := dial(t, s, cfg)
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
		state, ok := c.TLS()
		if !ok {
			t.Error("no TLS")
		}
		c.Quit(context.Background())
		return state.DidResume
	}
	encrypt, other, off := cfg, cfg, cfg
	encrypt.Security = smtpc.Encrypted
	other.Policy = "sts"
	off.NoResumption = true
	for i, x := range []struct {
		name string
		cfg  smtpc.Config
		want bool
	}{
		{"first", cfg, false}, {"second", cfg, true}, {"third", cfg, true}, {"another level", encrypt, false}, {"the same", encrypt, true},
		{"another policy", other, false}, {"switched off", off, false}, {"no memory", config(), false}, {"and again", cfg, true},
	} {
		if got := resumed(x.cfg); got != x.want {
			t.Errorf("%d %s: resumed %v", i, x.name, got)
		}
	}
}

// ticketBug is a host that gives out tickets and breaks off when it is shown one.
func ticketBug(t *testing.T, breakAt string) smtpc.Target {
	t.Helper()
	server, _ := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go serve(l, func(nc net.Conn) {
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(wait))
		io.WriteString(nc, "220 hi\r\n")
		r := bufio.NewReader(nc)
		r.ReadString('\n')
		io.WriteString(nc, "250-hi\r\n250 STARTTLS\r\n")
		if line, _ := r.ReadString('\n'); line != "STARTTLS\r\n" {
			io.WriteString(nc, "250 in clear\r\n")
			return
		}
		io.WriteString(nc, "220 go\r\n")
		conn := tls.Server(nc, server)
		mine := server.Clone()
		mine.WrapSession, mine.UnwrapSession = nil, func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
			if breakAt == "handshake" {
				return nil, io.ErrUnexpectedEOF
			}
			return server.DecryptTicket(identity, cs)
		}
		conn = tls.Server(nc, mine)
		if conn.Handshake() != nil || conn.ConnectionState().DidResume {
			return
		}
		in := bufio.NewScanner(conn)
		for in.Scan() {
			io.WriteString(conn, "250 hi\r\n")
		}
	})
	return smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

func TestTicketBug(t *testing.T) {
	for _, at := range []string{"handshake", "EHLO"} {
		t.Run(at, func(t *testing.T) {
			target := ticketBug(t, at)
			cfg := config()
			cfg.Memory = smtpc.NewMemory()
			for i := range 3 {
				c, err := smtpc.Dial(context.Background(), target, cfg)
				if err != nil {
					t.Fatalf("%d: %v", i, err)
				}
				if state, ok := c.TLS(); !ok || state.DidResume {
					t.Errorf("%d: TLS %v, resumed %v, failure %v", i, ok, state.DidResume, c.TLSFailure())
				}
				c.Close()
			}
		})
	}
}
