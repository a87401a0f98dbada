package smtpd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"facteur/internal/mail/smtp"
	"facteur/internal/server/listen"
)

// TestDrain is SMTP-045: the server stops while clients are in DATA and others
// idle. Those in DATA get an answer that is true, the others a 421.
func TestDrain(t *testing.T) {
	desk := newDouble()
	srv := newServer(Config{Hostname: "mx.local.example"}, desk)
	s := listen.New(listen.Options{}, srv.Serve)
	l, err := listen.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	const n = 50
	busy, idle := make([]*client, n), make([]*client, n)
	for i := range n {
		busy[i], idle[i] = dial(t, l.Addr().String()), dial(t, l.Addr().String())
		busy[i].say(envelopeText[0], 250)
		busy[i].say("MAIL FROM:<a@b>\r\n", 250)
		busy[i].say(fmt.Sprintf("RCPT TO:<user%d@local.example>\r\n", i), 250)
		busy[i].say("DATA\r\n", 354)
		io.WriteString(busy[i].c, "Subject: half of\r\n")
		idle[i].say(envelopeText[0], 250)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	for i := range n {
		idle[i].say("", 421)
		idle[i].ended()
	}
	for i := range n {
		busy[i].say("a letter\r\n.\r\n", 250)
		busy[i].say("", 421)
		busy[i].ended()
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if len(desk.kept) != n || desk.open != 0 {
		t.Errorf("%d letters were acknowledged, %d kept, %d are open", n, len(desk.kept), desk.open)
	}
}

// client is the other end of a real connection.
type client struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return greet(t, c)
}

// greet waits for the banner.
func greet(t *testing.T, c net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	p := &client{t, c, bufio.NewReader(c)}
	p.say("", 220)
	return p
}

// say sends text, if any, and expects a code.
func (p *client) say(text string, code int) {
	p.t.Helper()
	if _, err := io.WriteString(p.c, text); err != nil {
		p.t.Fatal(err)
	}
	if reply, err := smtp.ReadReply(p.r); err != nil || reply.Code != code {
		p.t.Fatalf("%q: got %v, %v, want %d", text, reply, err, code)
	}
}

// ended expects the server to have hung up.
func (p *client) ended() {
	p.t.Helper()
	if _, err := p.r.ReadByte(); err != io.EOF {
		p.t.Error("not hung up:", err)
	}
}
