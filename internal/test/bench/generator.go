package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds the wait for one answer.
const patience = 5 * time.Minute

// cell is one way to send letters to a server's door.
type cell struct {
	size        int // bytes of a letter
	connections int
	kept        bool // a connection is used for many letters
	tls         bool // STARTTLS
}

func (c cell) String() string {
	text := fmt.Sprintf("%d KB, %d connections", c.size/1000, c.connections)
	if c.connections == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	if c.kept {
		text += ", kept"
	}
	if c.tls {
		text += ", TLS"
	}
	return text
}

// generator sends letters over SMTP as mail servers do: EHLO, then the envelope in
// one piece (RFC 2920), then the letter. It runs in this process, whose processor
// time is counted apart from the server's.
type generator struct {
	cell
	addr, to string
	letter   []byte
}

func newGenerator(c cell, addr, to string) *generator {
	text := "From: bob@example.net\r\nSubject: a letter\r\nMessage-ID: <bench@example.net>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n"
	line := strings.Repeat("ordinary text, ", 5)[:70] + "\r\n"
	text += strings.Repeat(line, max(1, (c.size-len(text))/len(line)))
	return &generator{cell: c, addr: addr, to: to, letter: []byte(text + ".\r\n")}
}

// run sends until the context ends and returns how long each letter took, from the
// connection (a kept one: from MAIL) to its 250.
func (g *generator) run(ctx context.Context) (took []time.Duration, err error) {
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range g.connections {
		clients.Go(func() {
			mine, problem := g.client(ctx)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			if problem != nil {
				err = problem
			}
		})
	}
	clients.Wait()
	slices.Sort(took)
	return took, err
}

// client is one sender; a letter that was begun is finished.
func (g *generator) client(ctx context.Context) (took []time.Duration, err error) {
	var t *talk
	for ctx.Err() == nil {
		start := time.Now()
		if t == nil {
			if t, err = g.open(); err != nil {
				return took, err
			}
		}
		if err := t.send(g); err != nil {
			t.conn.Close()
			return took, err
		}
		took = append(took, time.Since(start))
		if !g.kept {
			t.quit()
			t = nil
		}
	}
	if t != nil {
		t.quit()
	}
	return took, nil
}

// talk is one connection.
type talk struct {
	conn net.Conn
	r    *bufio.Reader
}

// open connects and goes as far as the answer to EHLO, under TLS where that is
// asked for.
func (g *generator) open() (*talk, error) {
	conn, err := net.DialTimeout("tcp", g.addr, patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	t := &talk{conn, bufio.NewReaderSize(conn, 512)}
	err = t.expect("220", "250")
	if err == nil && g.tls {
		err = t.start()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// start negotiates TLS. No session is resumed: strangers come for the first time.
func (t *talk) start() error {
	t.conn.Write([]byte("STARTTLS\r\n"))
	if err := t.answer("220"); err != nil {
		return err
	}
	secure := tls.Client(t.conn, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		return err
	}
	t.conn, t.r = secure, bufio.NewReaderSize(secure, 512)
	t.conn.Write([]byte("EHLO client.example.net\r\n"))
	return t.answer("250")
}

// expect reads the banner and greets.
func (t *talk) expect(banner, greeting string) error {
	if err := t.answer(banner); err != nil {
		return err
	}
	t.conn.Write([]byte("EHLO client.example.net\r\n"))
	return t.answer(greeting)
}

func (t *talk) send(g *generator) error {
	if g.kept {
		t.conn.SetDeadline(time.Now().Add(patience))
	}
	return t.post("bob@example.net", g.to, g.letter)
}

// post hands over a letter, which ends with its dot.
func (t *talk) post(from, to string, letter []byte) error {
	fmt.Fprintf(t.conn, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", from, to)
	for _, want := range []string{"250", "250", "354"} {
		if err := t.answer(want); err != nil {
			return err
		}
	}
	if _, err := t.conn.Write(letter); err != nil {
		return err
	}
	return t.answer("250")
}

func (t *talk) quit() {
	t.conn.Write([]byte("QUIT\r\n"))
	t.answer("221")
	t.conn.Close()
}

// answer reads one reply, with all its lines.
func (t *talk) answer(want string) error {
	for {
		line, err := t.r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case len(line) > 3 && line[3] == '-':
		case !strings.HasPrefix(string(line), want):
			return fmt.Errorf("%q, want %s", line, want)
		default:
			return nil
		}
	}
}

// ownCPU is the processor time of this process: of the generator.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
