package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/limit"
)

// addresses are as many clients as one likes, no two of them in one /24.
func address(i int) string { return fmt.Sprintf("10.%d.%d.1:1", i>>8&255, i&255) }

// end cuts a server off.
func end(servers ...*Server) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, s := range servers {
		s.Drain(ctx)
	}
}

func TestABU005AcceptFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flood = 5000
		h, log := newHall(), &told{}
		s := New(Options{Service: "smtp", Events: log, Gate: gate(1000, Rules{PerClient: 50, Rate: 100}),
			Busy: func(why string) []byte { return []byte("421 " + why + "\n") }}, echo)
		go s.Serve(h)
		told := map[string]int{}
		for i := range flood {
			c := h.enter(fmt.Sprintf("192.0.2.%d:1", i%8))
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			line, _ := bufio.NewReader(c).ReadString('\n')
			told[strings.SplitAfter(line, "from 192")[0]]++
		}
		synctest.Wait()
		// Eight clients of one /24: it has room for four of them.
		if n := s.Conns(); n != 200 || s.gate.present.Len() != 9 {
			t.Errorf("%d connections of %d networks", n, s.gate.present.Len())
		}
		if n := told["421 too many connections from 192"]; n != flood-200 {
			t.Errorf("%d were told why: %v", n, told)
		}
		if n := strings.Count(log.lines(), "\n"); n > 10 {
			t.Errorf("the flood is %d lines of log", n)
		}
		other := h.enter("198.51.100.1:1")
		go fmt.Fprintln(other, "hello")
		if line, _ := bufio.NewReader(other).ReadString('\n'); line != "hello\n" {
			t.Errorf("beside the flood: %q", line)
		}
		other.Close()
		end(s)
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		s := New(Options{Service: "smtp", Gate: gate(1000, Rules{Rate: 10, RateTime: time.Minute}),
			Busy: func(why string) []byte { return []byte(why + "\n") }}, func(context.Context, *Conn) {})
		go s.Serve(h)
		for i := range 10 {
			if got := hear(h.enter("192.0.2.1:1")); got != "" {
				t.Fatalf("connection %d was told %q", i, got)
			}
		}
		if got := hear(h.enter("192.0.2.1:1")); got != "too many connections from 192.0.2.1: at most 10 in 1m0s\n" {
			t.Errorf("the eleventh was told %q", got)
		}
		for i := range 100 { // refused, and no matter to the neighbours
			hear(h.enter("192.0.2.1:1"))
			if i%10 == 0 {
				if got := hear(h.enter(fmt.Sprintf("192.0.2.%d:1", 2+i/10))); got != "" {
					t.Fatalf("a neighbour was told %q", got)
				}
			}
		}
		time.Sleep(2 * time.Minute)
		if got := hear(h.enter("192.0.2.1:1")); got != "" {
			t.Errorf("two minutes later: %q", got)
		}
		refused := 0
		for i := range 100 { // one /48, a /56 of its own each time
			if hear(h.enter(fmt.Sprintf("[2001:db8:0:%x::1]:1", i*256))) != "" {
				refused++
			}
		}
		if refused != 60 {
			t.Errorf("ABU-008: %d of 100 were refused, 40 are let in", refused)
		}
		end(s)
	})
}

func TestABU007HalfOpenHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flood = 20000
		plain, secure, log := newHall(), newHall(), &told{}
		g := gate(1000, Rules{})
		smtp := New(Options{Service: "smtp", Gate: g}, func(_ context.Context, c *Conn) { io.WriteString(c, "220\n") })
		smtps := New(Options{Service: "submissions", Gate: g, TLS: selfSigned(t), Events: log}, echo)
		go smtp.Serve(plain)
		go smtps.Serve(secure)
		for i := range flood {
			secure.enter(address(i))
		}
		synctest.Wait()
		if n := smtps.Conns(); n != 675 { // three quarters of all but the reserve
			t.Errorf("%d handshakes are open", n)
		}
		start := time.Now()
		if got := hear(plain.enter("192.0.2.1:1")); got != "220\n" || time.Since(start) > 2*time.Second {
			t.Errorf("the banner beside it: %q after %v", got, time.Since(start))
		}
		time.Sleep(HandshakeTimeout)
		synctest.Wait()
		if n := smtps.Conns(); n != 0 {
			t.Errorf("%d are still there", n)
		}
		if n := strings.Count(log.lines(), "SSL_accept error"); n != 675 {
			t.Errorf("SMTP-012: %d were told of", n)
		}
		end(smtp, smtps)
	})
}

func TestSMTP012FailedHandshakesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newHall(), &told{}
		s := New(Options{Service: "submissions", Gate: gate(1000, Rules{Rate: 20}), TLS: selfSigned(t), Events: log}, echo)
		go s.Serve(h)
		try := func() {
			c := h.enter("192.0.2.1:1")
			go io.WriteString(c, "EHLO not.tls.example\r\n")
			hear(c)
			synctest.Wait()
		}
		for range 20 {
			try()
		}
		if n := strings.Count(log.lines(), "does not look like a TLS handshake"); n != 4 { // at five each
			t.Errorf("%d garbled handshakes were looked at", n)
		}
		time.Sleep(2 * time.Minute)
		try()
		if n := strings.Count(log.lines(), "does not look like a TLS handshake"); n != 5 {
			t.Errorf("it is not over two minutes later: %d", n)
		}
		end(s)
	})
}

// Whoever begins a handshake and says no more keeps nobody from his own.
func TestABU007WaitingHoldsNothing(t *testing.T) {
	g := gate(1000, DefaultRules())
	g.turns = make(chan struct{}, 1)
	s := New(Options{Service: "submissions", Gate: g, TLS: selfSigned(t)}, echo)
	l, err := Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer end(s)
	hello := clientHello(t)
	for range 50 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(hello)
		if _, err := c.Read(make([]byte, 1)); err != nil { // it was answered, and is waited for
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Minute}, Config: &tls.Config{InsecureSkipVerify: true}}
			c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wg.Wait()
}

// clientHello is the first flight of a TLS client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake()
	b := make([]byte, 4096)
	n, err := server.Read(b)
	server.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func TestIdleStrangersMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newHall(), &told{}
		s := New(Options{Service: "smtp", Events: log, Gate: gate(40, Rules{}),
			Busy: func(why string) []byte { return []byte(why + "\n") }},
			func(_ context.Context, c *Conn) {
				b := make([]byte, 2)
				c.Idle(time.Hour)
				io.ReadFull(c, b)
				switch string(b) {
				case "me": // logged in
					c.Known("alice")
					c.Idle(time.Hour)
					c.Read(b)
				case "up": // at work
					c.Busy(time.Hour)
					c.Read(b)
				}
			})
		go s.Serve(h)
		for i := range 46 { // 36 strangers
			c := h.enter(address(i))
			switch {
			case i < 10:
				io.WriteString(c, "me")
			case i < 20:
				io.WriteString(c, "up")
			}
			synctest.Wait()
			time.Sleep(time.Second) // who came first has waited longest
		}
		time.Sleep(shedAfter)
		if got := hear(h.enter("192.0.2.1:1")); got != "too many connections\n" {
			t.Errorf("the first beyond was told %q", got)
		}
		synctest.Wait()
		if n := s.Conns(); n != 45 {
			t.Errorf("%d connections", n)
		}
		for i := range 40 {
			time.Sleep(2 * shedEvery)
			h.enter(address(1000 + i))
		}
		time.Sleep(time.Second)
		known, busy := 0, 0
		s.mu.Lock()
		for c := range s.conns {
			c.mu.Lock()
			switch {
			case c.known:
				known++
			case c.idle.IsZero():
				busy++
			}
			c.mu.Unlock()
		}
		s.mu.Unlock()
		if known != 10 || busy != 10 {
			t.Errorf("of those logged in %d are left, of those at work %d", known, busy)
		}
		if !strings.Contains(log.lines(), "smtp: ended 1 idle connections to make room for others") {
			t.Error(log.lines())
		}
		end(s)
		if n := s.gate.present.Len(); n != 0 || s.gate.budget.Inside() != 0 {
			t.Errorf("left over: %d", n)
		}
	})
}

// Whoever finds no room at one door may get the place of who waits at another.
func TestRoomIsMadeAtAllDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := newHall(), newHall()
		g := gate(40, Rules{})
		smtp := New(Options{Service: "smtp", Gate: g}, func(_ context.Context, c *Conn) {
			c.Idle(time.Hour)
			c.Read(make([]byte, 1))
		})
		imap := New(Options{Service: "imap", Gate: g}, echo)
		go smtp.Serve(one)
		go imap.Serve(other)
		for i := range 27 { // its share
			one.enter(address(i))
		}
		for i := range 9 { // at work
			c := other.enter(address(100 + i))
			synctest.Wait()
			imap.mu.Lock()
			for x := range imap.conns {
				x.Busy(time.Hour)
			}
			imap.mu.Unlock()
			defer c.Close()
		}
		time.Sleep(shedAfter)
		other.enter("192.0.2.1:1")
		time.Sleep(time.Second)
		if n := smtp.Conns(); n != 26 {
			t.Errorf("%d strangers still wait", n)
		}
		c := other.enter("192.0.2.1:1")
		go fmt.Fprintln(c, "hello")
		if line, _ := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
			t.Errorf("got %q", line)
		}
		end(smtp, imap)
	})
}

// An office behind one address is not shut out by its own size.
func TestWhoIsKnownDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		s := New(Options{Service: "imap", Gate: gate(1000, Rules{PerClient: 2})}, func(ctx context.Context, c *Conn) {
			c.Known("alice")
			c.Known("alice")
			echo(ctx, c)
		})
		go s.Serve(h)
		for range 10 {
			h.enter("192.0.2.1:1")
			synctest.Wait()
		}
		if n := s.Conns(); n != 10 {
			t.Errorf("%d connections", n)
		}
		end(s)
		if n := s.gate.present.Len(); n != 0 {
			t.Errorf("left over: %d", n)
		}
	})
}

func TestFavouredFindRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		s := New(Options{Service: "smtp", Gate: gate(50, Rules{Favoured: prefixes("198.51.100.0/24", "::1/128")})}, echo)
		go s.Serve(h)
		for i := range 100 {
			h.enter(address(i))
		}
		synctest.Wait()
		if n := s.Conns(); n != 45 {
			t.Errorf("%d strangers", n)
		}
		for _, a := range []string{"198.51.100.7:1", "[::1]:1"} {
			c := h.enter(a)
			go fmt.Fprintln(c, "hello")
			if line, _ := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
				t.Errorf("%s finds no room", a)
			}
		}
		end(s)
	})
}

func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall()
		g := gate(100, Rules{PerClient: 1, Rate: 1})
		say := func(text string) Handler { return func(_ context.Context, c *Conn) { io.WriteString(c, text) } }
		s := New(Options{Service: "smtp", Gate: g}, say("old"))
		go s.Serve(h)
		if got := hear(h.enter("192.0.2.1:1")); got != "old" {
			t.Error(got)
		}
		g.Configure(Rules{PerClient: 5, Rate: 10})
		s.Configure(Options{Service: "smtp", Gate: g, Busy: func(why string) []byte { return []byte(why) }}, say("new"))
		if got := hear(h.enter("192.0.2.1:1")); got != "new" {
			t.Error(got)
		}
		g.Configure(Rules{Rate: 1})
		if got := hear(h.enter("192.0.2.1:1")); got != "too many connections from 192.0.2.1: at most 1 in 1m0s" {
			t.Error(got)
		}
		end(s)
	})
}

func TestStatistics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newHall(), &told{}
		g := gate(100, Rules{})
		s := New(Options{Service: "smtp", Gate: g}, echo)
		go s.Serve(h)
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() { defer close(over); g.Watch(ctx, log) }()
		for range 3 {
			h.enter("192.0.2.7:1")
		}
		h.enter("192.0.2.8:1")
		synctest.Wait()
		time.Sleep(statisticsTime)
		synctest.Wait()
		const at = "Jan  1 00:00:00"
		if got := log.lines(); got != "statistics: max connection rate 3/60s for (smtp:192.0.2.7) at "+at+"\n"+
			"statistics: max connection count 3 for (smtp:192.0.2.7) at "+at+"\n" {
			t.Errorf("told %q", got)
		}
		time.Sleep(3 * statisticsTime)
		cancel()
		<-over
		if n := strings.Count(log.lines(), "\n"); n != 2 {
			t.Errorf("told of nobody: %q", log.lines())
		}
		end(s)
	})
}

func TestPressureIsASentence(t *testing.T) {
	for want, change := range map[string]limit.Change{
		`service "smtp" is nearing its limit of 675 connections (limits.connections): clients get shorter times`:                     {Source: limit.OfConnections, Service: "smtp", Level: limit.Stress, Limit: 675},
		`warning: service "smtp" has reached its limit of 675 connections (limits.connections): new clients are asked to come later`: {Source: limit.OfConnections, Service: "smtp", Level: limit.Full, Limit: 675},
		`warning: the server has reached its limit of 256 MB of memory (limits.memory): new clients are asked to come later`:         {Source: limit.OfMemory, Level: limit.Full, Limit: 256 << 20},
		`the server has room again after 1m30s of pressure (connections)`:                                                            {Source: limit.OfConnections, Lasted: 90 * time.Second},
	} {
		if _, got := (Pressure{change}).Line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestABU006Descriptors runs a server that may open few files, in a process of its
// own.
func TestABU006Descriptors(t *testing.T) {
	t.Parallel()
	if os.Getenv("LISTEN_TEST_FILES") != "" {
		poorServer()
		return
	}
	if testing.Short() {
		t.Skip("waits until idle clients lose their place")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestABU006Descriptors$")
	child.Env = append(os.Environ(), "LISTEN_TEST_FILES=48")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	addr, _ := r.ReadString('\n')
	var conns []net.Conn
	for range 70 { // more than there are files; the rest waits in the backlog
		c, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	// Nobody says anything. Those who came first lose their places, one after the
	// other, and the next of the line is served.
	last := conns[45]
	fmt.Fprintln(last, "still here")
	last.SetReadDeadline(time.Now().Add(4 * time.Minute))
	if line, err := bufio.NewReader(last).ReadString('\n'); line != "still here\n" && !strings.Contains(line, "descriptors") {
		t.Errorf("the 46th: %q, %v", line, err)
	}
	for _, c := range conns {
		c.Close()
	}
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(c, "hello")
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		line, _ := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if line == "hello\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no recovery: %q", line)
		}
	}
	in.Close()
	report, _ := io.ReadAll(r)
	if err := child.Wait(); err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	var failures, seconds int
	if _, err := fmt.Sscanf(string(report), "failures %d seconds %d", &failures, &seconds); err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	// Pauses double from 5 ms to one second, anew after each success.
	if failures == 0 || failures > 20*(seconds+1) {
		t.Errorf("%d failures in %d s", failures, seconds)
	}
}

// poorServer serves until its input ends.
func poorServer() {
	files := syscall.Rlimit{Cur: 48, Max: 48}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		panic(err)
	}
	log := &told{}
	s := New(Options{Service: "smtp", Events: log, Busy: func(why string) []byte { return []byte(why + "\n") }}, echo)
	l, err := Open(context.Background(), "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	start := time.Now()
	go s.Serve(l)
	fmt.Println(l.Addr())
	io.Copy(io.Discard, os.Stdin)
	fmt.Printf("failures %d seconds %d\n", strings.Count(log.lines(), "too many open files"), int(time.Since(start).Seconds()))
	end(s)
}
