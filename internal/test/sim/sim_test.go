package sim_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"facteur/internal/test/sim"
)

const wait = 30 * time.Second

func world(t *testing.T) *sim.World {
	t.Helper()
	behaviours := sim.DemoBehaviours()
	behaviours["slow.example"] = sim.Slow(50 * time.Millisecond)
	w, err := sim.StartWorld("127.0.0.1:0", "127.0.0.1:0", behaviours, sim.DemoZone(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func ask(t *testing.T, w *sim.World, name string, qtype uint16) *wire.Msg {
	t.Helper()
	m := new(wire.Msg)
	m.SetQuestion(name, qtype)
	c := wire.Client{Timeout: wait}
	r, _, err := c.Exchange(m, w.DNS.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWorldNames(t *testing.T) {
	w := world(t)
	if r := ask(t, w, "reject.example.", wire.TypeMX); len(r.Answer) != 1 || r.Answer[0].(*wire.MX).Mx != "mx.reject.example." {
		t.Errorf("MX: %v", r)
	}
	if r := ask(t, w, "MX.reject.example.", wire.TypeA); len(r.Answer) != 1 || !r.Answer[0].(*wire.A).A.Equal(w.Sink.Addr().IP) {
		t.Errorf("A: %v", r)
	}
	if r := ask(t, w, "nomail.example.", wire.TypeMX); len(r.Answer) != 1 || r.Answer[0].(*wire.MX).Mx != "." {
		t.Errorf("null MX: %v", r)
	}
	for name, want := range map[string]int{"nothing.example.": wire.RcodeNameError, "servfail.example.": wire.RcodeServerFailure, "example.": wire.RcodeSuccess} {
		if r := ask(t, w, name, wire.TypeMX); r.Rcode != want || len(r.Answer) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	if w.DNS.Asked("nothing.example", "MX") != 1 {
		t.Error("questions are not counted")
	}
}

func TestWorldMail(t *testing.T) {
	w := world(t)
	for domain, want := range map[string]string{"accept.example": "", "slow.example": "", "elsewhere.example": "", "reject.example": "550 5.1.1", "defer.example": "451 4.7.1"} {
		t.Run(domain, func(t *testing.T) {
			c, err := smtp.Dial(w.Sink.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Mail("alice@example.org"); err != nil {
				t.Fatal(err)
			}
			err = c.Rcpt("Bob@" + strings.ToUpper(domain))
			if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), `"`, ""), want)) {
				t.Errorf("RCPT: %v, want %q", err, want)
			}
			if err != nil {
				return
			}
			data, err := c.Data()
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(data, "To: "+domain+"\r\n\r\n.dot\r\n")
			if err := data.Close(); err != nil {
				t.Error(err)
			}
			c.Quit()
		})
	}
	taken := w.Sink.Await(3, wait)
	if len(taken) != 3 {
		t.Fatalf("%d messages", len(taken))
	}
	for _, one := range taken {
		if !strings.HasSuffix(string(one.Data), "\r\n\r\n.dot\r\n") || len(one.Recipients) != 1 || !strings.HasPrefix(one.Mail, "<alice@example.org>") {
			t.Errorf("%+v", one)
		}
	}
}

// TestFaults: the peer does wrong what it is told to, and nothing else.
func TestFaults(t *testing.T) {
	talk := func(t *testing.T, faults []sim.Fault, lines ...string) string {
		t.Helper()
		s, err := sim.StartPeer(sim.Peer{Faults: faults, Hide: []string{"AUTH", "PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(wait))
		fmt.Fprint(nc, strings.Join(lines, "\r\n")+"\r\n")
		all, err := io.ReadAll(bufio.NewReader(nc))
		if err != nil {
			return string(all) + "!"
		}
		return string(all)
	}
	const start, end = "220 sink.invalid ESMTP\r\n", "221 2.0.0 Bye\r\n"
	cases := []struct {
		name   string
		faults []sim.Fault
		want   string
	}{
		{"none", nil, start + "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n" + end},
		{"another reply", []sim.Fault{{At: "MAIL", Raw: "451 no\r\n"}}, start + "451 no\r\n250 2.0.0 Ok\r\n" + end},
		{"the second of that name", []sim.Fault{{At: "MAIL", Nth: 2, Raw: "451 no\r\n"}}, start + "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n" + end},
		{"another connection", []sim.Fault{{At: "MAIL", Conn: 2, Raw: "451 no\r\n"}}, start + "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n" + end},
		{"extra and split", []sim.Fault{{At: "MAIL", Extra: "x\r\n", Split: true, Delay: time.Millisecond}}, start + "250 2.1.0 Ok\r\nx\r\n250 2.0.0 Ok\r\n" + end},
		{"silent", []sim.Fault{{At: "MAIL", Silent: true}}, start + "250 2.0.0 Ok\r\n" + end},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := talk(t, tc.faults, "MAIL FROM:<a@b>", "RSET", "QUIT"); got != tc.want {
				t.Errorf("it said %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("drop", func(t *testing.T) {
		got := talk(t, []sim.Fault{{At: "MAIL", Then: sim.Drop}}, "MAIL FROM:<a@b>")
		if got != start+"250 2.1.0 Ok\r\n" {
			t.Errorf("it said %q", got)
		}
	})
	t.Run("reset", func(t *testing.T) {
		got := talk(t, []sim.Fault{{At: "MAIL", Silent: true, Then: sim.Reset}}, "MAIL FROM:<a@b>")
		if !strings.HasSuffix(got, "!") {
			t.Errorf("it said %q and closed politely", got)
		}
	})
}

func TestZoneErrors(t *testing.T) {
	if _, err := sim.StartDNS("127.0.0.1:0", "example.net. MX ten mx"); err == nil {
		t.Error("it was taken")
	}
}
