package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// pop3 is a POP3 client that counts bytes.
type pop3 struct {
	b    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dialPOP3(b testing.TB, addr, user string) *pop3 {
	b.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		b.Fatal(err)
	}
	p := &pop3{b, conn, bufio.NewReaderSize(conn, 64<<10)}
	p.line("")
	p.line("USER %s", user)
	p.line("PASS %s", interop.Password)
	return p
}

// line sends a command that has to succeed, and reads the line of its answer.
func (p *pop3) line(format string, args ...any) {
	p.b.Helper()
	p.conn.SetDeadline(time.Now().Add(patience))
	if format != "" {
		fmt.Fprintf(p.conn, format+"\r\n", args...)
	}
	if line, err := p.r.ReadSlice('\n'); err != nil || !bytes.HasPrefix(line, []byte("+OK")) {
		p.b.Fatalf(format+": %q, %v", append(args, line, err)...)
	}
}

// multiline is line for an answer that ends with a dot, whose bytes it counts.
func (p *pop3) multiline(format string, args ...any) (size int64) {
	p.b.Helper()
	p.line(format, args...)
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			p.b.Fatal(err)
		}
		if size += int64(len(line)); string(line) == ".\r\n" {
			return size
		}
	}
}
