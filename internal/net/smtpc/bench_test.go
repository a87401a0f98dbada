package smtpc_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"

	"facteur/internal/mail/smtp"
	"facteur/internal/net/smtpc"
)

// quick is a peer that costs as little as a peer can: one read and one write for
// commands, and for data.
func quick(b *testing.B, ehlo string) smtpc.Target {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go serve(l, func(nc net.Conn) {
		nc.Write([]byte("220 hi\r\n"))
		tail := make([]byte, 0, 64<<10)
		for {
			n, err := nc.Read(tail[len(tail):cap(tail)])
			if err != nil {
				return
			}
			tail = tail[:len(tail)+n]
			switch {
			case bytes.HasPrefix(tail, []byte("EHLO")):
				nc.Write([]byte(ehlo))
			case bytes.HasSuffix(tail, []byte("DATA\r\n")):
				nc.Write([]byte("250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"))
			case bytes.HasPrefix(tail, []byte("MAIL")) && bytes.Contains(tail, []byte("LAST")) && bytes.HasSuffix(tail, []byte("end\r\n")):
				nc.Write([]byte("250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n"))
			case bytes.HasSuffix(tail, []byte("\r\n.\r\n")):
				nc.Write([]byte("250 2.0.0 taken\r\n"))
			default:
				continue
			}
			tail = tail[:0]
		}
	})
	return smtpc.Target{Host: "mx.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

// BenchmarkSend is one message of 10 KB over a kept connection, on loopback.
func BenchmarkSend(b *testing.B) {
	for name, ehlo := range map[string]string{
		"DATA": "250-hi\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING\r\n",
		"BDAT": "250-hi\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			c, err := smtpc.Dial(context.Background(), quick(b, ehlo), config())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			body := append(bytes.Repeat([]byte("01234567\r\n"), 1000), "end\r\n"...)
			env := smtpc.Envelope{Recipients: make([]smtp.Rcpt, 1), Size: int64(len(body))}
			env.Recipients[0].To.Local, env.Recipients[0].To.Domain = "a", "x.example"
			b.ReportAllocs()
			for b.Loop() {
				if res := c.Send(ctx, env, bytes.NewReader(body)); !res.Recipients[0].Delivered() {
					b.Fatal(res.Recipients[0].Reply)
				}
			}
		})
	}
}
