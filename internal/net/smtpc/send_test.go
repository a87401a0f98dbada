package smtpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
	"facteur/internal/test/sim"
)

// wait is for what has to come; brief is for what must not.
const (
	wait  = 30 * time.Second
	brief = 300 * time.Millisecond
)

func patient() smtpc.Timeouts {
	return smtpc.Timeouts{Connect: wait, Greeting: wait, Hello: wait, StartTLS: wait, Mail: wait, Recipient: wait,
		DataInit: wait, DataBlock: wait, DataEnd: wait, Reset: wait, Quit: wait}
}

func config() smtpc.Config { return smtpc.Config{Hello: "client.example", Timeouts: patient()} }

func startPeer(t *testing.T, p sim.Peer) *sim.Sink {
	t.Helper()
	s, err := sim.StartPeer(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func target(s *sim.Sink) smtpc.Target {
	return smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: s.Addr().AddrPort().Port()}
}

func dial(t *testing.T, s *sim.Sink, cfg smtpc.Config) *smtpc.Conn {
	t.Helper()
	c, err := smtpc.Dial(context.Background(), target(s), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func envelope(t *testing.T, to ...string) smtpc.Envelope {
	t.Helper()
	env := smtpc.Envelope{Sender: mailbox(t, "alice@example.org")}
	for _, s := range to {
		env.Recipients = append(env.Recipients, smtp.Rcpt{To: mailbox(t, s)})
	}
	return env
}

func mailbox(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

const letter = "Subject: hello\r\n\r\n.dot\r\n..two\r\nend\r\n"

// tell is the results in short: "250 end of DATA" and so on, "!" for those made here.
func tell(r smtpc.Results) []string {
	var list []string
	for _, one := range r.Recipients {
		s := fmt.Sprintf("%d %s", one.Reply.Code, one.Stage)
		if one.Err != nil {
			s += "!"
		}
		list = append(list, s)
	}
	return list
}

func expect(t *testing.T, got smtpc.Results, want ...string) {
	t.Helper()
	if s := tell(got); !slices.Equal(s, want) {
		t.Errorf("results are %q, want %q", s, want)
		for _, r := range got.Recipients {
			t.Logf("%v (%v)", r.Reply, r.Err)
		}
	}
}

var modes = []struct {
	name string
	hide []string
}{{"pipelined", nil}, {"lock-step", []string{"PIPELINING"}}}

func TestSend(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: mode.hide})
			c := dial(t, s, config())
			for n := 1; n <= 3; n++ {
				res := c.Send(context.Background(), envelope(t, "a@x.example", "b@x.example"), strings.NewReader(letter))
				expect(t, res, "250 end of DATA", "250 end of DATA")
				if !res.Recipients[0].Delivered() || c.Messages() != n || !c.Usable() {
					t.Fatalf("after message %d: delivered %v, count %d, usable %v", n, res.Recipients[0].Delivered(), c.Messages(), c.Usable())
				}
			}
			c.Quit(context.Background())
			taken := s.Await(3, wait)
			if len(taken) != 3 || taken[2].Conn != 1 {
				t.Fatalf("OUT-016: want three messages on one connection, got %+v", taken)
			}
			one := taken[0]
			if string(one.Data) != letter || one.Helo != "client.example" || !slices.Equal(one.Recipients, []string{"a@x.example", "b@x.example"}) {
				t.Errorf("arrived: %+v", one)
			}
		})
	}
}

// TestManyRecipients: more commands than are sent at a time.
func TestManyRecipients(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: mode.hide, Recipient: func(a string) string {
				if strings.HasPrefix(a, "u7") {
					return "550 5.1.1 No " + a
				}
				return "250 2.1.5 Ok"
			}})
			var to []string
			for i := range 300 {
				to = append(to, fmt.Sprintf("u%d@x.example", i))
			}
			res := dial(t, s, config()).Send(context.Background(), envelope(t, to...), strings.NewReader(letter))
			for i, r := range res.Recipients {
				refused := strings.HasPrefix(to[i], "u7")
				if r.Delivered() == refused || refused && !strings.Contains(r.Reply.Text(), to[i]) {
					t.Errorf("%s: %v", to[i], r.Reply)
				}
			}
		})
	}
}

func TestMixedRecipients(t *testing.T) {
	answers := func(a string) string {
		switch a[0] {
		case 'd':
			return "450 4.2.1 Later"
		case 'r':
			return "550 5.1.1 Never"
		}
		return "250 2.1.5 Ok"
	}
	for _, mode := range modes {
		t.Run("OUT-005 "+mode.name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: mode.hide, Recipient: answers})
			c := dial(t, s, config())
			env := envelope(t, "ok@x.example", "d@x.example", "r@x.example")
			expect(t, c.Send(context.Background(), env, strings.NewReader(letter)), "250 end of DATA", "450 RCPT TO", "550 RCPT TO")
			none := envelope(t, "d@x.example", "r@x.example")
			expect(t, c.Send(context.Background(), none, unread{t}), "450 RCPT TO", "550 RCPT TO")
			expect(t, c.Send(context.Background(), env, strings.NewReader(letter)), "250 end of DATA", "450 RCPT TO", "550 RCPT TO")
		})
		t.Run("OUT-005 end refused "+mode.name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: mode.hide, Recipient: answers, Faults: []sim.Fault{{At: "end", Raw: "452 4.3.1 Disk full\r\n"}}})
			env := envelope(t, "ok@x.example", "d@x.example", "r@x.example")
			expect(t, dial(t, s, config()).Send(context.Background(), env, strings.NewReader(letter)), "452 end of DATA", "450 RCPT TO", "550 RCPT TO")
		})
	}
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read although no recipient was accepted")
	return 0, io.EOF
}

// TestBadPeers: every fault defers, and none delivers or bounces anybody.
func TestBadPeers(t *testing.T) {
	impatient := patient()
	impatient.Mail, impatient.Recipient, impatient.DataInit, impatient.DataEnd, impatient.Reset = brief, brief, brief, brief, brief
	cases := []struct {
		name  string
		fault sim.Fault
		want  string
	}{
		{"OUT-002 drop after the data", sim.Fault{At: "end", Silent: true, Then: sim.Drop}, "451 end of DATA!"},
		{"OUT-002 reset after the data", sim.Fault{At: "end", Silent: true, Then: sim.Reset}, "451 end of DATA!"},
		{"OUT-002 silence after the data", sim.Fault{At: "end", Silent: true, Then: sim.Hang}, "451 end of DATA!"},
		{"drop at MAIL", sim.Fault{At: "MAIL", Silent: true, Then: sim.Drop}, "451 MAIL FROM!"},
		{"drop at RCPT", sim.Fault{At: "RCPT", Silent: true, Then: sim.Drop}, "451 RCPT TO!"},
		{"silence at RCPT", sim.Fault{At: "RCPT", Silent: true, Then: sim.Hang}, "451 RCPT TO!"},
		{"drop at DATA", sim.Fault{At: "DATA", Silent: true, Then: sim.Drop}, "451 DATA!"},
		{"drop behind 354", sim.Fault{At: "DATA", Then: sim.Drop}, "451 end of DATA!"},
		{"OUT-006 250 for DATA", sim.Fault{At: "DATA", Raw: "250 2.0.0 Ok\r\n"}, "451 DATA!"},
		{"OUT-006 code 999", sim.Fault{At: "RCPT", Raw: "999 what\r\n"}, "451 RCPT TO!"},
		{"OUT-006 code 25", sim.Fault{At: "RCPT", Raw: "25\r\n"}, "451 RCPT TO!"},
		{"OUT-006 mixed codes", sim.Fault{At: "RCPT", Raw: "250-yes\r\n550 no\r\n"}, "451 RCPT TO!"},
		{"OUT-006 354 for MAIL", sim.Fault{At: "MAIL", Raw: "354 Go ahead\r\n"}, "451 MAIL FROM!"},
		{"OUT-006 extra reply at MAIL", sim.Fault{At: "MAIL", Extra: "250 2.0.0 Ok\r\n"}, "451 DATA!"},
		{"OUT-006 extra refusal at MAIL", sim.Fault{At: "MAIL", Extra: "550 5.1.1 No\r\n"}, "451 DATA!"},
		{"OUT-006 extra reply at DATA", sim.Fault{At: "DATA", Extra: "250 2.0.0 Ok\r\n"}, "451 DATA!"},
		{"OUT-006 250 and 354 glued", sim.Fault{At: "DATA", Extra: "550 5.7.1 No\r\n"}, "451 DATA!"},
		{"OUT-006 354 at the end", sim.Fault{At: "end", Raw: "354 Go on\r\n"}, "451 end of DATA!"},
		{"garbage", sim.Fault{At: "MAIL", Raw: "\x00\xff\x80HTTP/1.1 400 Bad Request\r\n\r\n"}, "451 MAIL FROM!"},
		{"OUT-007 endless lines", sim.Fault{At: "MAIL", Raw: strings.Repeat("250-more\r\n", 100_000)}, "451 MAIL FROM!"},
		{"OUT-007 endless line", sim.Fault{At: "MAIL", Raw: "250 " + strings.Repeat("x", 1<<20)}, "451 MAIL FROM!"},
		{"OUT-007 trickle", sim.Fault{At: "MAIL", Raw: "250 " + strings.Repeat("x", 60_000), Split: true}, "451 MAIL FROM!"},
		{"421 at MAIL", sim.Fault{At: "MAIL", Raw: "421 4.3.2 Going down\r\n", Then: sim.Drop}, "421 MAIL FROM"},
		{"421 at RCPT", sim.Fault{At: "RCPT", Raw: "421 4.3.2 Going down\r\n", Then: sim.Drop}, "421 RCPT TO"},
		{"421 at the end", sim.Fault{At: "end", Raw: "421 4.3.2 Going down\r\n", Then: sim.Drop}, "421 end of DATA"},
	}
	for _, tc := range cases {
		for _, mode := range modes {
			t.Run(tc.name+" "+mode.name, func(t *testing.T) {
				t.Parallel()
				cfg := config()
				if tc.fault.Then == sim.Hang || tc.fault.Split {
					cfg.Timeouts = impatient
				}
				s := startPeer(t, sim.Peer{Hide: mode.hide, Faults: []sim.Fault{tc.fault}})
				c := dial(t, s, cfg)
				res := c.Send(context.Background(), envelope(t, "a@x.example", "b@x.example"), strings.NewReader(letter))
				for _, r := range res.Recipients {
					if !r.Reply.Temporary() || r.Delivered() {
						t.Errorf("result %v is not temporary", r.Reply)
					}
				}
				if mode.name == "pipelined" {
					expect(t, res, tc.want, tc.want)
				}
				if c.Usable() || res.Stale {
					t.Errorf("usable %v, stale %v after it", c.Usable(), res.Stale)
				}
			})
		}
	}
}

// TestNoReplyMovesToAnother: one reply too many or too few before a refusal, and
// the refusal bounces nobody, for it may be another's.
func TestNoReplyMovesToAnother(t *testing.T) {
	refuseOne := func(a string) string {
		if a[0] == 'r' {
			return "550 5.1.1 No such user"
		}
		return "250 2.1.5 Ok"
	}
	for _, mode := range modes {
		for _, to := range [][]string{{"a@x.example", "r@x.example"}, {"r@x.example", "a@x.example"}, {"r@x.example", "r@x.example"}} {
			t.Run("OUT-006 "+mode.name+" "+to[0]+" "+to[1], func(t *testing.T) {
				s := startPeer(t, sim.Peer{Hide: mode.hide, Recipient: refuseOne, Faults: []sim.Fault{{At: "MAIL", Extra: "250 2.1.0 Ok\r\n"}}})
				res := dial(t, s, config()).Send(context.Background(), envelope(t, to...), strings.NewReader(letter))
				for i, r := range res.Recipients {
					if !r.Reply.Temporary() {
						t.Errorf("%s: %v", to[i], r.Reply)
					}
				}
			})
		}
	}
}

// TestUnreadableBody: our own fault ends the connection before the dot.
func TestUnreadableBody(t *testing.T) {
	s := startPeer(t, sim.Peer{})
	c := dial(t, s, config())
	body := io.MultiReader(strings.NewReader(letter), failing{errors.New("disk on fire")})
	res := c.Send(context.Background(), envelope(t, "a@x.example"), body)
	expect(t, res, "451 DATA!")
	if !errors.Is(res.Recipients[0].Err, smtpc.ErrBody) || c.Usable() {
		t.Errorf("err %v, usable %v", res.Recipients[0].Err, c.Usable())
	}
	s.Close()
	if taken := s.Taken(); len(taken) != 0 {
		t.Errorf("half a message was taken: %+v", taken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestReuse(t *testing.T) {
	gone := []sim.Fault{
		{At: "MAIL", Nth: 2, Raw: "421 4.7.0 Enough\r\n", Then: sim.Drop},
		{At: "MAIL", Nth: 2, Silent: true, Then: sim.Drop},
		{At: "end", Nth: 1, Then: sim.Drop},
		{At: "end", Nth: 1, Extra: "421 4.4.2 Idle\r\n", Then: sim.Drop},
	}
	for i, fault := range gone {
		t.Run(fmt.Sprintf("OUT-016 %d", i), func(t *testing.T) {
			s := startPeer(t, sim.Peer{Faults: []sim.Fault{fault}})
			c := dial(t, s, config())
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
			res := c.Send(context.Background(), envelope(t, "a@x.example"), unread{t})
			if !res.Stale || !res.Recipients[0].Reply.Temporary() || c.Usable() {
				t.Errorf("stale %v, %v, usable %v", res.Stale, res.Recipients[0].Reply, c.Usable())
			}
		})
	}
}

func TestSMTP008(t *testing.T) {
	cases := map[string]string{
		"a\nb":                       "a\r\nb\r\n",
		"a\rb\r\n":                   "a\r\nb\r\n",
		"x\n.\nMAIL FROM:<evil@x>\n": "x\r\n.\r\nMAIL FROM:<evil@x>\r\n",
		"x\r.\rDATA\r":               "x\r\n.\r\nDATA\r\n",
		".\r\n.\r\n":                 ".\r\n.\r\n",
		"":                           "",
	}
	s := startPeer(t, sim.Peer{})
	c := dial(t, s, config())
	n := 0
	for in, want := range cases {
		t.Run(fmt.Sprintf("SMTP-008 %q", in), func(t *testing.T) {
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(in)), "250 end of DATA")
			n++
			if got := s.Await(n, wait)[n-1].Data; string(got) != want {
				t.Errorf("arrived %q, want %q", got, want)
			}
		})
	}
}

func TestLargeMessage(t *testing.T) {
	line := []byte(strings.Repeat("x", 76) + "\r\n")
	body := bytes.Repeat(line, 50_000)
	for _, secure := range []bool{false, true} {
		p := sim.Peer{}
		if secure {
			p.TLS, _ = certificate(t)
		}
		s := startPeer(t, p)
		c := dial(t, s, config())
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), bytes.NewReader(body)), "250 end of DATA")
		if got := s.Await(1, wait); len(got) != 1 || !bytes.Equal(got[0].Data, body) {
			t.Error("the message arrived changed")
		}
	}
}

func TestObstacles(t *testing.T) {
	utf8, eight, large := envelope(t, "jörg@x.example"), envelope(t, "a@x.example"), envelope(t, "a@x.example")
	eight.Body8Bit = true
	large.Size = 60 << 20
	evil := envelope(t, "a@x.example")
	evil.Recipients = append(evil.Recipients, smtp.Rcpt{To: address.Address{Local: "b>\r\nRSET\r\nX", Domain: "x.example"}})
	cases := []struct {
		name string
		env  smtpc.Envelope
		hide []string
		err  error
		want string
		code string
	}{
		{"UTF-8 to a peer without", utf8, []string{"SMTPUTF8"}, smtpc.ErrNeedsUTF8, "553 MAIL FROM!", "5.6.7"},
		{"8-bit to a peer without", eight, []string{"8BITMIME"}, smtpc.ErrNeeds8Bit, "554 MAIL FROM!", "5.6.3"},
		{"too large", large, nil, smtpc.ErrTooLarge, "552 MAIL FROM!", "5.3.4"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Hide: tc.hide})
			c := dial(t, s, config())
			res := c.Send(context.Background(), tc.env, unread{t})
			expect(t, res, tc.want)
			if r := res.Recipients[0]; !errors.Is(r.Err, tc.err) || r.Reply.Enhanced != tc.code || !c.Usable() {
				t.Errorf("%v, %v, usable %v", r.Reply, r.Err, c.Usable())
			}
			expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
		})
	}
	t.Run("address with a command in it", func(t *testing.T) {
		s := startPeer(t, sim.Peer{})
		expect(t, dial(t, s, config()).Send(context.Background(), evil, strings.NewReader(letter)), "250 end of DATA", "553 RCPT TO!")
	})
	t.Run("parameters", func(t *testing.T) {
		s := startPeer(t, sim.Peer{})
		env := utf8
		env.Size = 123
		expect(t, dial(t, s, config()).Send(context.Background(), env, strings.NewReader(letter)), "250 end of DATA")
		if got := s.Await(1, wait)[0]; got.Mail != "<alice@example.org> SIZE=123 BODY=8BITMIME SMTPUTF8" || got.Recipients[0] != "jörg@x.example" {
			t.Errorf("arrived: %q %q", got.Mail, got.Recipients)
		}
	})
}

func TestTooManyRecipients(t *testing.T) {
	n := 0
	s := startPeer(t, sim.Peer{Recipient: func(string) string {
		if n++; n > 1 {
			return "552 Too many recipients"
		}
		return "250 Ok"
	}})
	res := dial(t, s, config()).Send(context.Background(), envelope(t, "a@x.example", "b@x.example"), strings.NewReader(letter))
	expect(t, res, "250 end of DATA", "452 RCPT TO")
}

// certificate makes a self-signed one for mx.example, and the pool to check it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.example"}, DNSNames: []string{"mx.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// TestLeftOver: the reply too many shows only behind the RSET.
func TestLeftOver(t *testing.T) {
	t.Run("OUT-006 a late left-over reply", func(t *testing.T) {
		s := startPeer(t, sim.Peer{Recipient: func(string) string { return "550 5.1.1 No" }, Faults: []sim.Fault{
			{At: "MAIL", Extra: "250 2.1.0 Ok\r\n"}, {At: "DATA", Delay: brief}}})
		res := dial(t, s, config()).Send(context.Background(), envelope(t, "a@x.example", "b@x.example"), unread{t})
		expect(t, res, "451 RSET!", "451 RSET!")
	})
	t.Run("354 without a recipient", func(t *testing.T) {
		s := startPeer(t, sim.Peer{Recipient: func(string) string { return "550 5.1.1 No" }, Faults: []sim.Fault{{At: "DATA", Raw: "354 Go\r\n"}}})
		c := dial(t, s, config())
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), unread{t}), "550 RCPT TO")
		if !c.Usable() {
			t.Error("the connection is lost")
		}
	})
}
