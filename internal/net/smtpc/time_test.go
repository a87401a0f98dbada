package smtpc_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/net/smtpc"
	"facteur/internal/test/sim"
)

var (
	mx4    = netip.MustParseAddr("192.0.2.25")
	mx6    = netip.MustParseAddr("2001:db8::25")
	second = netip.MustParseAddr("192.0.2.26")
)

// world is a mail host in memory with all of the addresses; handle speaks for it.
func world(t *testing.T, handle func(nc net.Conn), addrs ...netip.Addr) (*sim.Net, smtpc.Target, smtpc.Config) {
	t.Helper()
	n := sim.NewNet(1)
	t.Cleanup(func() { time.Sleep(time.Hour) }) // until all is over, behind the ones below
	for _, a := range addrs {
		l, err := n.Listen(netip.AddrPortFrom(a, 25))
		if err != nil {
			t.Fatal(err)
		}
		go serve(l, handle)
		t.Cleanup(func() { l.Close() })
	}
	m := n.Machine(netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:1::1"))
	return n, smtpc.Target{Host: "mx.example", Addrs: addrs}, smtpc.Config{Hello: "client.example", Dial: m.Dial}
}

// serve handles connections, and closes them all when the listener is.
func serve(l net.Listener, handle func(net.Conn)) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		go handle(nc)
	}
}

// A host with many addresses that all take the connection and say nothing does not hold a
// message for hours.
func TestSearchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var addrs []netip.Addr
		for a := mx4; len(addrs) < 20; a = a.Next() {
			addrs = append(addrs, a)
		}
		_, to, cfg := world(t, host("greeting", 0), addrs...)
		begun := time.Now()
		_, err := smtpc.Dial(t.Context(), to, cfg)
		var failure *smtpc.Failure
		if !errors.As(err, &failure) || len(failure.Attempts) != 2 || time.Since(begun) > 20*time.Minute {
			t.Errorf("OUT-013 %v after %v", err, time.Since(begun))
		}
	})
}

// host is a good one that is silent for ever where silent says so, and answers each
// command after a wait.
func host(silent string, each time.Duration) func(net.Conn) {
	return func(nc net.Conn) {
		defer nc.Close()
		say := func(stage, reply string) {
			time.Sleep(each)
			if stage != silent {
				io.WriteString(nc, reply+"\r\n")
			}
		}
		say("greeting", "220 hi")
		for r, data := bufio.NewScanner(nc), false; r.Scan(); {
			verb, _, _ := strings.Cut(r.Text(), " ")
			switch {
			case data && verb != ".":
			case data:
				data = false
				say("end", "250 2.0.0 taken")
			case verb == "EHLO":
				say(verb, "250-hi\r\n250-STARTTLS\r\n250 8BITMIME")
			case verb == "STARTTLS":
				say(verb, "454 no")
			case verb == "DATA":
				data = silent != verb
				say(verb, "354 go")
			case verb == "QUIT":
				say(verb, "221 bye")
				return
			default:
				say(verb, "250 ok")
			}
		}
	}
}

// RFC 5321 §4.5.3.2: each wait has its own end, and the wait is not cut short either.
func TestEachWait(t *testing.T) {
	for _, x := range []struct {
		silent string
		stage  smtpc.Stage
		want   time.Duration
	}{
		{"greeting", smtpc.StageGreeting, 5 * time.Minute}, {"EHLO", smtpc.StageHello, 5 * time.Minute},
		{"STARTTLS", smtpc.StageStartTLS, 2 * time.Minute},
		{"MAIL", smtpc.StageMail, 5 * time.Minute}, {"RCPT", smtpc.StageRecipient, 5 * time.Minute},
		{"DATA", smtpc.StageData, 2 * time.Minute}, {"end", smtpc.StageEnd, 10 * time.Minute},
	} {
		t.Run(x.silent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, target, cfg := world(t, host(x.silent, 0), mx4)
				if x.silent == "STARTTLS" {
					cfg.Security = smtpc.Encrypted // else it goes on in clear
				}
				begun := time.Now()
				var got smtpc.Result
				c, err := smtpc.Dial(t.Context(), target, cfg)
				var failure *smtpc.Failure
				if errors.As(err, &failure) {
					got = failure.Result
				} else {
					got = c.Send(t.Context(), envelope(t, "a@x.example"), strings.NewReader(letter)).Recipients[0]
					c.Close()
				}
				waited := time.Since(begun)
				if got.Stage != x.stage || !got.Reply.Temporary() || !errors.Is(got.Err, smtpc.ErrLost) || waited < x.want || waited > x.want+10*time.Second {
					t.Errorf("%v at %v after %v", got.Reply, got.Stage, waited)
				}
			})
		})
	}
	t.Run("QUIT", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, target, cfg := world(t, host("QUIT", 0), mx4)
			c, err := smtpc.Dial(t.Context(), target, cfg)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			c.Quit(t.Context())
			if waited := time.Since(begun); waited > 6*time.Second {
				t.Errorf("waited %v for a goodbye", waited)
			}
		})
	})
}

// OUT-007: a relay that asks just before each time is over, again and again, does not
// hold us for longer than an introduction may take.
func TestIntroductionEnds(t *testing.T) {
	server, _ := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		_, target, cfg := world(t, func(nc net.Conn) {
			conn := tls.Server(nc, server)
			defer conn.Close()
			if conn.Handshake() != nil {
				return
			}
			r := bufio.NewScanner(conn)
			for reply := "220 hi"; ; {
				time.Sleep(4*time.Minute + 50*time.Second)
				if _, err := io.WriteString(conn, reply+"\r\n"); err != nil || !r.Scan() {
					return
				}
				if reply = "334 VXNlcm5hbWU6"; strings.HasPrefix(r.Text(), "EHLO") {
					reply = "250-hi\r\n250 AUTH LOGIN PLAIN"
				}
			}
		}, mx4)
		cfg.Implicit, cfg.Auth = true, &smtpc.Credentials{User: "user", Password: "secret"}
		begun := time.Now()
		_, err := smtpc.Dial(t.Context(), target, cfg)
		waited := time.Since(begun)
		var failure *smtpc.Failure
		if !errors.As(err, &failure) || !errors.Is(err, smtpc.ErrLost) || failure.Stage != smtpc.StageAuth || !failure.Reply.Temporary() ||
			waited < 14*time.Minute || waited > 16*time.Minute {
			t.Errorf("%v after %v", err, waited)
		}
	})
	// It does not bound what comes behind it.
	synctest.Test(t, func(t *testing.T) {
		said := make(chan string, 1)
		_, target, cfg := world(t, func(nc net.Conn) {
			defer nc.Close()
			r, last := bufio.NewScanner(nc), ""
			io.WriteString(nc, "220 hi\r\n")
			for r.Scan() {
				last = r.Text()
				io.WriteString(nc, "250 hi\r\n")
			}
			said <- last
		}, mx4)
		c, err := smtpc.Dial(t.Context(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		c.Quit(t.Context())
		if last := <-said; last != "QUIT" {
			t.Errorf("the last word was %q", last)
		}
	})
}

// A peer that is slow within all of its times gets no more than the time of a
// transaction: here it takes four minutes for each of 50 recipients.
func TestTransactionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, target, cfg := world(t, host("", 4*time.Minute), mx4)
		c, err := smtpc.Dial(t.Context(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var to []string
		for range 50 {
			to = append(to, "a@x.example")
		}
		begun := time.Now()
		res := c.Send(t.Context(), envelope(t, to...), strings.NewReader(letter))
		if waited := time.Since(begun); waited > time.Hour+time.Minute || waited < 50*time.Minute {
			t.Errorf("waited %v", waited)
		}
		for _, r := range res.Recipients {
			if !r.Reply.Temporary() || r.Delivered() {
				t.Fatalf("%v", r.Reply)
			}
		}
	})
}

// OUT-007, and its other half: a peer that reads a block just before its time is over,
// again and again, is not waited for.
func TestSlowReader(t *testing.T) {
	for name, x := range map[string]struct {
		perMinute int
		delivered bool
	}{"60 bytes a second": {3600, false}, "4 KiB a second": {4 << 10 * 60, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, target, cfg := world(t, func(nc net.Conn) {
					defer nc.Close()
					for _, reply := range []string{"220 hi", "250 hi", "250 ok", "250 ok", "354 go"} {
						io.WriteString(nc, reply+"\r\n")
						if reply != "354 go" {
							bufio.NewReaderSize(nc, 16).ReadString('\n')
						}
					}
					tail := ""
					for buf := make([]byte, x.perMinute); !strings.HasSuffix(tail, "\r\n.\r\n"); {
						n, err := nc.Read(buf)
						if err != nil {
							return
						}
						tail = (tail + string(buf[:n]))[max(0, len(tail)+n-5):]
						time.Sleep(time.Minute * time.Duration(n) / time.Duration(x.perMinute))
					}
					io.WriteString(nc, "250 taken\r\n")
					nc.Read(make([]byte, 1))
				}, mx4)
				c, err := smtpc.Dial(t.Context(), target, cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				const size = 4 << 20
				env := envelope(t, "a@x.example")
				env.Size = size
				begun := time.Now()
				res := c.Send(t.Context(), env, io.LimitReader(lines{}, size))
				if r := res.Recipients[0]; r.Delivered() != x.delivered || !x.delivered && (!r.Reply.Temporary() || time.Since(begun) > 20*time.Minute) {
					t.Errorf("%v after %v", r.Reply, time.Since(begun))
				}
			})
		})
	}
}

func TestFamilies(t *testing.T) {
	for name, x := range map[string]struct {
		six, four sim.Road
		took      time.Duration // about
		peer      string        // "" for none
	}{
		"both good":                    {sim.Road{}, sim.Road{}, 0, "mx.example[2001:db8::25]"},
		"OUT-017 IPv6 is a black hole": {sim.Road{Silent: true}, sim.Road{}, 2 * time.Second, "mx.example[192.0.2.25]"},
		"IPv6 is refused":              {sim.Road{Refused: true}, sim.Road{}, 0, "mx.example[192.0.2.25]"},
		"IPv6 is slow":                 {sim.Road{Latency: 700 * time.Millisecond}, sim.Road{}, 4 * time.Second, "mx.example[2001:db8::25]"},
		"IPv6 is very slow":            {sim.Road{Latency: 4 * time.Second}, sim.Road{}, 2 * time.Second, "mx.example[192.0.2.25]"},
		"neither":                      {sim.Road{Silent: true}, sim.Road{Silent: true}, 32 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, target, cfg := world(t, host("", 0), mx6, mx4)
				n.Pave(mx6, x.six)
				n.Pave(mx4, x.four)
				begun := time.Now()
				c, err := smtpc.Dial(t.Context(), target, cfg)
				took := time.Since(begun)
				if took < x.took || took > x.took+2*time.Second {
					t.Errorf("took %v, want about %v", took, x.took)
				}
				var failure *smtpc.Failure
				switch {
				case x.peer == "" && errors.As(err, &failure):
					if len(failure.Attempts) != 2 || failure.Attempts[0].Addr != mx6 || !strings.Contains(failure.Error(), "timed out") {
						t.Errorf("%v %+v", failure, failure.Attempts)
					}
				case x.peer == "" || err != nil:
					t.Errorf("%v", err)
				default:
					if c.Peer() != x.peer {
						t.Errorf("peer %s, want %s", c.Peer(), x.peer)
					}
					c.Close()
				}
			})
		})
	}
	t.Run("the first is tried again when the second is no mail host", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, target, cfg := world(t, host("", 0), mx6)
			n.Pave(mx6, sim.Road{Latency: 3 * time.Second})
			l, err := n.Listen(netip.AddrPortFrom(second, 25))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go serve(l, func(nc net.Conn) { io.WriteString(nc, "554 go away\r\n"); nc.Close() })
			target.Addrs = append(target.Addrs, second)
			c, err := smtpc.Dial(t.Context(), target, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if missed := c.Attempts(); c.Peer() != "mx.example[2001:db8::25]" || len(missed) != 1 || missed[0].Addr != second || missed[0].Err.Reply.Code != 554 {
				t.Errorf("%s %+v", c.Peer(), missed)
			}
		})
	})
	t.Run("the end of the context ends all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, target, cfg := world(t, host("", 0), mx6, mx4, second)
			for _, a := range target.Addrs {
				n.Pave(a, sim.Road{Silent: true})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			begun := time.Now()
			if _, err := smtpc.Dial(ctx, target, cfg); err == nil || time.Since(begun) > 4*time.Second {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		})
	})
}
