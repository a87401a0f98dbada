package smtpd

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
	"facteur/internal/server/listen"
	"facteur/internal/store/queue"
)

// sink is a desk that costs nothing: what is measured is the door.
type sink struct{}

type sinkTx struct {
	n   int
	buf [32 << 10]byte
}

func (sink) Limits() (int64, int)                                        { return 50 << 20, 1000 }
func (sink) WantsName() bool                                             { return false }
func (d sink) Connect(context.Context, intake.Peer) (visit, *smtp.Reply) { return d, nil }
func (sink) Helo(context.Context, intake.Peer) *smtp.Reply               { return nil }
func (sink) Close()                                                      {}
func (sink) Begin(context.Context, intake.Peer, smtp.Mail) (transaction, *smtp.Reply) {
	return &sinkTx{}, nil
}
func (t *sinkTx) Recipient(context.Context, smtp.Rcpt) *smtp.Reply { t.n++; return nil }
func (t *sinkTx) Recipients() int                                  { return t.n }
func (t *sinkTx) Data(context.Context) *smtp.Reply                 { return nil }
func (t *sinkTx) Answers() []*smtp.Reply                           { return make([]*smtp.Reply, t.n) }
func (t *sinkTx) Abort()                                           {}
func (t *sinkTx) Commit(context.Context) (queue.ID, *smtp.Reply)   { return 1, nil }
func (t *sinkTx) Receive(_ context.Context, r io.Reader) *smtp.Reply {
	for {
		if _, err := r.Read(t.buf[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return smtp.NewReply(451, "4.3.0", err.Error())
		}
	}
}

var (
	envelopeText = []string{"EHLO client.example\r\n", "MAIL FROM:<sender@client.example>\r\n", "RCPT TO:<user@local.example>\r\n", "DATA\r\n"}
	letterText   = "Subject: a letter\r\n\r\n" + strings.Repeat("some text in a line as it comes in an ordinary letter, of 70 octets.\r\n", 145) + ".\r\n"
)

// BenchmarkDialogue is a session without a network: the door's own cost.
func BenchmarkDialogue(b *testing.B) {
	srv := newServer(Config{Hostname: "mx.local.example"}, sink{})
	b.ReportAllocs()
	for b.Loop() {
		w := &wire{}
		for _, s := range append(envelopeText[:4:4], letterText, "QUIT\r\n") {
			w.segments = append(w.segments, []byte(s))
		}
		srv.Serve(context.Background(), listen.NewConn(w))
		if !strings.HasSuffix(w.written.String(), "221 2.0.0 Bye\r\n") {
			b.Fatal(w.written.String())
		}
	}
}

// BenchmarkOverTCP is a connection a message from a hundred clients at a time,
// as smtp-source does it: mostly what the kernel costs.
func BenchmarkOverTCP(b *testing.B) {
	srv := newServer(Config{Hostname: "mx.local.example"}, sink{})
	s := listen.New(listen.Options{}, srv.Serve)
	l, err := listen.Open(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go s.Serve(l)
	b.SetParallelism(50) // times GOMAXPROCS
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := deliver(l.Addr().String()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	s.Drain(context.Background())
}

// deliver sends one letter without pipelining.
func deliver(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := smtp.ReadReply(r); err != nil {
		return err
	}
	for _, s := range append(envelopeText[:4:4], letterText, "QUIT\r\n") {
		if _, err := io.WriteString(c, s); err != nil {
			return err
		}
		if reply, err := smtp.ReadReply(r); err != nil {
			return err
		} else if reply.Code >= 400 {
			return reply
		}
	}
	return nil
}
