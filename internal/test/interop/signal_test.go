package interop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"facteur/internal/test/ledger"
)

// INV-23, row 259: SIGHUP with a bad file changes nothing and says why; with a good
// one it changes everything.
func TestReload(t *testing.T) {
	t.Parallel()
	f := NewFacteur(t, Setup{Accounts: []string{alice}})
	f.Start()
	f.Edit("hostname =", "hostnam = \"x\"\nhostname =")
	f.Signal(syscall.SIGHUP)
	WaitUntil(t, "a word about hostnam", func() bool { return strings.Contains(f.Log(), "hostnam") })
	if reply := rcpt(t, f, alice); !strings.HasPrefix(reply, "250") {
		t.Errorf("after a bad reload alice gets %s", reply)
	}
	if reply := rcpt(t, f, "x@example.com"); !strings.HasPrefix(reply, "250") { // we are trusted: relayed
		t.Errorf("before the domain is ours: %s", reply)
	}
	f.Edit("hostnam = \"x\"\n", "")
	f.Edit("[[domain]]", "[[domain]]\nname = \"example.com\"\n\n[[domain]]")
	f.Signal(syscall.SIGHUP)
	WaitUntil(t, "example.com to be ours", func() bool { return strings.HasPrefix(rcpt(t, f, "x@example.com"), "550") })
}

// rcpt asks what a server says to a recipient.
func rcpt(t *testing.T, post Post, to string) (reply string) {
	t.Helper()
	s := dialSMTP(t, post)
	defer s.conn.Close()
	for _, command := range []string{"EHLO client.test", "MAIL FROM:<bob@example.net>", "RCPT TO:<" + to + ">"} {
		fmt.Fprintf(s.conn, "%s\r\n", command)
		reply = s.reply()
	}
	return reply
}

// smtpSession is an SMTP session by hand.
type smtpSession struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialSMTP(t *testing.T, post Post) *smtpSession {
	t.Helper()
	return dialService(t, post, "smtp")
}

func dialService(t *testing.T, post Post, service string) *smtpSession {
	t.Helper()
	conn, err := net.Dial("tcp", post.Addr(service))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(LongWait))
	s := &smtpSession{conn, bufio.NewReader(conn)}
	s.reply()
	return s
}

// reply is the last line of an answer, "" when the connection is gone.
func (s *smtpSession) reply() string {
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSpace(line)
		}
	}
}

// SMTP-045: SIGTERM while 100 clients are in DATA, and while 100 are in BDAT. Each
// gets its 250, an error, or a closed connection; what got 250 is there
// afterwards, once.
func TestStopInData(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		stopInside(t, post, func(letter []byte) (command, want, half, rest string) {
			begin, all := string(stuff(letter[:len(letter)/2])), string(stuff(letter))
			return "DATA\r\n", "354", begin, all[len(begin):] + ".\r\n"
		})
	})
}

func TestStopInBDAT(t *testing.T) {
	t.Parallel()
	eachPost(t, Setup{Accounts: []string{alice}}, func(t *testing.T, post Post) {
		stopInside(t, post, func(letter []byte) (command, want, half, rest string) {
			third := len(letter) / 3
			chunk := fmt.Sprintf("BDAT %d\r\n%s", third, letter[:third])
			last := fmt.Sprintf("BDAT %d LAST\r\n%s", len(letter)-third, letter[third:])
			return chunk, "250", last[:len(last)/2], last[len(last)/2:]
		})
	})
}

// stopInside sends half of the content of a hundred letters, stops the server, and
// then sends the rest. cut makes of a letter what begins its content, how that is
// answered, and what follows in two halves.
func stopInside(t *testing.T, post Post, cut func(letter []byte) (command, want, half, rest string)) {
	t.Helper()
	book := ledger.NewBook(nil)
	to := []ledger.Recipient{{Address: alice, Want: ledger.Local}}
	var clients sync.WaitGroup
	stopping := make(chan struct{})
	for n := range 100 {
		letter := ledger.Letter{ID: fmt.Sprintf("stop-%d", n), From: "bob@example.net", Size: 20_000}
		book.Open(letter, to)
		s := dialSMTP(t, post)
		command, want, half, rest := cut(letter.Bytes())
		for _, step := range []struct{ command, reply string }{
			{"EHLO client.test\r\n", "250"}, {"MAIL FROM:<bob@example.net> BODY=8BITMIME\r\n", "250"}, {"RCPT TO:<" + alice + ">\r\n", "250"}, {command, want},
		} {
			fmt.Fprint(s.conn, step.command)
			if reply := s.reply(); !strings.HasPrefix(reply, step.reply) {
				t.Fatalf("%.40s: %s", step.command, reply)
			}
		}
		fmt.Fprint(s.conn, half)
		clients.Go(func() {
			<-stopping
			time.Sleep(time.Duration(n) * 5 * time.Millisecond)
			fmt.Fprint(s.conn, rest)
			book.Close(letter.ID, to, answer(s.reply()))
		})
	}
	close(stopping)
	post.Stop()
	clients.Wait()
	post.Start()
	WaitUntil(t, "the queue to be empty", func() bool { n, err := post.Queued(); return err == nil && n == 0 })
	t.Logf("answers seen: %v", book.Count())
	if _, isFacteur := post.(*Facteur); isFacteur && book.Count()[ledger.Unknown] > 0 {
		t.Errorf("%d clients saw neither 250 nor 421", book.Count()[ledger.Unknown])
	}
	balance(t, book, post, nil)
}

// stuff doubles the dots, as RFC 5321 §4.5.2 has it.
func stuff(text []byte) []byte {
	return []byte(strings.ReplaceAll(string(text), "\r\n.", "\r\n.."))
}

func answer(reply string) ledger.Answer {
	switch {
	case reply == "":
		return ledger.Unknown
	case strings.HasPrefix(reply, "250"):
		return ledger.Accepted
	}
	return ledger.Refused
}

func balance(t *testing.T, book *ledger.Book, post Post, copies []ledger.Copy) {
	t.Helper()
	found, err := ledger.Maildir(post.Maildir(alice), alice)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range book.Balance(append(found, copies...), ledger.Options{}) {
		t.Error(line)
	}
}

// OUT-001: the server is killed between the remote's "I have it" and the
// answer, every time at the worst moment: at most one more copy each time.
func TestKillAtRemoteAnswer(t *testing.T) {
	t.Parallel()
	eachPostWith(t, func(t *testing.T, open func(Setup) Post) {
		const kills = 5
		var post Post
		dead := make(chan bool)
		var armed atomic.Bool // one kill for each start
		armed.Store(true)
		sink, err := ledger.NewSink(ledger.SinkPolicy{OnTaken: func(int) {
			if armed.CompareAndSwap(true, false) {
				post.Kill()
				dead <- true
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		post = open(Setup{Accounts: []string{alice}, Smarthost: sink.Addr()})
		post.Start()
		book := ledger.NewBook(nil)
		ctx, cancel := context.WithCancel(context.Background())
		driver := &ledger.Driver{Book: book, Addr: post.Addr("smtp"), From: alice, Connections: 1, PerSecond: 20, Seed: 1, Run: "out",
			Recipients: []ledger.Recipient{{Address: "dave@remote.test", Want: ledger.Remote}}}
		var sending sync.WaitGroup
		sending.Go(func() { driver.Send(ctx) })
		for n := range kills {
			select {
			case <-dead:
			case <-time.After(LongWait):
				t.Fatal("nothing reaches the remote server")
			}
			if err := sink.Fault(); err != nil {
				t.Fatal(err)
			}
			post.Start()
			armed.Store(n < kills-1)
		}
		cancel()
		sending.Wait()
		WaitUntil(t, "the queue to be empty", func() bool { n, err := post.Queued(); return err == nil && n == 0 })
		t.Logf("answers seen: %v, copies: %d", book.Count(), len(sink.Copies()))
		balance(t, book, post, sink.Copies())
	})
}

// FLT-020: the settings are read again a hundred times while mail comes in: every session
// goes on, and what got 250 is there, once.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	f := NewFacteur(t, Setup{Accounts: []string{alice}})
	f.Start()
	storm := make(chan struct{})
	go func() {
		defer close(storm)
		for range 100 {
			f.Signal(syscall.SIGHUP)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	s, accepted := dialSMTP(t, f), 0
	fmt.Fprint(s.conn, "EHLO client.test\r\n")
	s.reply()
	for over := false; !over; {
		select {
		case <-storm:
			over = true
		default:
		}
		for _, step := range []struct{ line, want string }{
			{"MAIL FROM:<bob@example.net>", "250"}, {"RCPT TO:<" + alice + ">", "250"}, {"DATA", "354"},
			{fmt.Sprintf("Subject: %d\r\n\r\nhello\r\n.", accepted), "250"},
		} {
			fmt.Fprintf(s.conn, "%s\r\n", step.line)
			if reply := s.reply(); !strings.HasPrefix(reply, step.want) {
				t.Fatalf("letter %d: %q is answered with %q", accepted, step.line, reply)
			}
		}
		accepted++
	}
	if reply := rcpt(t, f, alice); !strings.HasPrefix(reply, "250") { // a new session
		t.Errorf("after the storm: %s", reply)
	}
	arrived := func() int {
		files, err := filepath.Glob(filepath.Join(f.Maildir(alice), "new", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	WaitUntil(t, "the queue to be empty", func() bool { queued, err := f.Queued(); return queued == 0 && err == nil })
	if arrived() != accepted {
		t.Errorf("%d accepted, %d arrived", accepted, arrived())
	}
	t.Logf("%d letters", accepted)
}
