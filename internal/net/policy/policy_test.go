package policy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseAction(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"OK":                              "OK",
		"ok":                              "OK",
		"20031231":                        "OK",
		"DUNNO":                           "DUNNO",
		"dunno whatever":                  "DUNNO",
		"REJECT":                          "554 5.7.1 <x>: Sender address rejected: Access denied",
		"reject Go away":                  "554 5.7.1 <x>: Sender address rejected: Go away",
		"REJECT 5.1.8 Go away":            "554 5.1.8 <x>: Sender address rejected: Go away",
		"550 5.1.1 No such user":          "550 5.1.1 <x>: Sender address rejected: No such user",
		"450 Later":                       "450 4.7.1 <x>: Sender address rejected: Later",
		"450 5.2.0 Later":                 "450 4.2.0 <x>: Sender address rejected: Later",
		"421":                             "421 4.7.1 <x>: Sender address rejected: Service is unavailable, try again later",
		"DEFER":                           "450 4.7.1 <x>: Sender address rejected: Service is unavailable, try again later",
		"DEFER_IF_REJECT no disk":         "450 4.7.1 <x>: Sender address rejected: no disk",
		"DEFER_IF_PERMIT 4.2.0 Greylist":  "450 4.2.0 <x>: Sender address rejected: Greylist",
		"DISCARD sink":                    "DISCARD sink",
		"HOLD look at it":                 "HOLD look at it",
		"PREPEND X-Greylist: delayed 5 s": "PREPEND X-Greylist: delayed 5 s",
		"REDIRECT a@b.example":            "REDIRECT a@b.example",
		"BCC a@b.example":                 "BCC a@b.example",
		"WARN odd":                        "WARN odd",
		"INFO odd":                        "INFO odd",
		"PREPEND no field":                "error",
		"PREPEND X y: z":                  "error",
		"REDIRECT":                        "error",
		"FILTER smtp:[127.0.0.1]:10025":   "unsupported",
		"permit_mynetworks, reject":       "unsupported",
		"600 x":                           "unsupported",
		"":                                "unsupported",
	} {
		if got := describe(ParseAction(in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func describe(a Action, err error) string {
	switch {
	case errors.Is(err, ErrUnsupported):
		return "unsupported"
	case err != nil:
		return "error"
	}
	if r := a.Reply("x", "Sender address"); r != nil {
		return r.Error()
	}
	for word, v := range verbs {
		if v.Verb == a.Verb {
			return strings.TrimSpace(word + " " + strings.TrimSpace(strings.Repeat(a.Text, min(int(a.Verb/Discard), 1))))
		}
	}
	return "?"
}

func TestRequestIsFramed(t *testing.T) {
	t.Parallel()
	q := &Request{State: StateRcpt, Protocol: "ESMTP", Helo: "client.example", Sender: "a@b", Recipient: "c@d",
		ClientAddr: netip.MustParseAddr("2001:db8::1"), ClientName: "unknown", Size: 12, Stress: true}
	b, err := q.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"request=smtpd_access_policy", "protocol_state=RCPT", "client_address=2001:db8::1",
		"sender=a@b", "size=12", "stress=yes", "client_port=", "ccert_subject=", "recipient_count=0", "policy_context="} {
		if !bytes.Contains(append([]byte("\n"), b...), []byte("\n"+line+"\n")) {
			t.Errorf("no line %q in\n%s", line, b)
		}
	}
	if !bytes.HasSuffix(b, []byte("\n\n")) || bytes.Count(b, []byte("\n\n")) != 1 {
		t.Errorf("framing of\n%s", b)
	}
	for _, bad := range []string{"x\ny=z", "x\r", "x\x00"} {
		if _, err := (&Request{Helo: bad}).append(nil); !errors.Is(err, ErrUnframeable) {
			t.Errorf("MAP-006 %q: %v", bad, err)
		}
	}
}

// server is a scripted policy server: for each question on each connection it
// runs the script with the number of the connection and of the question on it.
type server struct {
	net.Listener
	connections, questions atomic.Int64
}

func serve(t *testing.T, network, address string, script func(c net.Conn, nth, question int) bool) (*server, *Client) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("%s: %v", address, err)
	}
	s := &server{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(c, int(s.connections.Add(1)), script)
		}
	}()
	client := New(Config{Name: "test", Network: network, Address: l.Addr().String(), Timeout: time.Minute, RetryDelay: time.Millisecond})
	t.Cleanup(func() { client.Close() })
	return s, client
}

func (s *server) talk(c net.Conn, nth int, script func(net.Conn, int, int) bool) {
	defer c.Close()
	r := bufio.NewReader(c)
	for question := 1; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line != "\n" {
			continue
		}
		s.questions.Add(1)
		if !script(c, nth, question) {
			return
		}
		question++
	}
}

func say(text string) func(net.Conn, int, int) bool {
	return func(c net.Conn, _, _ int) bool {
		_, err := io.WriteString(c, text)
		return err == nil
	}
}

var rcpt = &Request{State: StateRcpt, Helo: "x"}

// The connection is kept, over every kind of socket (IPv6 among them).
func TestConnectionIsKept(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			s, c := serve(t, network, address, say("action=REJECT no\nfuture=1\n\n"))
			for range 3 {
				if a, err := c.Ask(t.Context(), rcpt); err != nil || a.Verb != Reject || a.Text != "no" {
					t.Fatal(a, err)
				}
			}
			if n := s.connections.Load(); n != 1 {
				t.Errorf("%d connections for three questions", n)
			}
		})
	}
}

// What is no answer ends the connection; the question is put again, on a new one.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"MAP-006 no equals sign":     "action OK\n\n",
		"MAP-006 no action":          "x=y\n\n",
		"MAP-006 two actions":        "action=OK\naction=REJECT\n\n",
		"MAP-006 NUL":                "action=OK\x00\n\n",
		"MAP-006 empty":              "\n",
		"MAP-006 no name":            "=OK\n\n",
		"MAP-006 one endless line":   "action=" + strings.Repeat("x", 2*maxAnswer),
		"MAP-006 many lines":         strings.Repeat("x=y\n", maxAnswer/4+1),
		"MAP-006 dies in the middle": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, nth, _ int) bool {
				io.WriteString(c, text)
				if text == "" {
					io.WriteString(c, "action=O")
					return false
				}
				return true
			})
			if a, err := c.Ask(t.Context(), rcpt); err == nil {
				t.Errorf("taken as %+v", a)
			}
			if n := s.connections.Load(); n != 2 {
				t.Errorf("%d connections, want one for each try", n)
			}
			if len(c.kept) != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestAGigabyte(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	_, c := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, _, _ int) bool {
		block := bytes.Repeat([]byte("x"), 1<<16)
		for range 1 << 14 {
			n, err := c.Write(block)
			if sent.Add(int64(n)); err != nil {
				return false
			}
		}
		return false
	})
	if _, err := c.Ask(t.Context(), rcpt); !errors.Is(err, errTooLong) {
		t.Errorf("MAP-006: %v", err)
	}
	if sent.Load() > 100<<20 {
		t.Errorf("MAP-006: %d bytes were read", sent.Load())
	}
}

// A server that answers twice, or late, is not believed the next time.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	t.Run("MAP-006 at once", func(t *testing.T) {
		t.Parallel()
		s, c := serve(t, "tcp", "127.0.0.1:0", say("action=DUNNO\n\naction=OK\n\n"))
		for range 3 {
			if a, err := c.Ask(t.Context(), rcpt); err != nil || a.Verb != Dunno {
				t.Fatalf("%+v, %v", a, err)
			}
		}
		if s.connections.Load() != 3 {
			t.Error("the connection was used again")
		}
	})
	t.Run("MAP-006 later", func(t *testing.T) {
		t.Parallel()
		said := make(chan bool)
		_, c := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, nth, _ int) bool {
			fmt.Fprintf(c, "action=REJECT %d\n\n", nth)
			go func() {
				<-said
				io.WriteString(c, "action=OK\n\n")
				said <- true
			}()
			return true
		})
		c.Ask(t.Context(), rcpt)
		said <- true
		<-said
		for silent(c.kept[0].Conn) { // until it has arrived
			time.Sleep(time.Millisecond)
		}
		if a, err := c.Ask(t.Context(), rcpt); err != nil || a.Text != "2" {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("MAP-006 after the time-out", func(t *testing.T) {
		t.Parallel()
		_, c := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, nth, _ int) bool {
			if nth > 1 {
				io.WriteString(c, "action=DUNNO\n\n")
			}
			return true // the first hangs
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Ask(ctx, rcpt); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a server that hangs: %v", err)
		}
		if a, err := c.Ask(t.Context(), rcpt); err != nil || a.Verb != Dunno || len(c.kept) != 1 {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// Kept connections that the server closed cost no try.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	_, c := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, _, _ int) bool {
		io.WriteString(c, "action=OK\n\n")
		return false
	})
	for range 5 {
		if a, err := c.Ask(t.Context(), rcpt); err != nil || a.Verb != OK {
			t.Fatal(a, err)
		}
	}
}

func TestServerIsDown(t *testing.T) {
	t.Parallel()
	c := New(Config{Network: "unix", Address: filepath.Join(t.TempDir(), "none"), RetryDelay: time.Millisecond})
	if _, err := c.Ask(t.Context(), rcpt); err == nil {
		t.Error("FLT-018: an answer from nobody")
	}
}

// The most connections at a time hold; whoever waits gets his turn.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	_, c := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn, _, _ int) bool {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond)
		now.Add(-1)
		io.WriteString(c, "action=OK\n\n")
		return true
	})
	c.free = make(chan struct{}, 3)
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() {
			_, err := c.Ask(context.Background(), rcpt)
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > 3 {
		t.Errorf("%d at a time, want at most 3", most.Load())
	}
}

// Whatever a server says, it is an action or an error, within the bound.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"action=OK\n\n", "action=DEFER_IF_PERMIT 4.2.0 x\r\n\r\n", "x=y\naction=PREPEND A: b\n\n", "\n", "action=\n\n", "a\x00=b\n\n", "action=450 4.4.4.4 x\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text, err := readAnswer(bufio.NewReaderSize(bytes.NewReader(in), 16))
		if err != nil {
			return
		}
		if len(text) > maxAnswer || strings.ContainsAny(text, "\n\x00") {
			t.Fatalf("%q", text)
		}
		a, err := ParseAction(text)
		if err != nil {
			return
		}
		if r := a.Reply("x", "y"); r != nil && (r.Code < 400 || r.Code > 599 || r.Enhanced[0] != byte('0'+r.Code/100)) {
			t.Fatalf("%q gives %v", text, r)
		}
		if len(a.Text) > maxText {
			t.Fatalf("text of %d bytes", len(a.Text))
		}
	})
}
