package bench

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// wire is an IMAP client that costs next to nothing: it counts the bytes of an answer
// and looks only at the end of what has come for the tagged line, which is the last
// thing that a server says to a command.
type wire struct {
	b      testing.TB
	conn   net.Conn
	buffer []byte
	tag    int
}

// firstRead is the size of the buffer until an answer turns out to be long.
const firstRead = 4 << 10

func dialWire(b testing.TB, addr string, secure bool) *wire {
	b.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		b.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	w := &wire{b: b, conn: conn, buffer: make([]byte, firstRead)}
	b.Cleanup(w.close)
	w.until([]byte("* OK"))
	return w
}

// loggedIn is a connection with INBOX not yet selected.
func loggedIn(b testing.TB, addr, user string) *wire {
	b.Helper()
	w := dialWire(b, addr, false)
	w.do("LOGIN %s %s", user, interop.Password)
	return w
}

func (w *wire) close() { w.conn.Close() }

// do sends a command, which has to succeed, and returns how many bytes its answer had.
func (w *wire) do(format string, args ...any) int64 {
	w.b.Helper()
	return w.send([]byte(fmt.Sprintf(format, args...)))
}

// send is do for a command with literals.
func (w *wire) send(command []byte) int64 {
	w.b.Helper()
	w.tag++
	tag := fmt.Sprintf("b%d ", w.tag)
	w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := w.conn.Write(append(append([]byte(tag), command...), "\r\n"...)); err != nil {
		w.b.Fatal(err)
	}
	size, last := w.until([]byte(tag))
	if !strings.HasPrefix(last[len(tag):], "OK") {
		w.b.Fatalf("%.80q: %s", command, last)
	}
	return size
}

// until reads to the end of the line that begins with tag.
func (w *wire) until(tag []byte) (size int64, last string) {
	w.b.Helper()
	w.conn.SetDeadline(time.Now().Add(patience))
	held := 0 // bytes of the last line that are there, at the begin of the buffer
	for {
		if size > firstRead && len(w.buffer) == firstRead {
			w.buffer = append(w.buffer[:held], make([]byte, 256<<10)...)
		}
		n, err := w.conn.Read(w.buffer[held:])
		if err != nil {
			w.b.Fatalf("after %d bytes: %v", size, err)
		}
		size += int64(n)
		text := w.buffer[:held+n]
		begin := 1 + bytes.LastIndexByte(text[:len(text)-1], '\n')
		if line := text[begin:]; line[len(line)-1] == '\n' && bytes.HasPrefix(line, tag) {
			return size, strings.TrimRight(string(line), "\r\n")
		}
		if held = copy(w.buffer, text[begin:]); held == len(w.buffer) {
			held = 0 // a line as long as that is no tagged one
		}
	}
}

// offers tells whether the server names a capability now.
func (w *wire) offers(capability string) bool {
	w.b.Helper()
	w.tag++
	tag := fmt.Sprintf("b%d ", w.tag)
	fmt.Fprintf(w.conn, "%sCAPABILITY\r\n", tag)
	var answer []byte
	for !bytes.Contains(answer, []byte("\n"+tag)) {
		w.conn.SetDeadline(time.Now().Add(patience))
		n, err := w.conn.Read(w.buffer)
		if err != nil {
			w.b.Fatal(err)
		}
		answer = append(answer, w.buffer[:n]...)
	}
	for _, word := range strings.Fields(strings.ToUpper(string(answer))) {
		if word == capability {
			return true
		}
	}
	return false
}

// idle begins to wait. The connection is of no other use then.
func (w *wire) idle() {
	w.b.Helper()
	w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := w.conn.Write([]byte("idle IDLE\r\n")); err != nil {
		w.b.Fatal(err)
	}
	w.until([]byte("+ "))
	w.buffer = nil
}
