package smtpc_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/net/smtpc"
	"facteur/internal/test/sim"
)

// Text goes by BDAT with the line ends that it would have by DATA, whatever its size.
func TestTextByChunks(t *testing.T) {
	line := strings.Repeat("x", 62) + "\r\n"
	for name, x := range map[string]struct{ body, want string }{
		"empty":           {"", ""},
		"a letter":        {letter, letter},
		"no end":          {"a", "a\r\n"},
		"bare ends":       {"a\nb\rc\r\n\r\rd\n.\r\n", "a\r\nb\r\nc\r\n\r\n\r\nd\r\n.\r\n"},
		"at once":         {strings.Repeat(line, 384), strings.Repeat(line, 384)},
		"too long for it": {strings.Repeat(line, 384) + "x\r\n", strings.Repeat(line, 384) + "x\r\n"},
		"one chunk":       {strings.Repeat(line, 2048), strings.Repeat(line, 2048)},
		"and a byte":      {strings.Repeat(line, 2048) + "\n", strings.Repeat(line, 2048) + "\r\n"},
		"many":            {strings.Repeat(line, 40_000), strings.Repeat(line, 40_000)},
		"CR at the brink": {strings.Repeat(line, 2047) + strings.Repeat("y", 63) + "\r\nz\n", strings.Repeat(line, 2047) + strings.Repeat("y", 63) + "\r\nz\r\n"},
	} {
		for _, hide := range [][]string{nil, {"PIPELINING"}, {"ENHANCEDSTATUSCODES"}} {
			t.Run(name+" "+strings.Join(hide, ""), func(t *testing.T) {
				s := startPeer(t, sim.Peer{Hide: hide, Offer: []string{"CHUNKING"}})
				c := dial(t, s, config())
				for range 2 {
					env := envelope(t, "a@x.example", "b@x.example")
					env.Size = int64(len(x.body))
					expect(t, c.Send(context.Background(), env, strings.NewReader(x.body)), "250 end of DATA", "250 end of DATA")
				}
				for _, got := range s.Await(2, wait) {
					if string(got.Data) != x.want {
						t.Errorf("arrived %.80q (%d bytes), want %.80q (%d)", got.Data, len(got.Data), x.want, len(x.want))
					}
				}
			})
		}
	}
}

// With BDAT too, a peer that loses count delivers and bounces nobody.
func TestBadChunkingPeers(t *testing.T) {
	for _, x := range []struct {
		name  string
		fault sim.Fault
		last  bool // it breaks at the end only, so that a refusal before it counts
	}{
		{"OUT-002 drop after the data", sim.Fault{At: "end", Silent: true, Then: sim.Drop}, true},
		{"OUT-006 extra reply at MAIL", sim.Fault{At: "MAIL", Extra: "250 2.0.0 Ok\r\n"}, false},
		{"OUT-006 extra refusal at MAIL", sim.Fault{At: "MAIL", Extra: "550 5.1.1 No\r\n"}, false},
		{"OUT-006 extra reply at RCPT", sim.Fault{At: "RCPT", Nth: 1, Extra: "250 2.1.5 Ok\r\n"}, false},
		{"OUT-006 mixed codes", sim.Fault{At: "end", Raw: "250-yes\r\n550 no\r\n"}, true},
		{"OUT-006 354 for BDAT", sim.Fault{At: "end", Raw: "354 Go\r\n"}, true},
		{"421 at MAIL", sim.Fault{At: "MAIL", Raw: "421 4.3.2 Going down\r\n", Then: sim.Drop}, false},
	} {
		for _, size := range []int{len(letter), 100_000, 1_000_000} {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				s := startPeer(t, sim.Peer{Offer: []string{"CHUNKING"}, Faults: []sim.Fault{x.fault}})
				cfg := config()
				cfg.Memory = smtpc.NewMemory()
				c := dial(t, s, cfg)
				env := envelope(t, "a@x.example", "b@x.example")
				env.Size = int64(size)
				res := c.Send(context.Background(), env, strings.NewReader((letter + strings.Repeat("0123456\r\n", 120_000))[:size]))
				for _, r := range res.Recipients {
					if !r.Reply.Temporary() || r.Delivered() {
						t.Errorf("%d bytes: %v (%v)", size, r.Reply, r.Err)
					}
				}
				if c.Usable() {
					t.Error("usable after it")
				}
			})
		}
	}
}

// A peer that promises enhanced codes and gives none is followed as long as there is one
// reply to each command, whatever it says to the message.
func TestExtraReplyWithoutCodes(t *testing.T) {
	for name, x := range map[string]struct{ extra, end, want string }{
		"OUT-006 one too many": {"250 Ok\r\n", "550 No\r\n", "451 RSET!"},
		"a no":                 {"", "550 No\r\n", "550 end of DATA"},
		"a yes":                {"", "250 Ok\r\n", "250 end of DATA"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Offer: []string{"CHUNKING"}, Recipient: func(string) string { return "250 Ok" },
				Faults: []sim.Fault{{At: "RCPT", Nth: 2, Extra: x.extra}, {At: "end", Raw: x.end}}})
			c := dial(t, s, config())
			env := envelope(t, "a@x.example", "b@x.example")
			env.Size = int64(len(letter))
			expect(t, c.Send(context.Background(), env, strings.NewReader(letter)), x.want, x.want)
			if c.Usable() != (x.want == "550 end of DATA") {
				t.Error("usable:", c.Usable())
			}
		})
	}
}

// A message that went out with its envelope, and whose recipients were all refused, leaves
// no MAIL behind for the next one.
func TestNobodyAtOnce(t *testing.T) {
	s := startPeer(t, sim.Peer{Offer: []string{"CHUNKING"}, Recipient: func(a string) string {
		if a[0] == 'n' {
			return "550 5.1.1 No such user"
		}
		return "250 2.1.5 Ok"
	}})
	c := dial(t, s, config())
	for _, to := range []string{"a@x.example", "n@x.example", "n@x.example", "a@x.example"} {
		env := envelope(t, to)
		env.Size = int64(len(letter))
		want := "250 end of DATA"
		if to[0] == 'n' {
			want = "550 RCPT TO"
		}
		expect(t, c.Send(context.Background(), env, strings.NewReader(letter)), want)
	}
}

// A message is sent whole, whatever size it was said to have.
func TestLongerThanAnnounced(t *testing.T) {
	for _, size := range []int{10, 24<<10 + 1, 24<<10 + 2, 500_000} {
		s := startPeer(t, sim.Peer{Offer: []string{"CHUNKING"}})
		body := strings.Repeat("0123456\r\n", size/9+1)[:size/9*9]
		env := envelope(t, "a@x.example")
		env.Size = 5
		expect(t, dial(t, s, config()).Send(context.Background(), env, strings.NewReader(body)), "250 end of DATA")
		if got := s.Await(1, wait); len(got) != 1 || string(got[0].Data) != body {
			t.Errorf("%d bytes: arrived differently", size)
		}
	}
}

// deaf offers CHUNKING and takes a message for commands when it comes by BDAT.
func deaf(t *testing.T) smtpc.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answers := map[string]string{"EHLO": "250-deaf\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n", "MAIL": "250 2.1.0 ok\r\n", "RCPT": "250 2.1.5 ok\r\n", "RSET": "250 2.0.0 ok\r\n"}
	serve := func(nc net.Conn) {
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(wait))
		io.WriteString(nc, "220 deaf\r\n")
		data := false
		for r := bufio.NewScanner(nc); r.Scan(); {
			verb, _, _ := strings.Cut(r.Text(), " ")
			reply := answers[verb]
			switch {
			case data && r.Text() == ".":
				data, reply = false, "250 2.0.0 taken\r\n"
			case data:
				continue
			case verb == "DATA":
				data, reply = true, "354 go\r\n"
			case reply == "":
				reply = "500 5.5.2 What?\r\n"
			}
			io.WriteString(nc, reply)
		}
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go serve(nc)
		}
	}()
	return smtpc.Target{Host: "deaf.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

// A peer that offers CHUNKING and does not know BDAT loses no mail, and gets it by DATA.
func TestChunkingIsALie(t *testing.T) {
	target := deaf(t)
	cfg := config()
	for _, size := range []int64{int64(len(letter)), 0} { // with its envelope, and behind it
		cfg.Memory = smtpc.NewMemory()
		c, err := smtpc.Dial(context.Background(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		env := envelope(t, "a@x.example")
		env.Size = size
		res := c.Send(context.Background(), env, strings.NewReader(letter))
		expect(t, res, "451 DATA!")
		if !errors.Is(res.Recipients[0].Err, smtpc.ErrChunking) || !res.Stale || c.Usable() {
			t.Errorf("%v, stale %v", res.Recipients[0].Err, res.Stale)
		}
		c.Close()
		again, err := smtpc.Dial(context.Background(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, again.Send(context.Background(), env, strings.NewReader(letter)), "250 end of DATA")
		again.Close()
	}
	t.Run("without a memory it is put off, not tried for ever", func(t *testing.T) {
		cfg.Memory = nil
		c, err := smtpc.Dial(context.Background(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if res := c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)); res.Stale || !res.Recipients[0].Reply.Temporary() {
			t.Errorf("stale %v, %v", res.Stale, res.Recipients[0].Reply)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		cfg.NoChunking = true
		c, err := smtpc.Dial(context.Background(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		expect(t, c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter)), "250 end of DATA")
	})
}

// One that breaks off at BDAT gets the next attempt by DATA.
func TestLostByChunks(t *testing.T) {
	s := startPeer(t, sim.Peer{Offer: []string{"CHUNKING"}, Faults: []sim.Fault{{At: "end", Conn: 1, Silent: true, Then: sim.Drop}}})
	cfg := config()
	cfg.Memory = smtpc.NewMemory()
	env := envelope(t, "a@x.example")
	env.Size = int64(len(letter))
	expect(t, dial(t, s, cfg).Send(context.Background(), env, strings.NewReader(letter)), "451 end of DATA!")
	c := dial(t, s, cfg)
	if c.Extensions().Chunking {
		t.Error("BDAT again")
	}
	if other := dial(t, startPeer(t, sim.Peer{Offer: []string{"CHUNKING"}}), cfg); !other.Extensions().Chunking {
		t.Error("another port of the machine is another peer")
	}
	expect(t, c.Send(context.Background(), env, strings.NewReader(letter)), "250 end of DATA")
}

// counted counts what a connection does.
type counted struct {
	net.Conn
	writes, reads *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(p) }
func (c counted) Read(p []byte) (int, error)  { c.reads.Add(1); return c.Conn.Read(p) }

// A message over a kept connection costs two writes by DATA, and one by BDAT.
func TestWritesPerMessage(t *testing.T) {
	for name, x := range map[string]struct {
		offer []string
		want  int64
	}{"DATA": {nil, 2}, "BDAT": {[]string{"CHUNKING"}, 1}} {
		t.Run(name, func(t *testing.T) {
			s := startPeer(t, sim.Peer{Offer: x.offer})
			var writes, reads atomic.Int64
			cfg := config()
			cfg.Dial = func(ctx context.Context, network string, to netip.AddrPort, _ netip.Addr) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, to.String())
				return counted{nc, &writes, &reads}, err
			}
			c := dial(t, s, cfg)
			const n = 10
			for range n {
				writes.Store(0)
				env := envelope(t, "a@x.example", "b@x.example", "c@x.example")
				env.Size = int64(10_000)
				expect(t, c.Send(context.Background(), env, bytes.NewReader(bytes.Repeat([]byte("01234567\r\n"), 1000))), "250 end of DATA", "250 end of DATA", "250 end of DATA")
				if got := writes.Load(); got != x.want {
					t.Errorf("%d writes, want %d", got, x.want)
				}
			}
		})
	}
}

// A Memory is bounded, and may be used by many at a time.
func TestMemoryUse(t *testing.T) {
	target := deaf(t)
	cfg := config()
	cfg.Memory = smtpc.NewMemory()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if c, err := smtpc.Dial(context.Background(), target, cfg); err == nil {
				c.Send(context.Background(), envelope(t, "a@x.example"), strings.NewReader(letter))
				c.Close()
			}
		})
	}
	all.Wait()
}
