package interop

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
)

// Our client against servers of others, and our own.

// reach connects to a server on loopback.
func reach(t *testing.T, addr string, cfg smtpc.Config) (*smtpc.Conn, error) {
	t.Helper()
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Hello = "client.test"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return smtpc.Dial(ctx, smtpc.Target{Host: "localhost", Addrs: []netip.Addr{at.Addr()}, Port: at.Port()}, cfg)
}

func letterFor(t *testing.T, from, to, letter string) smtpc.Envelope {
	t.Helper()
	e := smtpc.Envelope{Size: int64(len(letter)), Body8Bit: true}
	var err error
	if e.Sender, err = address.Parse(from); err != nil {
		t.Fatal(err)
	}
	e.Recipients = make([]smtp.Rcpt, 1)
	if e.Recipients[0].To, err = address.Parse(to); err != nil {
		t.Fatal(err)
	}
	return e
}

// The client sends by BDAT and by DATA, twice over one connection and once over a resumed
// TLS session, and logs in with each mechanism that the server has.
func TestOurClient(t *testing.T) {
	t.Parallel()
	setup := Setup{Accounts: []string{alice}, Services: sendingServices, TLS: true, Config: "\n[auth]\n" + allMechanisms}
	eachPost(t, setup, func(t *testing.T, post Post) {
		memory := smtpc.NewMemory()
		for _, noChunking := range []bool{false, true} {
			c, err := reach(t, post.Addr("smtp"), smtpc.Config{Memory: memory, NoChunking: noChunking})
			if err != nil {
				t.Fatal(err)
			}
			if state, ok := c.TLS(); !ok || state.DidResume != noChunking {
				t.Errorf("TLS %v, resumed %v", ok, state.DidResume)
			}
			for _, n := range []string{"one", "two"} {
				id := "client-" + n + "-" + map[bool]string{false: "bdat", true: "data"}[noChunking]
				letter := difficult(id)
				res := c.Send(context.Background(), letterFor(t, "bob@example.net", alice, letter), strings.NewReader(letter))
				if !res.Recipients[0].Delivered() {
					t.Fatalf("%s: %v (%v)", id, res.Recipients[0].Reply, res.Recipients[0].Err)
				}
				arrives(t, post, letter, id)
			}
			if offered := c.Extensions().Chunking; offered == noChunking && offers(t, post, "CHUNKING") {
				t.Errorf("CHUNKING %v", offered)
			}
			c.Quit(context.Background())
		}
		logsIn(t, post)
	})
}

// logsIn tries the mechanisms one by one, with the password and with another.
func logsIn(t *testing.T, post Post) {
	t.Helper()
	c, err := reach(t, post.Addr("submission"), smtpc.Config{Security: smtpc.Encrypted})
	if err != nil {
		t.Fatal(err)
	}
	offered := c.Extensions().Auth
	c.Quit(context.Background())
	if len(offered) < 2 {
		t.Fatalf("only %v", offered)
	}
	for _, mechanism := range offered {
		for password, want := range map[string]bool{Password: true, "wrong-password": false} {
			c, err := reach(t, post.Addr("submission"), smtpc.Config{Auth: &smtpc.Credentials{User: alice, Password: password, Mechanisms: []string{mechanism}}})
			if (err == nil) != want {
				t.Errorf("%s with %q: %v", mechanism, password, err)
			}
			if err == nil {
				c.Quit(context.Background())
			} else if strings.Contains(err.Error(), password) {
				t.Errorf("the password is in %v", err)
			}
		}
	}
	t.Logf("logged in with %v", offered)
}

// Servers of others refuse and take recipients in one session: with BDAT in one go with
// its envelope too, each reply finds its command.
func TestOurClientStaysInStep(t *testing.T) {
	t.Parallel()
	exim := NewExim(t, NextHop{})
	exim.Start()
	smtpd := NewOpenSMTPD(t, NextHop{})
	smtpd.Start()
	for name, server := range map[string]struct{ addr, domain string }{"exim": {exim.Addr(), eximDomain}, "opensmtpd": {smtpd.Addr(), opensmtpdDomain}} {
		t.Run(name, func(t *testing.T) {
			c, err := reach(t, server.addr, smtpc.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			t.Logf("CHUNKING %v, PIPELINING %v, codes %v", c.Extensions().Chunking, c.Extensions().Pipelining, c.Extensions().Enhanced)
			letter := difficult("step")
			for round, refused := range []bool{false, true, true, false, true} {
				env := letterFor(t, "bob@example.net", "box@"+server.domain, letter)
				if refused && name == "exim" {
					env = letterFor(t, "bob@example.net", "nobody@"+server.domain, letter)
				} else if refused {
					env = letterFor(t, "bob@example.net", "box@no-such-domain.test", letter)
				}
				r := c.Send(context.Background(), env, strings.NewReader(letter)).Recipients[0]
				if r.Delivered() == refused || refused && (r.Err != nil || r.Stage != smtpc.StageRecipient) || !c.Usable() {
					t.Fatalf("round %d: %v at %v (%v), usable %v", round, r.Reply, r.Stage, r.Err, c.Usable())
				}
			}
		})
	}
}
